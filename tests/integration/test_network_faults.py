"""What the network does between two servers and their PostgreSQL, Redis and RabbitMQ.

Goal:   no acknowledged event is lost and none takes effect twice; accepting does not wait for anything
        that is away; a search is answered or refused with 503 within its limit; all goes on by itself
        once the fault is over.
Method: each dependency stands behind a proxy that fails as networks do (support/fault_proxy.py). Under
        a small load one of them fails for some seconds, and a ledger outside remembers what was
        answered with 2xx. A stranger knocks with what nobody knows, which is asked of the database.

D1 to D19 are numbers of the catalogue of faults. Of them others show D4 and D19's partitions (test_split_networks), D8's
(test_split_brokers, test_engines_replaced), D6 (store), D7 (test_postgres), D9, D12 (test_rabbitmq, store), D10's
counterparts (a queue that is not durable: queue; a database without fsync: store, test_alerts), D13's wrong bytes (cache),
D16 (test_names) and D17 (test_certificates); test_engine_resources: full and failing disks of the engines."""
import copy
import http.client
import itertools
import json
import os
import random
import subprocess
import sys
import threading
import time
import unittest

from postgres_server import Postgres
from rabbit_server import Rabbit
from redis_server import Redis
from samtale import BIN, ENVIRONMENT, Server, conversation, sign, wait_for
from test_caches import EmbeddingServer

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
from fault_proxy import FaultProxy

FAULT_S = 1.6
# A test machine is slow at times: these are for what hangs, not for what is late.
ACCEPT_MAX_S = 1
SEARCH_MAX_S = 6
RECOVERY_MAX_S = 20
# Longer than an accept may take: what waits for the database shows.
STATEMENT_MS = 1500


class Load:
    """Senders and searchers at both servers, until it ends."""

    def __init__(self, companies, endpoint):
        self.companies, self.endpoint = companies, endpoint
        self.answered, self.accepts, self.searches, self.knocks = [], [], [], []
        self.numbers = itertools.count()
        self.stop = threading.Event()

    def __enter__(self):
        self.threads = [threading.Thread(target=work, args=(company,)) for company in self.companies
                        for work in (self.send, self.search)]
        self.threads.append(threading.Thread(target=self.knock))
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        for thread in self.threads:
            thread.join()

    def send(self, company):
        while not self.stop.is_set():
            name = f"e{next(self.numbers)}"
            body = json.dumps(conversation(name, f"word{name} arrived", "I will look")).encode()
            headers = sign(self.endpoint["secret"], "msg_" + name, body)
            status = 0
            while status not in (200, 202):  # Sent again, as a provider does.
                status = self.timed(self.accepts, company, "/v1/webhooks/" + self.endpoint["id"],
                                    body, headers)
            self.answered.append(name)
            self.stop.wait(0.04)

    def search(self, company):
        for i in itertools.count():
            if self.stop.is_set():
                return
            # Asked for the first time, so that its vector is looked for in the cache that nodes share.
            self.timed(self.searches, company, "/v1/search", {"query": f"arrived {i}"})
            self.stop.wait(0.04)

    def knock(self):
        """A stranger, with endpoints and keys that nobody has."""
        for i in itertools.count():
            company = copy.copy(self.companies[i % 2])
            if self.stop.is_set():
                return
            self.timed(self.knocks, company, f"/v1/webhooks/nobody{i}", b"{}",
                       sign(self.endpoint["secret"], "msg_0", b"{}"))
            company.key = f"{company.key[:-6]}{i:06}"
            self.timed(self.knocks, company, "/v1/conversations", conversation("c", "x"))
            self.stop.wait(0.04)

    def timed(self, times, company, path, body, headers=None):
        began = time.monotonic()
        try:
            status = company.call("POST", path, body, headers)[0]
        except (OSError, http.client.HTTPException, ValueError):
            status = 0
        times.append((time.monotonic() - began, status))
        return status


class NetworkFaultsTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        enter = cls.enterClassContext
        cls.postgres, cls.redis, rabbit = enter(Postgres()), enter(Redis()), enter(Rabbit())
        cls.database = enter(FaultProxy(cls.postgres.port))
        cls.cache = enter(FaultProxy(cls.redis.port))
        cls.broker = enter(FaultProxy(rabbit.port))
        flags = (*cls.postgres.settings(cls.database.port), *rabbit.settings(cls.broker.port))
        subprocess.run([BIN, "topology", "check", "--fix", *flags], check=True, env=ENVIRONMENT,
                       stdout=subprocess.DEVNULL, timeout=60)
        flags += (*cls.redis.settings(cls.cache.port), *enter(EmbeddingServer()).settings(),
                  "--set", f"store.statement_timeout_ms={STATEMENT_MS}",
                  "--set", "http.handler_threads=2",  # One for what may wait, one for accepting.
                  "--set", "limits.failures_max=1000000")
        cls.worker = enter(Server("--role", "indexer,searcher,analyst,keeper", *flags))
        cls.gateway = enter(Server("--role", "gateway", *flags))
        cls.companies = itertools.count()
        first = cls.worker.company("first")
        first.server = cls.gateway
        wait_for("a searcher", lambda: first.call("POST", "/v1/search", {"query": "x"})[0] == 200)

    def survives(self, proxy, fault, search_statuses, end=FaultProxy.heal):
        """The laws, while the fault lasts and after it."""
        made = self.worker.company(f"company{next(self.companies)}")
        endpoint = made.endpoint()
        companies = [made, copy.copy(made)]
        companies[1].server = self.gateway
        for company in companies:  # Who is new just after a fault may be refused for a second.
            wait_for("a server that knows it", lambda: company.is_known(endpoint))
        with Load(companies, endpoint) as load:
            wait_for("a load", lambda: len(load.answered) > 20)
            for company in companies:
                wait_for("searches that find", lambda: self.finds(company, load.answered[0]))
            touched = proxy.faulty
            fault(proxy)
            time.sleep(FAULT_S)  # The fault is what takes this time.
            had = len(load.answered)
            wait_for("answers meanwhile", lambda: len(load.answered) > had)
            # What was away before is asked again after a pause.
            wait_for("the fault to meet something", lambda: proxy.faulty > touched)
            end(proxy)
            healed = time.monotonic()
            name = load.answered[-1]
            for company in companies:
                wait_for("searches again", lambda: self.finds(company, name))
            recovery = time.monotonic() - healed

        self.holds_all(companies[0], load.answered)
        slowest_accept, slowest_search = max(load.accepts)[0], max(load.searches)[0]
        statuses = {status for _, status in load.searches}
        strangers = {status for _, status in load.knocks}
        print(f"{self.id().rsplit('.', 1)[1]}: {len(load.answered)} events, slowest accept "
              f"{slowest_accept:.2f} s, slowest search {slowest_search:.2f} s of {len(load.searches)} "
              f"({sorted(statuses)}), slowest stranger {max(load.knocks)[0]:.2f} s ({sorted(strangers)}), searching again after {recovery:.2f} s", file=sys.stderr)
        self.assertEqual({status for _, status in load.accepts} - {200, 202}, set())
        self.assertLessEqual(statuses, search_statuses)
        self.assertLess(slowest_accept, ACCEPT_MAX_S)
        self.assertLess(slowest_search, SEARCH_MAX_S)
        self.assertLess(recovery, RECOVERY_MAX_S)

    def finds(self, company, name):
        status, answer, _ = company.call("POST", "/v1/search",
                                         {"query": "word" + name, "mode": "keyword"})
        return status == 200 and [hit["external_id"] for hit in answer["hits"]] == [name]

    def holds_all(self, company, names):
        def status():
            said = company.call("GET", "/v1/status")[1]
            return [said.get(key) for key in ("conversations", "events", "chunks_without_vector")]

        wait_for("all of it", lambda: status() == [len(names), len(names), 0])
        for name in random.sample(names, 10):
            wait_for("finding " + name, lambda: self.finds(company, name))

    def test_d19_all_hang_at_once(self):
        proxies = (self.database, self.cache, self.broker)
        self.survives(self.database, lambda _: [proxy.hang() for proxy in proxies], {200, 503},
                      lambda _: [proxy.heal() for proxy in proxies])

    def test_d1_the_database_is_cut_off(self):
        self.survives(self.database, FaultProxy.cut, {200, 503})

    def test_d2_the_database_hangs(self):
        self.survives(self.database, FaultProxy.hang, {200, 503})

    def test_d2_d19_the_network_to_the_database_swallows_all(self):
        self.survives(self.database, FaultProxy.swallow, {200, 503})

    def test_d3_answers_to_commits_are_lost(self):
        self.survives(self.database, lambda proxy: proxy.lose_answers_to(b"COMMIT"), {200, 503})

    def test_d5_the_database_only_reads(self):
        def only_read(proxy):
            self.postgres.sql("ALTER ROLE samtale SET default_transaction_read_only = on")
            proxy.cut()
            proxy.delay(0, 0)  # All connect anew, and meet that.

        def write_again(proxy):
            self.postgres.sql("ALTER ROLE samtale RESET default_transaction_read_only")
            proxy.heal()

        self.survives(self.database, only_read, {200, 503}, write_again)

    def test_d18_connections_to_the_database_are_half_open(self):
        self.survives(self.database, FaultProxy.half_open, {200, 503})

    def test_d18_the_network_to_the_database_is_slow_and_mixes_connections(self):
        self.survives(self.database, lambda proxy: proxy.delay(0.02, 0.1), {200, 503})

    def test_d18_of_what_is_sent_to_the_database_30_percent_is_lost_on_the_way(self):
        self.survives(self.database, lambda proxy: proxy.lose_packets(0.3), {200, 503})

    def test_d18_of_what_is_sent_to_the_broker_30_percent_is_lost_on_the_way(self):
        self.survives(self.broker, lambda proxy: proxy.lose_packets(0.3), {200})

    def test_d18_the_database_sends_byte_by_byte(self):
        self.survives(self.database, lambda proxy: proxy.slow(100), {200, 503})

    def test_d13_d19_the_cache_is_cut_off(self):
        self.survives(self.cache, FaultProxy.cut, {200})

    def test_d13_the_cache_hangs(self):
        self.survives(self.cache, FaultProxy.hang, {200})

    def test_d13_d14_the_cache_answers_after_its_deadline(self):
        self.survives(self.cache, lambda proxy: proxy.delay(0.02, 0.06), {200})

    def test_d15_the_cache_is_emptied_again_and_again(self):
        end = threading.Event()

        def empty(proxy):
            proxy.delay(0, 0)
            while not end.wait(0.01):
                self.redis.command("FLUSHALL")

        emptying = threading.Thread(target=empty, args=(self.cache,))
        self.addCleanup(emptying.join)
        self.addCleanup(end.set)
        self.survives(self.cache, lambda _: emptying.start(), {200})

    def test_d8_the_broker_is_cut_off(self):
        self.survives(self.broker, FaultProxy.cut, {200})

    def test_d8_d19_the_broker_hangs(self):
        self.survives(self.broker, FaultProxy.hang, {200})

    def test_d11_d18_connections_to_the_broker_are_half_open(self):
        self.survives(self.broker, FaultProxy.half_open, {200})


if __name__ == "__main__":
    unittest.main()
