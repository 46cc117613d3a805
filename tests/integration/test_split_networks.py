"""The network between the machines is cut in two, or one way, while all of them go on running; one of them
stands still for longer than its lease lasts; the database that takes over lacks the last commits.

Goal:   nothing that was answered with 2xx is lost or takes effect twice; who cannot reach a majority says so; all
        goes on by itself once the network is whole; where something was lost, that is said.
Method: a ledger outside remembers what was answered; what is cut has proxies between it (support/fault_proxy.py).
        Brokers that are cut from each other: test_split_brokers.

D4, D19, A10, E7, H2 and H10 are numbers of the catalogue of faults."""
import collections
import copy
import http.server
import os
import signal
import sys
import threading
import time
import unittest

import samtale
from ledger import Ledger
from postgres_server import Postgres, Standby, free_port
from samtale import Server, metric, wait_for
from test_notify import Receiver, flags as notify_flags

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
import scripted_embedding_server
from fault_proxy import FaultProxy

# A job whose lease was given, but not heard of, waits for its end.
SHORT_LEASES = ("--set", "queue.lease_ms=5000", "--set", "embed.timeout_ms=2500")
LONG_LEASE_S = 600
samtale.DEADLINE_S = 240


class Embedder:
    """An embedding server of this process, whose answers can be held back."""

    def __init__(self):
        self.answers = threading.Event()
        self.answers.set()
        self.held = threading.Event()
        outer = self

        class HeldHandler(scripted_embedding_server.Handler):
            def behave(self, behaviour, texts):
                if not outer.answers.is_set():
                    outer.held.set()
                outer.answers.wait()
                super().behave(behaviour, texts)

        class QuietServer(http.server.ThreadingHTTPServer):
            def handle_error(self, *_):
                pass  # Who has waited too long has closed its connection.

        self.server = QuietServer(("127.0.0.1", 0), HeldHandler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.answers.set()
        self.server.shutdown()
        self.server.server_close()

    def is_asked(self):
        """Since the answers are held back."""
        return self.held.is_set()

    def settings(self):
        values = {"embed.kind": "openai", "embed.model": "ok", "embed.dimension": "8",
                  "embed.url": f"http://127.0.0.1:{self.server.server_address[1]}/v1"}
        return [word for name, value in values.items() for word in ("--set", f"{name}={value}")]


def hosts(*postgres):
    return ("--set", "store.kind=postgres", "--set", "store.url=postgresql://samtale@"
            + ",".join(f"127.0.0.1:{one.port}" for one in postgres)
            + "/postgres?target_session_attrs=read-write")


class DatabaseFailoverTest(unittest.TestCase):
    def test_d4_a_standby_takes_over_that_has_not_got_the_last_commits(self):
        primary = self.enterContext(Postgres())
        link = self.enterContext(FaultProxy(primary.port))
        standby = self.enterContext(Standby(primary, link.port, synchronous=False))
        servers = [self.enterContext(Server(*hosts(primary, standby))) for _ in range(2)]
        ledger = Ledger(servers[0].company("acme"), servers)
        ledger.send_some("kept", 60)
        ledger.wait_until_all_is_stored()
        end = primary.sql("SELECT pg_current_wal_insert_lsn()")
        wait_for("the standby to have it", lambda: standby.sql(
            f"SELECT pg_last_wal_replay_lsn() >= '{end}'") == "t")

        link.cut()
        ledger.send_some("lost", 60)
        ledger.wait_until_all_is_stored()
        for server in servers:
            ledger.wait_until_each_is_found(server)
        primary.kill()
        standby.promote()

        # Nothing new comes: what was lost is noticed, and done again, all the same.
        ledger.wait_until_all_is_stored()
        for server in servers:
            ledger.wait_until_each_is_found(server)
        ledger.send_some("new", 20)
        ledger.wait_until_all_is_stored()
        for server in servers:
            ledger.wait_until_each_is_found(server, sample=140)
            wait_for("an index of what is stored and no more", lambda: ledger.status(server)["index"][
                "conversations"] == 140)
        for server in servers:
            self.assertEqual(metric(server, "samtale_store_failovers"), 1)
        self.assertGreater(sum(metric(server, "samtale_store_lost_writes") for server in servers), 0)
        self.assertIn("store.lost_commits", "".join(server.read_log() for server in servers))

    def test_a_cut_off_standby_stops_writes_but_neither_accepting_nor_searching(self):
        primary = self.enterContext(Postgres())
        link = self.enterContext(FaultProxy(primary.port))
        self.enterContext(Standby(primary, link.port))
        hurried = (*hosts(primary), "--set", "store.statement_timeout_ms=1000")
        worker = self.enterContext(Server("--role", "indexer,searcher,analyst,keeper", *hurried))
        gateway = self.enterContext(Server("--role", "gateway", *hurried))
        ledger = Ledger(worker.company("acme"), [gateway])
        ledger.send_some("before", 20)
        ledger.wait_until_all_is_stored()
        through_gateway = copy.copy(ledger.company)
        through_gateway.server = gateway
        wait_for("a searcher", lambda: through_gateway.call("POST", "/v1/search", {"query": "x"})[0] == 200)

        link.hang()
        ledger.send_some("meanwhile", 20)
        until = time.monotonic() + 15  # Longer than a lease of who is there.
        while time.monotonic() < until:
            status, _, _ = through_gateway.call("POST", "/v1/search", {"query": "before words"})
            self.assertEqual(status, 200)
        self.assertIn(ledger.status()["conversations"], range(20, 25), "nothing is stored on one of the two alone")
        there = worker.cli("cluster", "status")["nodes"]
        self.assertEqual((len(there), sum(one["leads"] for one in there)), (2, 1), "nobody is taken for dead")

        link.heal()
        ledger.wait_until_all_is_stored()
        ledger.wait_until_each_is_found(gateway)

    def test_an_old_primary_that_goes_on_gets_no_write_that_would_be_lost(self):
        primary = self.enterContext(Postgres())
        link, first, second = (self.enterContext(FaultProxy(primary.port)) for _ in range(3))
        standby = self.enterContext(Standby(primary, link.port))

        def both(proxy):  # As a server on this side of the cut reaches them.
            return ("--set", "store.kind=postgres", "--set", "store.statement_timeout_ms=2000", "--set",
                    f"store.url=postgresql://samtale@127.0.0.1:{proxy.port},127.0.0.1:{standby.port}"
                    "/postgres?target_session_attrs=read-write")

        servers = [self.enterContext(Server(*both(proxy))) for proxy in (first, second)]
        ledger = Ledger(servers[0].company("acme"), servers)
        ledger.send_some("before", 20)
        ledger.wait_until_all_is_stored()
        with ledger.load():
            ledger.wait_for_more()
            # The first server and the standby are on one side; the second is with the old primary.
            link.cut()
            first.cut()
            standby.promote()
            wait_for("the first server to find the new primary", lambda: metric(
                servers[0], "samtale_store_failovers") == 1)
            ledger.wait_for_more(100)
            old = int(primary.sql("SELECT count(*) FROM samtale.events", user="admin"))
            ledger.wait_for_more(100)
            # It waits for a standby that it has not any more: what is in it then is not confirmed.
            self.assertLessEqual(int(primary.sql("SELECT count(*) FROM samtale.events")) - old, 16)
            # The operator ends it.
            second.cut()
            primary.kill()
            wait_for("the second server to find it, too", lambda: metric(
                servers[1], "samtale_store_failovers") == 1)
            ledger.wait_for_more()
        ledger.wait_until_all_is_stored()
        for server in servers:
            ledger.wait_until_each_is_found(server)

    def test_a_server_that_has_seen_the_new_primary_does_not_go_back_to_the_old(self):
        primary = self.enterContext(Postgres())
        way = self.enterContext(FaultProxy(primary.port))
        standby = self.enterContext(Standby(primary, synchronous=False))
        server = self.enterContext(Server(
            "--set", "store.kind=postgres", "--set",
            f"store.url=postgresql://samtale@127.0.0.1:{way.port},127.0.0.1:{standby.port}"
            "/postgres?target_session_attrs=read-write"))
        ledger = Ledger(server.company("acme"), [server])
        ledger.send_some("before", 20)
        ledger.wait_until_all_is_stored()
        way.cut()
        standby.promote()
        ledger.send_some("after", 20)
        ledger.wait_until_all_is_stored()
        had = primary.sql("SELECT sum(writes) FROM samtale.partitions")

        # The old one is there again, and first in the list; the new one goes away.
        way.heal()
        standby.stand_still()
        try:
            ledger.send_some("meanwhile", 20)
            wait_for("being told", lambda: "another has taken over with timeline 2" in server.read_log())
            self.assertEqual(primary.sql("SELECT sum(writes) FROM samtale.partitions"), had)
        finally:
            standby.go_on()
        way.cut()
        ledger.wait_until_all_is_stored()
        ledger.wait_until_each_is_found(server)
        self.assertEqual(metric(server, "samtale_store_lost_writes"), 0)


class ServersCutOffTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.postgres = cls.enterClassContext(Postgres())

    def searcher(self, *flags):
        port = free_port()
        proxy = self.enterContext(FaultProxy(port))
        server = Server("--role", "searcher,indexer", *flags, "--set",
                        f"cluster.url=http://127.0.0.1:{proxy.port}", port=port)
        return self.enterContext(server), proxy

    def test_a_gateway_that_reaches_one_searcher_or_hears_no_answers_asks_another(self):
        flags = (*self.postgres.settings(), "--set", "store.schema=searchers")
        (first, to_first), (second, to_second) = self.searcher(*flags), self.searcher(*flags)
        gateway = self.enterContext(Server("--role", "gateway", *flags))
        ledger = Ledger(first.company("acme"), [gateway])
        ledger.send_some("c", 10)
        acme = copy.copy(ledger.company)
        acme.server = gateway

        def search():
            began = time.monotonic()
            status, answer, headers = acme.call("POST", "/v1/search", {"query": "words", "mode": "keyword"})
            self.assertLess(time.monotonic() - began, 30)
            if status == 503:
                self.assertIn("Retry-After", headers)
            return len(answer["hits"]) if status == 200 else status

        def both_answer():
            had = [proxy.answers for proxy in (to_first, to_second)]
            return [search() for _ in range(20)] == [10] * 20 and all(
                proxy.answers > before for proxy, before in zip((to_first, to_second), had))

        wait_for("both to be asked", both_answer)
        for fault in (FaultProxy.cut, FaultProxy.swallow, FaultProxy.lose_answers):
            with self.subTest(fault=fault.__name__):
                for proxy in (to_first, to_second):
                    fault(proxy)
                    self.assertEqual([search() for _ in range(5)], [10] * 5)
                    proxy.heal()
                    wait_for("both again", both_answer)
                fault(to_first)
                fault(to_second)
                self.assertEqual(search(), 503)
                to_first.heal()
                to_second.heal()
                wait_for("an answer", lambda: search() == 10)

    def leader(self, server):
        leads = [one["node"] for one in server.cli("cluster", "status")["nodes"] if one["leads"]]
        self.assertLessEqual(len(leads), 1)
        return leads[0] if leads else None

    def node_id(self, server):
        with open(os.path.join(server.data, "node.id"), encoding="utf-8") as file:
            return file.read()

    def two_keepers(self, schema, way, *flags, own_flags=((), ())):
        """The first leads, and reaches the database by that way."""
        flags = ("--set", "store.schema=" + schema, "--set", "store.statement_timeout_ms=2000", *flags)
        first = self.enterContext(Server(*self.postgres.settings(way.port), *flags, *own_flags[0]))
        wait_for("it to lead", lambda: self.leader(first) == self.node_id(first))
        return first, self.enterContext(Server(*self.postgres.settings(), *flags, *own_flags[1]))

    def test_d19_one_server_cut_from_the_database_accepts_and_leads_no_more(self):
        way = self.enterContext(FaultProxy(self.postgres.port))
        first, second = self.two_keepers("cut_off", way, *SHORT_LEASES)
        ledger = Ledger(first.company("acme"), [first, second])
        with ledger.load():
            ledger.wait_for_more()
            way.swallow()
            wait_for("the other to lead", lambda: self.leader(second) == self.node_id(second))
            had = {name for name in ledger.answered if name.startswith("load0")}
            wait_for("the one to accept", lambda: sum(
                name.startswith("load0") for name in ledger.answered) > len(had) + 20)
            way.heal()
            wait_for("it to be there again", lambda: len(first.cli("cluster", "status")["nodes"]) == 2)
        self.assertEqual(self.leader(second), self.node_id(second), "who leads goes on")
        for server in (first, second):
            ledger.servers[0] = server
            ledger.wait_until_all_is_stored()
            ledger.wait_until_each_is_found(server)

    def test_what_a_server_had_begun_that_died_others_do_long_before_its_leases_end(self):
        embedders = [self.enterContext(Embedder()) for _ in range(2)]
        way = self.enterContext(FaultProxy(self.postgres.port))
        first, second = self.two_keepers("died", way, "--set", f"queue.lease_ms={LONG_LEASE_S * 1000}",
                                         own_flags=[embedder.settings() for embedder in embedders])
        ledger = Ledger(first.company("acme"), [second])
        embedders[0].answers.clear()
        with ledger.load():
            wait_for("the one to ask for vectors", embedders[0].is_asked)
        first.kill()
        began = time.monotonic()
        ledger.wait_until_all_is_stored()
        self.assertLess(time.monotonic() - began, LONG_LEASE_S)
        ledger.wait_until_each_is_found(second)

    def test_a10_e7_h2_h10_a_server_stands_still_for_longer_than_its_leases(self):
        receiver = self.enterContext(Receiver())
        embedders = [self.enterContext(Embedder()) for _ in range(2)]
        way = self.enterContext(FaultProxy(self.postgres.port))
        first, second = self.two_keepers("stood_still", way, *SHORT_LEASES, *notify_flags(receiver),
                                         own_flags=[embedder.settings() for embedder in embedders])
        ledger = Ledger(first.company("acme"), [second])
        first.cli("subscription", "create", receiver.url, "--company", "acme")
        ledger.send_some("before", 30)
        ledger.wait_until_all_is_stored()
        # In the middle of its work: it has the lead, and jobs whose vectors it waits for.
        embedders[0].answers.clear()
        with ledger.load():
            wait_for("the one to ask for vectors", embedders[0].is_asked)
            first.process.send_signal(signal.SIGSTOP)
            try:
                embedders[0].answers.set()
                wait_for("the other to lead", lambda: self.leader(second) == self.node_id(second))
                ledger.wait_for_more()
            except BaseException:
                first.process.send_signal(signal.SIGCONT)
                raise
        try:
            # Also what the one had taken: nobody else would give it vectors.
            ledger.wait_until_all_is_stored()
        finally:
            first.process.send_signal(signal.SIGCONT)
        with ledger.load():
            ledger.wait_for_more()
        self.assertEqual(self.leader(first), self.node_id(second))
        ledger.servers = [second]
        ledger.wait_until_all_is_stored()
        for server in (first, second):
            ledger.wait_until_each_is_found(server)
        self.assertEqual(ledger.company.call("GET", "/v1/dead-letters")[1]["dead_letters"], [])
        # What is told of it, under one id: who has seen that knows the second time for what it is.
        wait_for("all to be told", lambda: receiver.names() == set(ledger.answered))
        ids = collections.Counter(event["data"]["conversation_id"] for event in receiver.events().values())
        self.assertEqual(set(ids.values()), {1})


if __name__ == "__main__":
    unittest.main()
