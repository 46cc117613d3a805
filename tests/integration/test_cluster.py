"""Servers of different roles on one PostgreSQL, behind HAProxy: the main job, and what happens when
each of them is killed, hangs, comes and goes.

A ledger outside remembers what was answered with 2xx. SAMTALE_CLUSTER_ROUNDS says how often
everything is killed in turn (default 1; a release runs 20, some ten minutes)."""
import collections
import copy
import http.client
import json
import os
import random
import shutil
import signal
import threading
import time
import unittest

from cluster import ROLES, Cluster
from samtale import Server, conversation, metric, own_write_is_found, sign, wait_for

ROUNDS = int(os.environ.get("SAMTALE_CLUSTER_ROUNDS", "1"))


class OnACluster:
    all_engines = False

    @classmethod
    def setUpClass(cls):
        cls.cluster = cls.enterClassContext(Cluster("--set", "limits.failures_max=100000",
                                                    all_engines=cls.all_engines))
        cls.nodes, cls.proxy, cls.gateway = (cls.cluster.nodes, cls.cluster.proxy,
                                             cls.cluster.gateway)

    def company(self, name):
        """Made at one gateway, and used through the proxy."""
        made = self.gateway.company(name)
        made.server = self.proxy
        return made


class ClusterTest(OnACluster, unittest.TestCase):
    def find_everywhere(self, company, query):
        """At each searcher that may be asked: one follows the store later than another."""
        wait_for(f"{query!r} at all searchers", lambda: all(
            company.search(query, "keyword") for _ in range(12)))
        return company.search(query, "keyword")[0]

    def test_what_the_proxy_is_sent_is_found_by_words_and_by_meaning(self):
        acme, globex = self.company("main-acme"), self.company("main-globex")
        acme.send(conversation("c1", "My parcel with the lamp never arrived", "I will look")
                  | {"status": "ended"})

        hit = self.find_everywhere(acme, "lamp")
        self.assertEqual(hit["external_id"], "c1")
        wait_for("its vector", lambda: acme.search("parcels never arriving", "vector"))
        wait_for("its analyses", lambda: acme.call(
            "GET", "/v1/conversations/" + hit["id"])[1].get("analyses"))
        self.assertEqual(globex.search("lamp", "keyword"), [])
        status = acme.call("GET", "/v1/status")[1]
        self.assertEqual(status["index"]["conversations"], 1, "as a searcher says")
        page = acme.search("lamp", limit=1)
        self.assertEqual(len(page), 1)

    def test_what_was_read_at_one_gateway_is_found_at_another_that_is_told_so(self):
        writer = self.company("own-writes")
        reader = copy.copy(writer)
        writer.server, reader.server = self.nodes["gateway1"], self.nodes["gateway2"]
        waited = [own_write_is_found(writer, reader, f"own{i}") for i in range(50)]
        print(f"50 of 50 found at once, the slowest in {max(waited) * 1000:.0f} ms")

    def test_it_gives_the_same_ranks_as_one_server(self):
        chance = random.Random(4)
        words = [a + b for a in ("par", "lam", "ket", "bil", "rou", "ord", "pho", "win")
                 for b in ("cel", "per", "tle", "ling", "der", "ne", "rs", "dow")]
        conversations = [conversation(f"c{i}", *(" ".join(chance.choices(words, k=8 + i % 17))
                                                 for _ in range(4))) for i in range(200)]
        queries = [" ".join(chance.choices(words, k=3)) for _ in range(20)]

        def shown(hits):
            # Of equal scores, also with one that is not shown, the company's number says who is first.
            scores = [round(hit["score"], 5) for hit in hits]
            return [(score, hit["external_id"] if scores.count(score) == 1 and score != scores[-1] else "")
                    for score, hit in zip(scores, hits)]

        def ranks(company):
            for one in conversations:
                company.send(one)
            wait_for("all of them", lambda: all(
                company.call("GET", "/v1/status")[1].get("index", {}).get("vectors") ==
                company.call("GET", "/v1/status")[1]["chunks"] >= len(conversations)
                for _ in range(6)))  # At each searcher.
            return [shown(company.search(query, mode))
                    for query in queries for mode in ("keyword", "vector", "hybrid")]

        with Server() as alone:
            expected = ranks(alone.company("ranks"))
        self.assertEqual(ranks(self.company("ranks")), expected)

    def test_one_keeper_leads_and_another_takes_over(self):
        def leader():
            leads = [one["node"] for one in self.cluster.members() if one["leads"]]
            return leads[0] if len(leads) == 1 else None

        first = wait_for("a leader", leader)
        names = {self.cluster.node_id(name): name for name in ROLES}
        self.assertIn(names[first], ("keeper1", "keeper2"))
        self.nodes[names[first]].kill()
        try:
            wait_for("another leader", lambda: leader() not in (None, first))
        finally:
            self.nodes[names[first]].start()

    def test_searches_go_on_while_a_searcher_is_killed_or_hangs(self):
        acme = self.company("killed")
        acme.send(conversation("c1", "the kettle leaks"))
        self.find_everywhere(acme, "kettle")
        searcher = self.nodes["searcher1"]
        # Killed last: how soon a gateway knows of the next one is not what is tested.
        for end, begin in ((lambda: searcher.process.send_signal(signal.SIGSTOP),
                            lambda: searcher.process.send_signal(signal.SIGCONT)),
                           (searcher.kill, searcher.start)):
            end()
            try:
                for _ in range(30):
                    started = time.monotonic()
                    self.assertEqual(len(acme.search("kettle")), 1)
                    self.assertLess(time.monotonic() - started, 5)
            finally:
                begin()
            wait_for("both again", lambda: self.cluster.ready_copies() == [2, 2, 2, 2])
        self.assertGreater(sum(metric(self.nodes[name], "samtale_searches_hedges_won")
                               for name in ("gateway1", "gateway2")), 0, "beside the one that hangs")

    def test_a_third_searcher_takes_its_part_and_gives_it_back(self):
        companies = [self.company(f"moved-{i}") for i in range(8)]
        for i, company in enumerate(companies):
            company.send(conversation("c", f"moving day {i}"))
            self.find_everywhere(company, "moving")
        stop, failures = threading.Event(), []

        def search():
            while not stop.is_set():
                for company in companies:
                    status, answer, _ = company.call("POST", "/v1/search",
                                                     {"query": "moving", "mode": "keyword"})
                    if status != 200 or len(answer["hits"]) != 1:
                        failures.append((status, answer))

        thread = threading.Thread(target=search)
        thread.start()
        try:
            with Server("--role", "searcher", *self.cluster.flags()) as third:
                with open(os.path.join(third.data, "node.id")) as file:
                    name = file.read()
                wait_for("its part", lambda: any(
                    one["node"] == name and one["partitions"] for one in self.cluster.members()))
                wait_for("the others to let go", lambda: self.cluster.ready_copies() == [2, 2, 2, 2])
                self.assertEqual(third.stop(), 0)
            wait_for("the others to have it again",
                     lambda: self.cluster.ready_copies() == [2, 2, 2, 2] and len(self.cluster.members()) == 8)
        finally:
            stop.set()
            thread.join()
        self.assertEqual(failures, [], "no search failed meanwhile")

    def test_a_copied_data_folder_is_refused(self):
        copy = Server("--role", "indexer", *self.cluster.flags())
        try:
            os.makedirs(copy.data, mode=0o700)
            shutil.copy(os.path.join(self.nodes["indexer1"].data, "node.id"), copy.data)
            with self.assertRaisesRegex(AssertionError, "runs elsewhere"):
                copy.start()
        finally:
            copy.__exit__()


def external_ids(company):
    """Of all its conversations, each as often as it is listed."""
    found, cursor = [], ""
    while True:
        status, page, _ = company.call("GET", f"/v1/conversations?limit=200&cursor={cursor}")
        assert status == 200, page
        found += [one["external_id"] for one in page["conversations"]]
        cursor = page["next_cursor"]
        if not cursor:
            return found


class AllEnginesTest(OnACluster, unittest.TestCase):
    """With a broker, which confirms events before they are answered, and a Redis."""

    all_engines = True

    def test_nothing_is_lost_or_doubled_while_everything_is_killed_in_turn(self):
        acme, canary = self.company("ledger"), self.company("canary")
        acme.server = self.gateway  # The command line's.
        endpoint = acme.endpoint()
        acme.server = self.proxy
        canary.send(conversation("secret", "canaryword7"))
        engines = {"postgres": self.cluster.postgres, "rabbit": self.cluster.rabbit,
                   "redis": self.cluster.redis}
        answered, acks, stop = set(), collections.Counter(), threading.Event()
        slowest = collections.Counter()  # Seconds from a kill to the next 20 answers, by what was killed.

        def send(first):
            i = first
            while not stop.is_set():
                name = f"l{i}"
                body = json.dumps(conversation(name, f"ledger{name} words", "ok")).encode()
                try:
                    status, answer, _ = acme.call("POST", "/v1/webhooks/" + endpoint["id"], body,
                                                  sign(endpoint["secret"], "msg_" + name, body))
                except (OSError, http.client.HTTPException, ValueError):
                    continue  # Not answered, or by the proxy: sent again, as a provider does.
                if status in (200, 202):
                    answered.add(name)
                    acks[answer["ack"]] += 1
                    i += 4
                time.sleep(0.01)  # What is measured is not speed.

        senders = [threading.Thread(target=send, args=(i,)) for i in range(4)]
        for sender in senders:
            sender.start()
        try:
            for _ in range(ROUNDS):
                for victim in (*ROLES, *engines):
                    had = len(answered)
                    server = engines.get(victim) or self.nodes[victim]
                    server.kill()
                    began = time.monotonic()
                    wait_for("answers without " + victim, lambda: len(answered) > had + 20)
                    slowest[victim] = max(slowest[victim], time.monotonic() - began)
                    server.start()
            had = acks["replicated"]
            wait_for("the broker to confirm again", lambda: acks["replicated"] > had + 50)
        finally:
            stop.set()
            for sender in senders:
                sender.join()

        ended = time.monotonic()
        wait_for("all to be stored", lambda: acme.call("GET", "/v1/status")[1].get(
            "conversations") == len(answered))
        left = None  # Many rounds leave more to do than a deadline lasts: it need only become less.
        while left != 0:
            left = wait_for(f"fewer than {left} chunks without a vector", lambda before=left: [
                now for now in (acme.call("GET", "/v1/status")[1].get("chunks_without_vector"),)
                if now is not None and (before is None or now < before)])[0]
        caught_up = time.monotonic() - ended
        # Both searchers may have been killed not long ago, and have much to read.
        wait_for("its index to be open", lambda: acme.call(
            "POST", "/v1/search", {"query": "words", "mode": "keyword"})[0] == 200)
        opened = time.monotonic() - ended
        self.assertEqual(acme.call("GET", "/v1/status")[1]["events"], len(answered))
        self.assertEqual(sorted(external_ids(acme)), sorted(answered))
        for name in sorted(answered)[::max(1, len(answered) // 50)]:
            self.assertEqual([one["external_id"] for one in acme.find(f"ledger{name}")], [name])
        self.assertEqual(acme.search("canaryword7", "keyword"), [])
        letters = acme.call("GET", "/v1/dead-letters?limit=200")[1]["dead_letters"]
        self.assertEqual({one["cause"] for one in letters}
                         - {"worker died or timed out 5 times"}, set())
        print(f"{ROUNDS} rounds, {len(answered)} events answered ({acks['replicated']} replicated), "
              f"0 lost, 0 doubled; all had vectors {caught_up:.1f} s after the last, all were found after {opened:.1f} s; 20 more answers after a kill: "
              + ", ".join(f"{victim} {seconds:.1f} s" for victim, seconds in slowest.items()))


if __name__ == "__main__":
    unittest.main()
