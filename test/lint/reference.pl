# reference.pl FILE <CATALOG: prints FILE with its generated tables written anew,
# from what reference.sql has printed.  A table begins with a line
#
#	<!-- generated: KIND NAME... -->
#
# (with no names: all of that kind) and ends with "<!-- end -->".  Complains, with
# status 1, where a function, type, table, view or setting is in no table.
use strict;
use warnings;

my (%rows, %seen, %header);
while (my $line = <STDIN>)
{
	chomp $line;
	next if $line eq '';
	my ($kind, $name, @cells) = split /\t/, $line, -1;
	push @{ $rows{$kind}{$name} }, \@cells;
}
die "no catalog on standard input\n" unless %rows;

# A name in code, when psql shows it plain.
sub prose
{
	my ($text) = @_;

	$text =~ s/&/&amp;/g;
	$text =~ s/</&lt;/g;
	$text =~ s/([|*])/\\$1/g;
	$text =~ s/(?<![\w.`:])((?:apikeys\.)?[a-z]+(?:_[a-z]+)+(?:\([^()]*\))?|apikeys\.[a-z.]+[a-z](?:\(\.*\))?|[A-Z]+(?:_[A-Z]+)+)(?![\w`])/`$1`/g;
	return $text;
}

sub type_name
{
	my ($type) = @_;

	$type =~ s/timestamp with time zone/timestamptz/g;
	$type =~ s/\bapikeys\.(?!principal\()//g;
	return $type;
}

# As they are written in a call: without casts of defaults.
sub arguments
{
	my @inputs = grep { !/^OUT / } split /, /, type_name($_[0]);

	s/(DEFAULT (?:'[^']*'|NULL))::[\w\[\]]+(?: [a-z ]+)?/$1/, s/'00:00:00'/'0'/ foreach @inputs;
	return join ', ', @inputs;
}

sub result
{
	my ($arguments, $result) = map { type_name($_) } @_;
	my @outputs = grep { s/^OUT // } split /, /, $arguments;

	return "record (@{[join ', ', @outputs]})" if @outputs;
	$result =~ s/^TABLE/SETOF record /;
	return $result;
}

sub default_value
{
	my ($value, $unit) = @_;

	return '' if $value eq '';
	$value = $unit eq 'kB' && $value % 1024 == 0 ? $value / 1024 . 'MB'
	  : $unit eq 'ms' && $value % 1000 == 0 ? $value / 1000 . 's'
	  : "$value$unit";
	return "`$value`";
}

%header = (
	function => [ 'Function', 'Access', 'Description' ],
	operator => [ 'Operator', 'Description' ],
	type => [ 'Type', 'Description' ],
	view => [ 'View', 'Rows' ],
	table => [ 'Table', 'Rows' ],
	column => [ 'Column', 'Type', 'Description' ],
	setting => [ 'Setting', 'Default', 'Changed by', 'Description' ],
	role => [ 'Role', 'Level', 'Permissions in the organization', 'Permissions in projects', 'For' ]);

my %cells = (
	function => sub {
		my ($name, $arguments, $result, $access, $comment) = @_;
		$comment =~ s/ (?:Access \w+|EXECUTE is not (?:part of any access|granted to PUBLIC))\.$//;
		$result = result($arguments, $result);
		return ("`$name(" . arguments($arguments) . ')`'
			  . ($result eq 'void' ? '' : " → `$result`"), $access, prose($comment));
	},
	operator => sub { return ("`" . type_name($_[0]) . '`', prose($_[1])) },
	column => sub {
		my (undef, $name, $type, $comment) = @_;
		return ("`$name`", '`' . type_name($type) . '`', prose($comment));
	},
	setting => sub {
		my ($name, $value, $unit, $context, $text) = @_;
		return ("`$name`", default_value($value, $unit), $context, prose($text));
	},
	role => sub {
		my ($name, $level, $organization, $project, $text) = @_;
		return ("`$name`", $level, (map { $_ eq '' ? '' : "`$_`" } $organization, $project), prose($text));
	});
$cells{$_} = sub { return ("`$_[0]`", prose($_[1])) } foreach qw(type view table);

my $skipping;
my $status = 0;
open(my $file, '<', $ARGV[0]) or die "$ARGV[0]: $!\n";
while (my $line = <$file>)
{
	if ($skipping)
	{
		next unless $line =~ /^<!-- end -->$/;
		undef $skipping;
	}
	print $line;
	next unless $line =~ /^<!-- generated: (\w+)((?: \w+)*) -->$/;
	my ($kind, @names) = ($1, split ' ', $2);
	@names = sort keys %{ $rows{$kind} } unless @names;
	$skipping = 1;
	print join(' | ', @{ $header{$kind} }), "\n", join(' | ', map { '---' } @{ $header{$kind} }), "\n";
	foreach my $name (@names)
	{
		$seen{"$kind $name"} = 1;
		if (!$rows{$kind}{$name})
		{
			print STDERR "$ARGV[0]: there is no $kind $name\n";
			$status = 1;
		}
		foreach my $row (@{ $rows{$kind}{$name} })
		{
			print join(' | ', $cells{$kind}->($name, @$row)), "\n";
		}
	}
}
foreach my $kind (qw(function operator type table view setting))
{
	foreach my $name (sort keys %{ $rows{$kind} })
	{
		next if $seen{"$kind $name"};
		print STDERR "$ARGV[0]: $kind $name is in none of its tables\n";
		$status = 1;
	}
}
if ($skipping)
{
	print STDERR "$ARGV[0]: the last generated table has no <!-- end -->\n";
	$status = 1;
}
exit $status;
