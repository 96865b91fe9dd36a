# links.pl DOCUMENT...: prints the relative links that lead to no file or to no
# heading, headings of one document with equal anchors, files named in code that do
# not exist, and rows of a table with a column "Tested by" that name no test.  Run
# in the tree's root.
use strict;
use warnings;

use File::Basename qw(dirname);

my (%text_of, %anchors);

# As GitHub makes them.
sub anchor_of
{
	my ($heading) = @_;
	my $anchor = lc $heading;

	$anchor =~ s/\[([^\]]*)\]\([^)]*\)/$1/g;
	$anchor =~ s/[^\w\- ]//g;
	$anchor =~ s/ /-/g;
	return $anchor;
}

# "doc/../README.md" is README.md.
sub resolve
{
	my ($folder, $path) = @_;
	my @parts = grep { $_ ne '.' } split m{/}, "$folder/$path";
	my @resolved;

	foreach my $part (@parts)
	{
		if ($part eq '..' && @resolved) { pop @resolved }
		else { push @resolved, $part }
	}
	return join '/', @resolved;
}

foreach my $document (@ARGV)
{
	open(my $handle, '<', $document) or die "$document: $!\n";
	my $in_code;
	while (my $line = <$handle>)
	{
		if ($line =~ /^\s*```/)
		{
			$in_code = !$in_code;
			next;
		}
		next if $in_code;
		push @{ $text_of{$document} }, [ $., $line ];
		next unless $line =~ /^#+ +(.*?)\s*$/;
		my $anchor = anchor_of($1);
		print "$document:$.: another heading has the anchor #$anchor\n"
		  if $anchors{$document}{$anchor}++;
	}
}

foreach my $document (@ARGV)
{
	my $folder = dirname($document);
	my $tested;

	foreach my $numbered (@{ $text_of{$document} })
	{
		my ($number, $line) = @$numbered;
		my $place = "$document:$number";

		foreach my $link ($line =~ /\]\(((?![a-z]+:)[^)\s]+)\)/g,
			$line =~ /^\[[^\]]+\]: +((?![a-z]+:)\S+)/)
		{
			my ($path, $anchor) = $link =~ /^([^#]*)(?:#(.*))?$/;
			my $file = $path eq '' ? $document : resolve($folder, $path);

			if (!-e $file)
			{
				print "$place: there is no $path\n";
			}
			elsif (defined $anchor && $file =~ /\.md$/ && !$anchors{$file}{$anchor})
			{
				print "$place: $file has no heading #$anchor\n";
			}
		}

		# A path in code is one from the root or from the document's folder.
		my @named = grep { !/[<>…]|NAME|NNN/ }
		  $line =~ m{`((?:[\w.-]+/)+[\w.*-]+\.(?:c|h|sql|spec|pl|js|sh|md|awk|psql|yml|out|map))`}g;
		foreach my $path (@named)
		{
			print "$place: there is no $path\n"
			  unless grep { -e } map { glob } $path, "$folder/$path";
		}

		# The rows of a table that names tests.
		if ($line =~ /\|/)
		{
			$tested = 1 if $line =~ /\| Tested by\s*$/;
			print "$place: this row names no test\n"
			  if $tested && $line !~ /Tested by\s*$|^[-| ]+$/
			  && $line !~ m{\|[^|]*`(?:test/|make )[^|`]+`[^|]*$};
		}
		else
		{
			undef $tested;
		}
	}
}
