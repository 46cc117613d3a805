"""The same evaluation gives the same ranks in both profiles: one server on SQLite, and servers of different roles on
PostgreSQL, RabbitMQ and Redis.

Both are sent the sample of ./dev demo as it sends it, as signed webhooks. Then `samtale eval` asks its judged queries
through each one's front door. It prints means alone, so each query is also asked by itself, and what is found is
compared rank by rank: at a gateway, which asks a searcher, and at each searcher, which answers from its own index."""
import collections
import itertools
import json
import os
import subprocess
import sys
import tempfile
import unittest

from cluster import Cluster
from samtale import BIN, DEADLINE_S, ENVIRONMENT, Server, metric, wait_for

EXAMPLES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "examples")
FILES = [os.path.join(EXAMPLES, "sample", name) for name in ("danish.jsonl", "english.jsonl")]
MODES = "keyword", "vector", "hybrid"


def by_company(files):
    found = collections.defaultdict(list)
    for name in files:
        with open(name, encoding="utf-8") as file:
            for one in map(json.loads, file):
                found[one["company_id"]].append(one)
    return found


CONVERSATIONS = by_company(FILES)
QUERIES = by_company(name.replace(".jsonl", "_queries.jsonl") for name in FILES)


def send_sample(server, front):
    """To companies made at the server, through what is in front of it; the companies there."""
    companies = {name: server.company(name) for name in CONVERSATIONS}
    endpoints = {}
    for name, company in companies.items():
        made = company.endpoint()
        endpoints[name] = {"url": f"http://127.0.0.1:{front.port}/v1/webhooks/{made['id']}", "secret": made["secret"]}
    with tempfile.NamedTemporaryFile("w") as file:
        json.dump(endpoints, file)
        file.flush()
        subprocess.run([sys.executable, os.path.join(EXAMPLES, "send_webhooks.py"), "--endpoints", file.name, *FILES],
                       check=True, timeout=DEADLINE_S)
    return {name: company.at(front) for name, company in companies.items()}


def wait_until_whole(companies, server):
    for name, company in companies.items():
        wait_for(f"all of {name}", lambda: company.at(server).is_whole(len(CONVERSATIONS[name])))


def evaluate(company):
    """What the command line of somebody with a key to the company says."""
    with tempfile.NamedTemporaryFile("w") as key:  # Of mode 0600.
        key.write(company.key)
        key.flush()
        done = subprocess.run(
            [BIN, "eval", "-", "--json", "--modes", ",".join(MODES), "--key-file", key.name,
             "--url", f"http://127.0.0.1:{company.server.port}"], env=ENVIRONMENT, check=True, text=True,
            input="\n".join(map(json.dumps, QUERIES[company.name])), stdout=subprocess.PIPE, timeout=DEADLINE_S)
    return json.loads(done.stdout)["modes"]


def ranks(company, query, mode):
    """All that is found, in order. Of equal scores, what was stored first is first, which is left to chance."""
    return [(score, sorted(hit["external_id"] for hit in same)) for score, same in itertools.groupby(
        company.search(query, mode, limit=100), lambda hit: round(hit["score"], 5))]


class EvaluationTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        one, cluster = cls.enterClassContext(Server()), cls.enterClassContext(Cluster(all_engines=True))
        cls.gateway, cls.searchers = cluster.gateway, [cluster.nodes["searcher1"], cluster.nodes["searcher2"]]
        cls.at_one, cls.at_cluster = send_sample(one, one), send_sample(cluster.gateway, cluster.proxy)
        wait_until_whole(cls.at_one, one)
        for searcher in cls.searchers:
            wait_until_whole(cls.at_cluster, searcher)

    def test_an_evaluation_says_the_same_of_both(self):
        said = {name: evaluate(company) for name, company in self.at_one.items()}
        for name, company in self.at_cluster.items():
            self.assertEqual(evaluate(company), said[name], name)

        asked = sum(map(len, QUERIES.values()))
        for mode in MODES:
            means = [modes[mode]["all"] for modes in said.values()]
            self.assertEqual(sum(mean["queries"] for mean in means), asked)
            mrr, recall = (sum(mean[name] * mean["queries"] for mean in means) / asked
                           for name in ("mrr_at_10", "recall_at_10"))
            self.assertTrue(0 < mrr <= 1 and 0 < recall <= 1, (mrr, recall))
            print(f"{mode}, {asked} queries: MRR@10 {mrr:.3f}, recall@10 {recall:.3f} in both")

    def test_each_query_has_the_same_ranks_everywhere(self):
        before = [metric(searcher, "samtale_searches_sent_on") for searcher in self.searchers]
        for name, queries in QUERIES.items():
            for query, mode in itertools.product([one["query"] for one in queries], MODES):
                expected = ranks(self.at_one[name], query, mode)
                for server in (self.gateway, *self.searchers):
                    self.assertEqual(ranks(self.at_cluster[name].at(server), query, mode), expected,
                                     f"{name}, {mode}: {query}")
        self.assertEqual([metric(searcher, "samtale_searches_sent_on") for searcher in self.searchers], before,
                         "each from its own index")


if __name__ == "__main__":
    unittest.main()
