# meta.pl: prints what is wrong with META.json by PGXN's Meta Spec 1.0.0, as far
# as it concerns us, and where it, debian/changelog and CHANGELOG.md speak of
# another version than apikeys.control.  Run in the tree's root.
use strict;
use warnings;
use JSON::PP;

my @mandatory = qw(name version abstract maintainer license provides meta-spec);
my @optional =
  qw(description generated_by no_index prereqs release_status resources tags);

sub slurp
{
	my ($file) = @_;
	local $/;
	open(my $handle, '<', $file) or die "$file: $!\n";
	return <$handle>;
}

sub expect
{
	my ($what, $got, $expected) = @_;
	$got = '(nothing)' unless defined $got;
	print "$what is $got, and not $expected\n" unless $got eq $expected;
}

sub expect_like
{
	my ($what, $got, $pattern) = @_;
	print "$what is no $pattern->[0]\n"
	  unless defined $got && !ref $got && $got =~ $pattern->[1];
}

my %pattern = (
	term => [ 'term', qr{\A[^\s[:cntrl:]/\\]{2,}\z} ],
	tag => [ 'tag', qr{\A[^[:cntrl:]/\\]{1,255}\z} ],
	text => [ 'text', qr{\S} ],
	url => [ 'URL', qr{\Ahttps?://[^/]+} ],
	status => [ 'release status', qr{\A(?:stable|testing|unstable)\z} ],
	phase => [ 'phase', qr{\A(?:configure|build|test|runtime|develop)\z} ],
	relation =>
	  [ 'relation', qr{\A(?:requires|recommends|suggests|conflicts)\z} ]);
{
	my $version = qr{(?:0|[1-9]\d*)(?:\.(?:0|[1-9]\d*)){2}};
	my $range = qr{(?:0|(?:(?:[<>]=?|[=!]=)\s*)?$version)};
	$pattern{range} = [ 'range of versions', qr{\A$range(?:,\s*$range)*\z} ];
	$pattern{version} = [ 'version', qr{\A$version\z} ];
}

my ($version) = slurp('apikeys.control') =~ /^default_version = '(.*)'$/m;
my $meta = decode_json(slurp('META.json'));

# What the spec asks of the fields.
for my $field (@mandatory)
{
	print "META.json has no $field\n" unless exists $meta->{$field};
}
for my $field (sort keys %$meta)
{
	print "META.json: $field is unknown\n"
	  unless grep { $_ eq $field } @mandatory, @optional;
}
expect_like('META.json: name', $meta->{name}, $pattern{term});
expect_like('META.json: version', $meta->{version}, $pattern{version});
expect_like("META.json: $_", $meta->{$_}, $pattern{text})
  for qw(abstract description maintainer);
expect_like('META.json: release_status',
	$meta->{release_status}, $pattern{status});
expect('META.json: meta-spec', $meta->{'meta-spec'}{version}, '1.0.0');
expect_like('META.json: url of meta-spec',
	$meta->{'meta-spec'}{url}, $pattern{url});
expect_like('META.json: tag', $_, $pattern{tag}) for @{ $meta->{tags} };
while (my ($phase, $relations) = each %{ $meta->{prereqs} })
{
	expect_like("META.json: $phase", $phase, $pattern{phase});
	while (my ($relation, $required) = each %$relations)
	{
		expect_like("META.json: $relation", $relation, $pattern{relation});
		expect_like("META.json: what $phase $relation of $_",
			$required->{$_}, $pattern{range})
		  for sort keys %$required;
	}
}

# What we know better.
expect('META.json: name', $meta->{name}, 'apikeys');
expect('META.json: license', $meta->{license}, 'postgresql');
expect('META.json: version', $meta->{version}, $version);
expect('META.json: extensions', join(' ', keys %{ $meta->{provides} }), 'apikeys');
{
	my $provided = $meta->{provides}{apikeys};
	my ($majors) = slurp('Makefile') =~ /^SUPPORTED_MAJORS = (.*)$/m;
	my ($first, $last) = $majors =~ /^(\d+) .* (\d+)$/;
	my $range = sprintf '>= %d.0.0, < %d.0.0', $first, $last + 1;

	expect('META.json: provided version', $provided->{version}, $version);
	expect('META.json: file', $provided->{file}, "sql/apikeys--$version.sql");
	print "META.json: there is no $provided->{docfile}\n"
	  unless -f $provided->{docfile};
	expect("META.json: PostgreSQL at $_",
		$meta->{prereqs}{$_}{requires}{PostgreSQL}, $range)
	  for qw(build runtime);
	expect('debian/pgversions', join(' ', split /\n/, slurp('debian/pgversions')),
		$majors);
}
{
	my ($debian) = slurp('debian/changelog') =~ /\Aapikeys \((.*)-\d+\) /;
	my ($changes) = slurp('CHANGELOG.md') =~ /^## (\S+)/m;

	expect('debian/changelog', $debian, $version);
	expect('CHANGELOG.md', $changes, $version);
}
