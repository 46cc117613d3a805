"""What was asked before is answered as if it were asked first, with a Redis below or without."""
import itertools
import os
import re
import subprocess
import sys
import tempfile
import unittest
import urllib.request

from redis_server import Redis
from samtale import Server, conversation, wait_for

EMBEDDER = os.path.join(os.path.dirname(__file__), "..", "support", "scripted_embedding_server.py")


class EmbeddingServer:
    def __enter__(self):
        self.folder = tempfile.TemporaryDirectory(prefix="samtale-embed-")
        announce = os.path.join(self.folder.name, "port")
        self.process = subprocess.Popen(
            [sys.executable, EMBEDDER, "--port", "0", "--announce", announce])
        self.port = int(wait_for("the embedding server's start", lambda: read(announce)))
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.folder.cleanup()

    def settings(self):
        values = {"embed.kind": "openai", "embed.url": f"http://127.0.0.1:{self.port}/v1",
                  "embed.model": "ok", "embed.dimension": "8"}
        return [word for name, value in values.items() for word in ("--set", f"{name}={value}")]


def read(path):
    if not os.path.exists(path):
        return ""
    with open(path, encoding="utf-8") as file:
        return file.read().strip()


def metric(server, name, label):
    url = f"http://127.0.0.1:{server.port}/metrics"
    text = urllib.request.urlopen(url).read().decode()
    return float(re.search(rf'^{name}\{{.*"{label}".*\}} (\S+)$', text, re.MULTILINE)[1])


def names(hits):
    return sorted(hit["external_id"] for hit in hits)


class CachesTest(unittest.TestCase):
    def setUp(self):
        self.embedder = self.enterContext(EmbeddingServer())

    def start(self, *settings):
        server = self.enterContext(Server(*self.embedder.settings(), *settings))
        return server, server.company("acme")

    def test_a_kept_answer_knows_what_came_and_what_went_since(self):
        server, acme = self.start()
        acme.send(conversation("a", "My parcel never came"))
        found = acme.find("parcel", "vector")

        self.assertEqual(acme.search("parcel", "vector"), found)
        self.assertEqual(metric(server, "samtale_cache_hits", "query_vectors"),
                         metric(server, "samtale_cache_hits", "searches"))
        self.assertGreaterEqual(metric(server, "samtale_cache_hits", "searches"), 1)
        second = acme.send(conversation("b", "The invoice is wrong"))
        wait_for("finding the second",
                 lambda: names(acme.search("parcel", "vector")) == ["a", "b"])
        misses = metric(server, "samtale_cache_misses", "searches")
        self.assertEqual(metric(server, "samtale_cache_misses", "query_vectors"), 1)

        self.assertEqual(acme.call("DELETE", f"/v1/conversations/{second}")[0], 200)

        self.assertEqual(metric(server, "samtale_cache_values", "searches"), 0)
        self.assertEqual(names(acme.search("parcel", "vector")), ["a"])
        self.assertEqual(metric(server, "samtale_cache_misses", "searches"), misses + 1)

    def test_nodes_share_the_vectors_of_queries_and_do_without_their_redis(self):
        redis = self.enterContext(Redis())
        one, acme = self.start(*redis.settings())
        two, there = self.start(*redis.settings())
        for company in (acme, there):
            company.send(conversation("a", "My parcel never came"))
            company.find("parcel")

        # Within 30 ms, which a busy machine may miss: then the next question does it.
        questions = (f"question {i}" for i in itertools.count())

        def ask(between=lambda: None):
            question = next(questions)
            found = acme.find(question, "vector")
            between()
            self.assertEqual(names(there.find(question, "vector")), names(found))

        def shares(outcome, between=lambda: None):
            ask(between)
            return metric(two, "samtale_shared_cache_calls", outcome) > 0

        wait_for("a shared vector", lambda: shares("hit"))
        self.assertRegex(redis.command("KEYS", "*")[0], r"^samtale:\d+:[0-9a-f]{64}$")

        def overwrite():
            for name in redis.command("KEYS", "*"):
                redis.command("SET", name, "what somebody else put there")

        wait_for("a refused value", lambda: shares("refused", overwrite))

        redis.kill()
        for query in ("question 0", "never asked before", "nor this"):
            self.assertEqual(names(acme.search(query, "vector")), ["a"])
        self.assertGreaterEqual(metric(one, "samtale_shared_cache_calls", "error"), 1)


if __name__ == "__main__":
    unittest.main()
