"""samtale partition promote and demote beside a server that takes conversations in meanwhile, by a user who owns the tables
where the server's does not."""
import json
import subprocess
import threading
import unittest

from postgres_server import Postgres
from samtale import BIN, ENVIRONMENT, Server, conversation, wait_for

TABLES = ["conversations", "chunks", "events", "tombstones", "analyses", "analysis_labels", "lm_results", "embeddings"]


class PartitionsTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.postgres = Postgres().__enter__()
        cls.addClassCleanup(cls.postgres.__exit__)
        cls.postgres.sql("CREATE ROLE serving LOGIN")
        cls.store = ("--set", "store.kind=postgres", "--set", "store.hash_partitions=4", "--set", "store.partitions=2")
        cls.samtale("migrate", "--grant-to", "serving")
        cls.server = Server(*cls.store, "--set", cls.url("serving"), "--set", "store.migrate=false").__enter__()
        cls.addClassCleanup(cls.server.__exit__)
        cls.companies = [cls.server.company(name) for name in ("giant", "huge", "small", "tiny", "little")]

    @classmethod
    def url(cls, user):
        return f"store.url=postgresql://{user}@127.0.0.1:{cls.postgres.port}/postgres"

    @classmethod
    def samtale(cls, *words, user="samtale"):
        done = subprocess.run([BIN, *words, *cls.store, "--set", cls.url(user), "--json"], capture_output=True, text=True,
                              timeout=120, env=ENVIRONMENT)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def send_all_along(self, company, stop, sent):
        while not stop.is_set():
            name = f"n{len(sent)}"
            company.send(conversation(name, f"parcel {name} never came", "we look for it"))
            company.find(name)  # So that no more is under way than is stored at once.
            sent.append(name)

    def test_nothing_is_lost_while_giants_come_and_go(self):
        stop, sent = threading.Event(), [[] for _ in self.companies]
        senders = [threading.Thread(target=self.send_all_along, args=(company, stop, some))
                   for company, some in zip(self.companies, sent)]
        for sender in senders:
            sender.start()
        try:
            wait_for("some to be stored", lambda: int(self.postgres.sql("SELECT count(*) FROM samtale.chunks")) > 20)
            moves = [self.samtale("partition", "promote", "giant"),
                     self.samtale("partition", "promote", "huge", user="admin"),
                     self.samtale("partition", "demote", "giant"),
                     self.samtale("partition", "promote", "giant")]
        finally:
            stop.set()
            for sender in senders:
                sender.join()

        for tables in moves:
            self.assertEqual([table["table"] for table in tables["tables"]], TABLES)
            self.assertLess(max(table["exchange_ms"] for table in tables["tables"]), 2000)
        for company, some in zip(self.companies, sent):
            status = lambda company=company: company.call("GET", "/v1/status")[1]
            wait_for("all of it", lambda: status()["conversations"] == len(some)
                     and status()["chunks_without_vector"] == 0 and status()["index"]["vectors"] == len(some))
            self.assertEqual(company.find(some[-1])[0]["external_id"], some[-1])
            self.assertEqual(company.call("GET", "/v1/dead-letters")[1]["dead_letters"], [])
        self.assertEqual(self.postgres.sql("SELECT DISTINCT chunks.tableoid::regclass::text FROM samtale.chunks JOIN samtale.companies "
                                           "ON id = company WHERE name IN ('giant', 'huge') ORDER BY 1").split("\n"),
                         ["samtale.chunks_of_1", "samtale.chunks_of_2"])
        self.assertEqual(self.postgres.sql("SELECT count(DISTINCT (company, id)) - count(*) FROM samtale.conversations"), "0")

    def test_the_exchange_reads_no_table_whoever_has_gone_before(self):
        self.postgres.sql("ALTER ROLE samtale SET log_min_messages = 'debug1'")
        self.samtale("partition", "promote", "small")
        with open(self.postgres.folder + "/log") as file:
            begin = len(file.read())

        self.samtale("partition", "promote", "tiny")

        self.postgres.sql("ALTER ROLE samtale RESET log_min_messages")
        with open(self.postgres.folder + "/log") as file:
            log = file.read()[begin:]
        # Of the two that are attached, and of the four that are shared.
        self.assertEqual(log.count("is implied by existing constraints"), (2 + 4) * len(TABLES))

    def test_a_company_that_there_is_not_is_named(self):
        done = subprocess.run([BIN, "partition", "promote", "nobody", *self.store, "--set", self.url("samtale")],
                              capture_output=True, text=True, timeout=60, env=ENVIRONMENT)

        self.assertEqual(done.returncode, 1)
        self.assertIn("there is no company nobody", done.stderr)


if __name__ == "__main__":
    unittest.main()
