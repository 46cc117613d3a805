"""A company split over the slices of its partition, on three searchers that each hold two of the three:
its searches find the same, to the bit, before, while and after it is split and joined, and none fails."""
import contextlib
import copy
import random
import threading
import time
import unittest

from postgres_server import Postgres
from samtale import Server, conversation, metric, own_write_is_found, wait_for

ROLES = {"gateway": "gateway", "worker": "indexer,analyst,keeper",
         "searcher1": "searcher", "searcher2": "searcher", "searcher3": "searcher"}
CONVERSATIONS = 240


class SplitTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.postgres = cls.enterClassContext(Postgres())
        cls.nodes = {name: cls.enterClassContext(Server(
            "--role", roles, *cls.postgres.settings(), "--set", "store.partitions=2",
            "--set", "cluster.slices=3", "--set", "limits.failures_max=100000"))
            for name, roles in ROLES.items()}
        cls.gateway = cls.nodes["gateway"]
        cls.searchers = [cls.nodes[f"searcher{i}"] for i in (1, 2, 3)]
        wait_for("the searchers", cls.all_loaded)
        cls.queries = cls.make_company()

    @classmethod
    def make_company(cls):
        chance = random.Random(7)
        words = [a + b for a in ("par", "lam", "ket", "bil", "rou", "ord", "pho", "win")
                 for b in ("cel", "per", "tle", "ling", "der", "ne", "rs", "dow")]
        cls.acme, cls.other = cls.gateway.company("acme"), cls.gateway.company("other")
        for i in range(CONVERSATIONS):
            one = conversation(f"c{i}", *(" ".join(chance.choices(words, k=8 + i % 17)) for _ in range(4)))
            cls.acme.send(one | {"channel": "voice" if i % 3 == 0 else "chat"})
        cls.other.send(conversation("o", "parcel of another company"))
        wait_for("all of it", lambda: all(
            cls.indexed(cls.acme) == CONVERSATIONS for _ in range(12)))
        filters = {"channel": "voice"}
        return [{"query": " ".join(chance.choices(words, k=3)), "mode": mode, "limit": 20, **more}
                for mode in ("keyword", "vector", "hybrid") for more in ({}, {"filters": filters})
                for _ in range(3)]

    @classmethod
    def indexed(cls, company):
        """Conversations whose chunks all have vectors, as one of those that have the index says; none while any are
        still worked on, for that changes what is shown of them."""
        status = company.call("GET", "/v1/status")[1]
        if status["chunks_without_vector"] or any(kind["ready"] + kind["delayed"] + kind["leased"]
                                                  for kind in status["queue"]):
            return 0
        return status["index"]["conversations"] if status["index"]["vectors"] == status["chunks"] else 0

    @classmethod
    def members(cls):
        return cls.gateway.cli("cluster", "status")["nodes"]

    @classmethod
    def all_loaded(cls):
        """Each of six slices twice."""
        slices = [one for member in cls.members() for one in member["slices"]]
        return sorted(slices) == sorted(2 * [f"{i}/{k}" for i in (0, 1) for k in (0, 1, 2)])

    def held(self):
        return sorted(metric(one, "samtale_index_conversations") for one in self.searchers)

    def wait_until_arranged(self, layout, split):
        wait_for("all to have it", lambda: all(one["layout"] == layout for one in self.members()))
        total = 2 * (CONVERSATIONS + 1)

        def is_arranged():
            held = self.held()
            # Split: each searcher has two thirds. Whole: two have all of it, one nothing.
            fits = held[0] > CONVERSATIONS // 3 if split else held[1] >= CONVERSATIONS
            return sum(held) == total and fits

        wait_for("what was before to go", is_arranged)

    def answers(self):
        found = []
        for query in self.queries:
            status, answer, _ = self.acme.call("POST", "/v1/search", query)
            found.append((status, {name: value for name, value in answer.items() if name != "took_ms"}))
        return found

    @contextlib.contextmanager
    def under_searches(self, expected):
        stop, wrong, rounds = threading.Event(), [], [0]

        def search():
            while not stop.is_set():
                wrong.extend(got for got, want in zip(self.answers(), expected) if got != want)
                rounds[0] += 1

        threads = [threading.Thread(target=search) for _ in range(2)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        self.assertEqual(wrong[:3], [], f"{len(wrong)} of {rounds[0] * len(expected)}")
        self.assertGreater(rounds[0], 2)
        print(f"{rounds[0] * len(expected)} searches, all the same")

    def test_searches_are_the_same_while_a_company_is_split_and_joined_and_a_searcher_is_killed(self):
        expected = self.answers()
        self.assertTrue(all(status == 200 and answer["hits"] for status, answer in expected))

        with self.under_searches(expected):
            done = self.gateway.cli("company", "split", "acme")
            self.assertEqual(done, {"name": "acme", "split": True, "layout": 1})
            self.wait_until_arranged(1, split=True)
        self.assertEqual(self.gateway.cli("cluster", "status")["split_companies"], ["acme"])
        self.assertEqual(self.indexed(self.acme), CONVERSATIONS, "as all slices say together")
        self.assertEqual(len(self.other.search("parcel", "keyword")), 1)

        waited = [own_write_is_found(self.acme, self.acme, f"own{i}") for i in range(10)]
        print(f"10 own writes found at once, the slowest in {max(waited) * 1000:.0f} ms")
        wait_for("what came to be gone at each searcher", lambda: self.answers() == expected)

        with self.under_searches(expected):
            self.searchers[0].kill()
            wait_for("the others to have its part", lambda: sum(self.held_by_others()) == 2 * (CONVERSATIONS + 1))
        self.searchers[0].start()
        wait_for("all three again", self.all_loaded)
        self.assertEqual(self.answers(), expected)

        with self.under_searches(expected):
            self.gateway.cli("company", "join", "acme")
            self.wait_until_arranged(2, split=False)
        self.assertEqual(self.gateway.cli("cluster", "status")["split_companies"], [])

    def held_by_others(self):
        return [metric(one, "samtale_index_conversations") for one in self.searchers[1:]]

    def test_a_slice_is_nothing_for_those_who_have_no_pass(self):
        for server in (self.gateway, self.searchers[0]):
            there = copy.copy(self.acme)
            there.server = server
            status, answer, _ = there.call("POST", "/v1/slices/0", {"query": "parcel", "limit": 5})
            self.assertEqual((status, answer["code"]), (404, "not_found"))


class EveryNodeAsksEveryOtherTest(unittest.TestCase):
    """Three servers that do all, each with one slice and few threads, asked by many at once."""

    def test_nodes_that_wait_for_each_others_slices_all_get_them(self):
        with contextlib.ExitStack() as stack:
            postgres = stack.enter_context(Postgres())
            nodes = [stack.enter_context(Server(
                *postgres.settings(), "--set", "store.partitions=1", "--set", "cluster.slices=3",
                "--set", "cluster.replicas=1", "--set", "http.handler_threads=2")) for _ in range(3)]
            acme = nodes[0].company("acme")
            for i in range(30):
                acme.send(conversation(f"c{i}", f"parcel {i} is late"))

            def at(node):
                there = copy.copy(acme)
                there.server = node
                return there

            wait_for("the words", lambda: len(acme.search("parcel", "keyword", limit=100)) == 30)
            acme.server.cli("company", "split", "acme")
            wait_for("each to have its slice only", lambda: sorted(
                metric(node, "samtale_index_companies") for node in nodes) == [0, 0, 0]
                and all(metric(node, "samtale_index_conversations") > 0 for node in nodes))
            wrong = []

            def search(company):
                for _ in range(40):
                    status, answer, _ = company.call("POST", "/v1/search", {
                        "query": "late parcel", "mode": "keyword", "limit": 100})
                    if status != 200 or len(answer["hits"]) != 30:
                        wrong.append((status, answer))

            threads = [threading.Thread(target=search, args=(at(node),)) for node in nodes for _ in range(4)]
            began = time.monotonic()
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            print(f"{40 * len(threads)} searches in {time.monotonic() - began:.1f} s")
            self.assertEqual(wrong[:3], [], len(wrong))


if __name__ == "__main__":
    unittest.main()
