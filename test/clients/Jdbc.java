// JDBC: a string is a varchar, which is no network, UUID, interval or JSON
// without a cast.
import java.sql.Array;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.postgresql.util.PSQLException;

class Jdbc {
	private static int number;

	private static void check(String name, Object actual, Object expected) {
		boolean same = Objects.equals(actual, expected);
		System.out.printf("%s %d - JDBC: %s%n", same ? "ok" : "not ok", ++number, name);
		if (!same) System.out.printf("# %s instead of %s%n", actual, expected);
	}

	private static Connection connection;

	/** The rows, each as the list of its columns. */
	private static List<List<Object>> query(String sql, Object... parameters) throws SQLException {
		try (PreparedStatement statement = connection.prepareStatement(sql)) {
			for (int i = 0; i < parameters.length; i++) statement.setObject(i + 1, parameters[i]);
			List<List<Object>> rows = new ArrayList<>();
			try (ResultSet result = statement.executeQuery()) {
				while (result.next()) {
					List<Object> row = new ArrayList<>();
					for (int i = 1; i <= result.getMetaData().getColumnCount(); i++) row.add(result.getObject(i));
					rows.add(row);
				}
			}
			return rows;
		}
	}

	private static Array texts(String... values) throws SQLException {
		return connection.createArrayOf("text", values);
	}

	private static String decideToken(String apiKey, String address, String scope) throws SQLException {
		return (String) query("SELECT reason FROM apikeys.decide_token(?, ?, ?)", apiKey, address, scope).get(0).get(0);
	}

	private static List<List<Object>> page(Object organization, Object position, Object publicKey) throws SQLException {
		return query("""
			SELECT description, created_at, public_key FROM apikeys.keys
			WHERE organization_id = ? AND (created_at, public_key) < (?::timestamptz, ?)
			ORDER BY created_at DESC, public_key DESC LIMIT ?""", organization, position, publicKey, 2);
	}

	private static List<Object> descriptions(List<List<Object>> keys) {
		return keys.stream().map(key -> key.get(0)).toList();
	}

	public static void main(String[] arguments) throws SQLException {
		Map<String, String> environment = System.getenv();
		connection = DriverManager.getConnection(String.format("jdbc:postgresql://%s:%s/%s",
			environment.get("PGHOST"), environment.get("PGPORT"), environment.get("PGDATABASE")),
			environment.get("PGUSER"), environment.get("PGPASSWORD"));
		Object acme = query("SELECT apikeys.organization(?)", "Acme").get(0).get(0);

		// Create.
		List<Object> key = query("""
			SELECT public_key, private_key, api_key
			FROM apikeys.create_key(?, ?, ?, ?, owner => ?, metadata => ?::jsonb)""",
			acme, "Reports", texts("ORG_READ_ONLY"), texts("203.0.113.0/24", "2001:db8::/32"), "customer 42", "{\"plan\": \"pro\"}").get(0);
		String publicKey = (String) key.get(0), privateKey = (String) key.get(1), apiKey = (String) key.get(2);
		check("a key is created", apiKey, publicKey + "." + privateKey);

		// Decide.
		check("it is decided on",
			query("SELECT allowed, reason, owner, metadata ->> 'plan' FROM apikeys.decide(?, ?, ?, ?)",
				publicKey, privateKey, "203.0.113.7", "clusters.read").get(0),
			List.of(true, "ok", "customer 42", "pro"));
		check("and on its one string", decideToken(apiKey, "2001:db8::1", "clusters.read backups.read"), "ok");
		check("another address is denied", decideToken(apiKey, "192.0.2.1", "clusters.read"), "address_denied");

		// Change the list.
		check("networks are added",
			query("SELECT apikeys.add_to_access_list(?, ?)::text", publicKey, texts("192.0.2.0/28", "198.51.100.0/24")).get(0).get(0),
			"{192.0.2.0/28,198.51.100.0/24,203.0.113.0/24,2001:db8::/32}");
		check("and replaced",
			query("SELECT access_list::text FROM apikeys.update_key(?, access_list => ?::apikeys.access_list)",
				publicKey, "{203.0.113.0/24}").get(0).get(0),
			"{203.0.113.0/24}");

		// List, two keys on a page: each begins after the last key of the one before.
		for (String description : List.of("Backups", "Nightly"))
			query("SELECT * FROM apikeys.create_key(?, ?, ?)", acme, description, texts("ORG_MEMBER"));
		List<List<Object>> first = page(acme, "infinity", "");
		check("a page", descriptions(first), List.of("Nightly", "Backups"));
		check("and the next", descriptions(page(acme, first.get(1).get(1), first.get(1).get(2))), List.of("Reports"));

		// A key that does not expire.
		check("no end is null",
			query("SELECT expires_at FROM apikeys.update_key(?, expires_at => ?::timestamptz)", publicKey, "infinity").get(0).get(0),
			null);

		// Rotate.
		String renewed = (String) query("SELECT apikeys.rotate_secret(?, ?::interval)", publicKey, "0").get(0).get(0);
		List<String> reasons = new ArrayList<>();
		for (String secret : List.of(renewed, privateKey))
			reasons.add(decideToken(publicKey + "." + secret, "203.0.113.7", "clusters.read"));
		check("the secret is rotated, and the old one denied", reasons, List.of("ok", "secret_expired"));

		// A refusal.
		String identifier = null;
		try {
			query("SELECT apikeys.disable_key(?)", "ak_pub_unknown");
		} catch (PSQLException refusal) {
			identifier = refusal.getServerErrorMessage().getConstraint();
		}
		check("a refusal has an identifier", identifier, "key_not_found");
		connection.close();
		System.out.printf("1..%d%n", number);
	}
}
