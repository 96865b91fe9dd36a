package Pooler;

# A pgbouncer in transaction mode in front of a cluster.
use strict;
use warnings;

use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;

# Starts one with so many connections to the server, all of them as one role, and
# with these settings; it ends with the object, or with stop().
sub new
{
	my ($class, $node, $connections, $role, @settings) = @_;
	my $folder = PostgreSQL::Test::Utils::tempdir();
	my $self = bless {
		port => PostgreSQL::Test::Cluster::get_free_port(),
		log => ''
	}, $class;
	my $server = 'host=' . $node->host . ' port=' . $node->port;

	append_to_file(
		"$folder/pgbouncer.ini", qq{
[databases]
postgres = $server dbname=postgres user=$role
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = $self->{port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = $connections
max_client_conn = 200
server_check_delay = 0
log_connections = 0
log_disconnections = 0
} . join('', map { "$_\n" } @settings));
	$self->{process} = IPC::Run::start [ 'pgbouncer', "$folder/pgbouncer.ini" ],
	  '>', \$self->{log}, '2>&1';
	foreach (1 .. 100)
	{
		my ($stdout, $stderr);
		return $self
		  if IPC::Run::run [ 'psql', '-X', '-d', $self->connection, '-c', 'SELECT 1' ],
		  '>', \$stdout, '2>', \$stderr;
		$self->{process}->pump_nb;
		select undef, undef, undef, 0.1;
	}
	die "pgbouncer did not start: $self->{log}";
}

sub connection
{
	my ($self) = @_;

	return "host=127.0.0.1 port=$self->{port} dbname=postgres user=anybody";
}

sub stop
{
	my ($self) = @_;

	$self->{process}->kill_kill if $self->{process};
	delete $self->{process};
	return;
}

sub DESTROY
{
	my ($self) = @_;

	$self->stop;
	return;
}

1;
