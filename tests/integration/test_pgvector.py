"""Searches whose vectors PostgreSQL compares (search.backend = pgvector): the same main job, the same ranks as a server's own
memory, from the commit on; there and back on a store that has conversations; large companies by their own graph."""
import random
import subprocess
import unittest

import test_main_job
from postgres_server import PgBouncer, Postgres
from samtale import BIN, ENVIRONMENT, Company, Ended, Server, conversation, wait_for
from test_postgres import metric, webhook

PGVECTOR = "--set", "search.backend=pgvector"
WORDS = "parcel lamp invoice refund broken late angry thanks depot phone battery screen bill price cable return".split()
POSTGRES = None


def setUpModule():
    global POSTGRES
    POSTGRES = Postgres().__enter__()
    # As on a rented database: nothing of it is on the server's search_path.
    POSTGRES.sql("CREATE SCHEMA extensions")
    POSTGRES.sql("GRANT USAGE ON SCHEMA extensions TO samtale")
    POSTGRES.sql("CREATE EXTENSION vector SCHEMA extensions")


def tearDownModule():
    POSTGRES.__exit__()


def schema(name, *flags):
    return (*POSTGRES.settings(), "--set", "store.schema=" + name, *flags)


def ranks(company, query, mode="hybrid", **more):
    status, answer, _ = company.call("POST", "/v1/search", {"query": query, "mode": mode, "limit": 50, **more})
    assert status == 200, answer
    return [(hit["external_id"], round(hit["chunks"][0]["vector_score"], 4)) for hit in answer["hits"]], answer["exact"]


def send_all(company, count, seed=1):
    chance = random.Random(seed)
    for i in range(count):
        company.send(conversation(f"c{i}", *(" ".join(chance.choices(WORDS, k=6)) for _ in range(3)))
                     | {"channel": ("chat", "voice")[i % 2]})
    wait_for("all to be found", lambda: company.is_whole(count))


class MainJobOnPgvectorTest(test_main_job.MainJobTest):
    @classmethod
    def setUpClass(cls):
        cls.flags = schema("main_job", *PGVECTOR)
        super().setUpClass()


class PgvectorTest(unittest.TestCase):
    def start(self, *flags):
        server = Server(*schema(self._testMethodName[-30:], *flags)).__enter__()
        self.addCleanup(server.__exit__)
        return server

    def rows(self):
        return int(POSTGRES.sql(f"SELECT count(*) FROM {self._testMethodName[-30:]}.embeddings"))

    def test_a_webhook_is_found_until_it_is_deleted_and_by_its_company_alone(self):
        server = self.start(*PGVECTOR)
        acme, globex = server.company("acme"), server.company("globex")
        endpoint = acme.endpoint()
        self.assertEqual(webhook(acme, endpoint, "w1", "the lamp came broken", "we send another")[0], 202)
        webhook(globex, globex.endpoint(), "g1", "the lamp is fine")
        for mode in "keyword", "vector", "hybrid":
            self.assertEqual([hit["external_id"] for hit in acme.find("broken lamp", mode)], ["w1"])
        wait_for("globex's vector", lambda: globex.search("broken lamp", "vector"))
        self.assertEqual([hit["external_id"] for hit in globex.search("broken lamp", "vector")], ["g1"])
        self.assertEqual(self.rows(), 2)

        self.assertEqual(acme.call("DELETE", "/v1/conversations/" + acme.search("lamp")[0]["id"])[0], 200)

        for mode in "keyword", "vector", "hybrid":
            self.assertEqual(acme.search("broken lamp", mode), [])
        self.assertEqual(self.rows(), 1)

    def test_there_and_back_with_the_same_ranks(self):
        server = self.start()
        acme = server.company("acme")
        send_all(acme, 60)
        questions = [(query, mode, filters) for query in ("broken lamp", "late refund", "phone battery bill")
                     for mode in ("vector", "hybrid", "keyword") for filters in ({}, {"channel": "voice"})]
        native = [ranks(acme, query, mode, filters=filters) for query, mode, filters in questions]
        self.assertEqual(self.rows(), 0)

        for flags in PGVECTOR, (), PGVECTOR:
            server.stop()
            server.flags = schema(self._testMethodName[-30:], *flags)
            server.start()
            again = [ranks(acme, query, mode, filters=filters) for query, mode, filters in questions]
            self.assertEqual(again, native)
            self.assertEqual(self.rows(), 60)
            if not flags:  # What it changes, the next puts right.
                acme.send(conversation("c0", "a broken kettle"))
                acme.find("kettle", "keyword")
                wait_for("its vector", lambda: acme.is_whole(60))
                native = [ranks(acme, query, mode, filters=filters) for query, mode, filters in questions]

    def test_a_large_company_is_searched_by_a_graph_of_its_own(self):
        server = self.start(*PGVECTOR, "--set", "search.graph_from=100", "--set", "search.candidates=10")
        giant, small = server.company("giant"), server.company("small")
        send_all(giant, 200)
        send_all(small, 5, seed=2)
        wait_for("its graph", lambda: metric(server, "samtale_index_graph_vectors") >= 200)

        by_graph, is_exact = ranks(giant, "broken lamp", "vector", limit=2)
        exactly, is_surely_exact = ranks(giant, "broken lamp", "vector", limit=2, exact=True)

        self.assertFalse(is_exact)
        self.assertTrue(is_surely_exact)
        self.assertEqual(by_graph, exactly)
        found, is_exact = ranks(small, "broken lamp", "vector")
        self.assertTrue(is_exact)
        self.assertEqual(len(found), 5)

    def test_a_graph_is_made_and_walked_through_a_pooler(self):
        with PgBouncer(POSTGRES) as pooler:
            server = self.start(*POSTGRES.settings(pooler.port), *PGVECTOR, "--set", "search.graph_from=100",
                                "--set", "search.candidates=10")
            giant = server.company("giant")
            send_all(giant, 150)
            wait_for("its graph", lambda: not ranks(giant, "broken lamp", "vector", limit=2)[1])
            server.stop()

    def test_a_company_that_gets_partitions_of_its_own_gets_its_graph_there(self):
        server = self.start(*PGVECTOR, "--set", "search.graph_from=100", "--set", "search.candidates=10")
        giant, small = server.company("giant"), server.company("small")
        send_all(giant, 150)
        send_all(small, 5, seed=2)
        wait_for("its graph", lambda: not ranks(giant, "broken lamp", "vector", limit=2)[1])
        before = [ranks(company, "broken lamp", "vector", limit=2, exact=True) for company in (giant, small)]

        for move in "promote", "demote":
            server.cli("partition", move, "giant", *server.flags)
            after = [ranks(company, "broken lamp", "vector", limit=2, exact=True) for company in (giant, small)]
            self.assertEqual(after, before)
            wait_for("its graph", lambda: self.graphs() == 1)
        giant.send(conversation("new", "a kettle boils over"))
        wait_for("what is new", lambda: giant.search("kettle boils over", "vector")[0]["external_id"] == "new")

    def graphs(self):
        return int(POSTGRES.sql("SELECT count(*) FROM pg_index JOIN pg_class AS c ON c.oid = indexrelid WHERE indisvalid "
                                f"AND relnamespace = '{self._testMethodName[-30:]}'::regnamespace "
                                "AND relname LIKE 'embeddings_near_%'"))

    def test_while_the_database_is_away_there_is_no_part_of_an_answer(self):
        server = self.start(*PGVECTOR)
        acme = server.company("acme")
        acme.send(conversation("c1", "a lamp was sent"))
        acme.find("lamp", "vector")
        POSTGRES.kill()
        try:
            for mode in "vector", "hybrid":
                status, answer, _ = acme.call("POST", "/v1/search", {"query": "lamp", "mode": mode})
                self.assertEqual(status, 503, answer)
                self.assertTrue(answer["retryable"])
        finally:
            POSTGRES.start()
        wait_for("an answer", lambda: acme.call("POST", "/v1/search", {"query": "lamp"})[0] == 200)

    def test_a_second_server_finds_at_once_what_the_first_has_stored(self):
        one = self.start(*PGVECTOR)
        acme = one.company("acme")
        other = self.start(*PGVECTOR)
        wait_for("the other to know the company", lambda: acme.call("GET", "/v1/status")[0] == 200)
        acme.send(conversation("c1", "a lamp was sent"))
        acme.find("lamp", "vector")

        wait_for("the other to follow", lambda: Company.search(_at(acme, other), "lamp", "vector"))

    def test_a_database_without_the_extension_is_refused_with_the_remedy(self):
        POSTGRES.sql("CREATE DATABASE bare OWNER samtale")
        url = f"postgresql://samtale@127.0.0.1:{POSTGRES.port}/bare"

        with self.assertRaises(Ended) as ended:
            self.start(*PGVECTOR, "--set", "store.url=" + url)

        self.assertIn("CREATE EXTENSION vector", str(ended.exception))

    def test_who_may_not_change_tables_gets_them_from_samtale_migrate(self):
        name = self._testMethodName[-30:]
        flags = schema(name, *PGVECTOR, "--set", "store.migrate=false")
        first = self.start()
        first.stop()

        with self.assertRaises(Ended) as ended:
            self.start(*PGVECTOR, "--set", "store.migrate=false")
        self.assertIn("samtale migrate", str(ended.exception))
        version = POSTGRES.sql(f"SELECT max(number) FROM {name}.schema_migrations")
        for _ in range(2):
            POSTGRES.sql(subprocess.run([BIN, "migrate", "--sql", "--from", version, *flags], check=True, capture_output=True,
                                        text=True, env=ENVIRONMENT).stdout, user="samtale")
        self.start(*PGVECTOR, "--set", "store.migrate=false")
        first.cli("migrate", *flags)


def _at(company, server):
    """The same company with the same key, asked at another server."""
    same = object.__new__(Company)
    same.server, same.name, same.key = server, company.name, company.key
    return same


if __name__ == "__main__":
    unittest.main()
