"""psycopg 3 sends strings without a type, lists of them as arrays, and numbers,
times and objects of module ipaddress with theirs."""
from datetime import timedelta
from ipaddress import ip_address, ip_network

import psycopg
from psycopg.types.json import Jsonb

number = 0


def check(name, actual, expected):
    global number
    number += 1
    same = actual == expected
    print(f"{'ok' if same else 'not ok'} {number} - psycopg 3: {name}")
    if not same:
        print(f"# {actual!r} instead of {expected!r}")


connection = psycopg.connect(autocommit=True)
execute = connection.execute
(acme,) = execute("SELECT apikeys.organization(%s)", ["Acme"]).fetchone()

# Create.
public_key, private_key, api_key = execute(
    "SELECT * FROM apikeys.create_key(%s, %s, %s, %s, owner => %s, metadata => %s)",
    [acme, "Reports", ["ORG_READ_ONLY"], ["203.0.113.0/24", "2001:db8::/32"], "customer 42", Jsonb({"plan": "pro"})],
).fetchone()
check("a key is created", api_key, f"{public_key}.{private_key}")

# Decide.
decision = execute(
    "SELECT allowed, reason, owner, metadata FROM apikeys.decide(%s, %s, %s, %s)",
    [public_key, private_key, "203.0.113.7", "clusters.read"],
).fetchone()
check("it is decided on", decision, (True, "ok", "customer 42", {"plan": "pro"}))

DECIDE_TOKEN = "SELECT allowed, reason FROM apikeys.decide_token(%s, %s, %s)"
decision = execute(DECIDE_TOKEN, [api_key, ip_address("2001:db8::1"), "clusters.read backups.read"]).fetchone()
check("and on its one string", decision, (True, "ok"))
decision = execute(DECIDE_TOKEN, [api_key, "192.0.2.1", "clusters.read"]).fetchone()
check("another address is denied", decision, (False, "address_denied"))

# Change the list.
(networks,) = execute(
    "SELECT apikeys.add_to_access_list(%s, %s)::json", [public_key, ["192.0.2.0/28", "198.51.100.0/24"]]
).fetchone()
check("networks are added", networks, ["192.0.2.0/28", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32"])
(networks,) = execute(
    "SELECT to_json(access_list) FROM apikeys.update_key(%s, access_list => %s::apikeys.access_list)",
    [public_key, [ip_network("203.0.113.0/24")]],
).fetchone()
check("and replaced", networks, ["203.0.113.0/24"])

# List, two keys on a page: each begins after the last key of the one before.
for description in "Backups", "Nightly":
    execute("SELECT * FROM apikeys.create_key(%s, %s, %s)", [acme, description, ["ORG_MEMBER"]])
PAGE = """SELECT description, created_at, public_key FROM apikeys.keys
    WHERE organization_id = %s AND (created_at, public_key) < (%s, %s)
    ORDER BY created_at DESC, public_key DESC LIMIT %s"""
first = execute(PAGE, [acme, "infinity", "", 2]).fetchall()
check("a page", [row[0] for row in first], ["Nightly", "Backups"])
second = execute(PAGE, [acme, first[-1][1], first[-1][2], 2]).fetchall()
check("and the next", [row[0] for row in second], ["Reports"])

# A key that does not expire.
(expires_at,) = execute("SELECT expires_at FROM apikeys.update_key(%s, expires_at => %s)", [public_key, "infinity"]).fetchone()
check("no end is None", expires_at, None)

# Rotate.
(renewed,) = execute("SELECT apikeys.rotate_secret(%s, %s)", [public_key, timedelta(0)]).fetchone()
decisions = [
    execute(DECIDE_TOKEN, [f"{public_key}.{secret}", "203.0.113.7", "clusters.read"]).fetchone()
    for secret in (renewed, private_key)
]
check("the secret is rotated, and the old one denied", decisions, [(True, "ok"), (False, "secret_expired")])

# A refusal.
try:
    execute("SELECT apikeys.disable_key(%s)", ["ak_pub_unknown"])
    identifier = None
except psycopg.Error as error:
    identifier = error.diag.constraint_name
check("a refusal has an identifier", identifier, "key_not_found")
print(f"1..{number}")
