"""samtale migrate, and the SQL that it prints: both make the schema that a server makes, and a server whose user may not
change tables works on it."""
import subprocess
import unittest

from postgres_server import Postgres
from samtale import BIN, ENVIRONMENT, Ended, Server, conversation, wait_for

POSTGRES = None


def setUpModule():
    global POSTGRES
    POSTGRES = Postgres().__enter__()


def tearDownModule():
    POSTGRES.__exit__()


def url(database, user):
    return f"postgresql://{user}@127.0.0.1:{POSTGRES.port}/{database}"


def settings(database, user="samtale"):
    return "--set", "store.kind=postgres", "--set", "store.url=" + url(database, user)


def samtale(*words):
    return subprocess.run([BIN, *words], capture_output=True, text=True, timeout=120, env=ENVIRONMENT)


def psql(database, text, user="samtale"):
    return subprocess.run(["psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-f", "-", url(database, user)], input=text,
                          capture_output=True, text=True, timeout=120)


def catalogue(database):
    """What there is, but not who may use it, as statements."""
    dump = subprocess.run(["/usr/lib/postgresql/15/bin/pg_dump", "--schema-only", "--no-privileges", "--schema=samtale",
                           url(database, "admin")], check=True, capture_output=True, text=True, timeout=120).stdout
    # Newer minor versions have a line with a random word at either end.
    return [line for line in dump.split("\n") if not line.startswith(("\\restrict", "\\unrestrict"))]


class MigrateTest(unittest.TestCase):
    def database(self, name):
        POSTGRES.sql(f"CREATE DATABASE {name}")
        POSTGRES.sql(f"GRANT CREATE ON DATABASE {name} TO samtale")
        return name

    def made_by_a_server(self, name):
        with Server(*settings(self.database(name))):
            return catalogue(name)

    def works_on(self, name, *flags):
        with Server(*settings(name, "serving"), "--set", "store.migrate=false", *flags) as server:
            acme = server.company("acme")
            acme.send(conversation("c1", "the lamp came broken"))
            self.assertEqual(acme.find("lamp")[0]["external_id"], "c1")
            self.assertEqual(acme.find("lamp", "vector")[0]["external_id"], "c1")

    @classmethod
    def setUpClass(cls):
        POSTGRES.sql("CREATE ROLE serving LOGIN")

    def test_the_printed_sql_makes_what_a_server_makes_and_another_user_serves_on_it(self):
        wanted = self.made_by_a_server("by_server")
        sql = samtale("migrate", "--sql").stdout

        done = psql(self.database("by_sql"), sql)

        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertGreater(len(wanted), 1000)
        self.assertEqual(catalogue("by_sql"), wanted)
        granted = psql("by_sql", samtale("migrate", "--sql", "--from", str(self.version("by_sql")), "--grant-to",
                                         "serving").stdout)
        self.assertEqual(granted.returncode, 0, granted.stderr)
        self.works_on("by_sql")

    def test_migrate_makes_what_a_server_makes_also_as_an_administrator(self):
        wanted = self.made_by_a_server("by_server_too")
        name = self.database("by_migrate")

        first = samtale("migrate", *settings(name))
        again = samtale("migrate", *settings(name, "admin"), "--grant-to", "serving")

        version = self.version(name)
        self.assertEqual((first.returncode, again.returncode), (0, 0), first.stderr + again.stderr)
        self.assertEqual(first.stdout, f"schema samtale had version 0 and has version {version}\n")
        self.assertEqual(first.stderr.split("\n")[0], f"migration 1 of {version}")
        self.assertEqual((again.stdout, again.stderr),
                         (f"schema samtale had version {version} and has version {version}\n", ""))
        self.assertEqual(catalogue(name), wanted)
        self.works_on(name)

    def test_the_sql_is_refused_by_a_schema_of_another_version_and_changes_nothing(self):
        name = self.database("twice")
        self.assertEqual(psql(name, samtale("migrate", "--sql").stdout).returncode, 0)
        before = catalogue(name)

        for first in ("0", "1"):
            refused = psql(name, samtale("migrate", "--sql", "--from", first).stdout)
            self.assertIn("does not have version " + first, refused.stderr)

        self.assertEqual(catalogue(name), before)
        self.assertEqual(samtale("migrate", "--sql", "--from", "999").returncode, 1)

    def test_a_token_reads_the_rows_of_its_company_and_no_more(self):
        name = self.database("by_token")
        POSTGRES.sql("CREATE ROLE authenticated NOLOGIN")
        with Server(*settings(name)) as server:
            companies = [server.company(one) for one in ("acme", "globex")]
            for company in companies:
                for i in range(len(company.name)):
                    company.send(conversation(f"c{i}", f"canary of {company.name}"))
                wait_for("all to be found", lambda company=company: len(company.search("canary")) == len(company.name))
            done = samtale("migrate", *settings(name), "--token-role", "authenticated")
            self.assertEqual(done.returncode, 0, done.stderr)
        with Server(*settings(name)):
            pass  # It still starts.

        def as_token(claims, statement):
            done = psql(name, f"SET ROLE authenticated; SELECT set_config('request.jwt.claims', '{claims}', false) \\g "
                              f"/dev/null\n\\t\n{statement};", user="admin")
            return done.stdout.strip() or done.stderr

        numbers = {company.name: i + 1 for i, company in enumerate(companies)}
        for company in companies:
            claims = f'{{"company_id": {numbers[company.name]}, "role": "authenticated"}}'
            for table in ("conversations", "chunks"):
                self.assertEqual(as_token(claims, f"SELECT count(*) FROM samtale.{table}"), str(len(company.name)))
            self.assertIn("permission denied", as_token(claims, "SELECT * FROM samtale.companies"))
            self.assertIn("permission denied", as_token(claims, "DELETE FROM samtale.conversations"))
        for nobody in ("", "{}", '{"company_id": 7}'):
            self.assertEqual(as_token(nobody, "SELECT count(*) FROM samtale.conversations"), "0")

    def test_a_server_that_may_not_migrate_says_what_to_do(self):
        name = self.database("untouched")

        with self.assertRaises(Ended) as ended:
            Server(*settings(name, "serving"), "--set", "store.migrate=false").__enter__()

        self.assertIn("has version 0", str(ended.exception))
        self.assertIn("samtale migrate", str(ended.exception))

    def version(self, database):
        found = subprocess.run(["psql", "-X", "-A", "-t", "-c", "SELECT max(number) FROM samtale.schema_migrations",
                                url(database, "admin")], check=True, capture_output=True, text=True)
        return int(found.stdout)


if __name__ == "__main__":
    unittest.main()
