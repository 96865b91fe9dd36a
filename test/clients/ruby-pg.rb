# ruby-pg sends strings without a type; an encoder makes an array of one.
require "json"
require "pg"

$number = 0

def check(name, actual, expected)
  $number += 1
  puts "#{actual == expected ? "ok" : "not ok"} #{$number} - ruby-pg: #{name}"
  puts "# #{actual.inspect} instead of #{expected.inspect}" if actual != expected
end

$connection = PG.connect
$connection.type_map_for_results = PG::BasicTypeMapForResults.new($connection)

def query(sql, *parameters) = $connection.exec_params(sql, parameters).to_a
def row(sql, *parameters) = query(sql, *parameters).first.values

ARRAY = PG::TextEncoder::Array.new
acme, = row("SELECT apikeys.organization($1)", "Acme")

# Create.
public_key, private_key, api_key = row(
  "SELECT public_key, private_key, api_key FROM apikeys.create_key($1, $2, $3, $4, owner => $5, metadata => $6)",
  acme, "Reports", ARRAY.encode(["ORG_READ_ONLY"]), ARRAY.encode(["203.0.113.0/24", "2001:db8::/32"]),
  "customer 42", JSON.generate({ plan: "pro" })
)
check "a key is created", api_key, "#{public_key}.#{private_key}"

# Decide.
check "it is decided on",
  row("SELECT allowed, reason, owner, metadata FROM apikeys.decide($1, $2, $3, $4)", public_key, private_key, "203.0.113.7", "clusters.read"),
  [true, "ok", "customer 42", { "plan" => "pro" }]

def decide_token(*parameters) = row("SELECT reason FROM apikeys.decide_token($1, $2, $3)", *parameters).first

check "and on its one string", decide_token(api_key, "2001:db8::1", "clusters.read backups.read"), "ok"
check "another address is denied", decide_token(api_key, "192.0.2.1", "clusters.read"), "address_denied"

# Change the list.
added, = row("SELECT apikeys.add_to_access_list($1, $2)::text", public_key, ARRAY.encode(["192.0.2.0/28", "198.51.100.0/24"]))
check "networks are added", added, "{192.0.2.0/28,198.51.100.0/24,203.0.113.0/24,2001:db8::/32}"
replaced, = row("SELECT access_list::text FROM apikeys.update_key($1, access_list => $2)", public_key, ARRAY.encode(["203.0.113.0/24"]))
check "and replaced", replaced, "{203.0.113.0/24}"

# List, two keys on a page: each begins after the last key of the one before.
%w[Backups Nightly].each do |description|
  query("SELECT * FROM apikeys.create_key($1, $2, $3)", acme, description, ARRAY.encode(["ORG_MEMBER"]))
end
PAGE = <<~SQL
  SELECT description, created_at::text AS position, public_key FROM apikeys.keys
  WHERE organization_id = $1 AND (created_at, public_key) < ($2, $3)
  ORDER BY created_at DESC, public_key DESC LIMIT $4
SQL
first = query(PAGE, acme, "infinity", "", 2)
check "a page", first.map { |key| key["description"] }, %w[Nightly Backups]
second = query(PAGE, acme, first.last["position"], first.last["public_key"], 2)
check "and the next", second.map { |key| key["description"] }, %w[Reports]

# A key that does not expire.
check "no end is nil", row("SELECT expires_at FROM apikeys.update_key($1, expires_at => $2)", public_key, "infinity"), [nil]

# Rotate.
renewed, = row("SELECT apikeys.rotate_secret($1, $2)", public_key, "0")
reasons = [renewed, private_key].map { |secret| decide_token("#{public_key}.#{secret}", "203.0.113.7", "clusters.read") }
check "the secret is rotated, and the old one denied", reasons, %w[ok secret_expired]

# A refusal.
begin
  query("SELECT apikeys.disable_key($1)", "ak_pub_unknown")
rescue PG::Error => error
  identifier = error.result.error_field(PG::Result::PG_DIAG_CONSTRAINT_NAME)
end
check "a refusal has an identifier", identifier, "key_not_found"
puts "1..#{$number}"
