"""The main job with RabbitMQ before the store's queue: two servers on one PostgreSQL, and a broker that
is killed with SIGKILL under load."""
import copy
import json
import shutil
import subprocess
import threading
import time
import unittest

import test_main_job
from postgres_server import Postgres
from rabbit_server import Rabbit, RabbitCluster
from samtale import BIN, ENVIRONMENT, Server, conversation, metric, sign, wait_for

POSTGRES = Postgres()
RABBIT = Rabbit()


def setUpModule():
    unittest.enterModuleContext(POSTGRES)
    unittest.enterModuleContext(RABBIT)


def flags(schema):
    return (*POSTGRES.settings(), *RABBIT.settings(), "--set", "store.schema=" + schema)


def topology(schema, *words):
    done = subprocess.run([BIN, "topology", "check", *words, "--json", *flags(schema)],
                          capture_output=True, text=True, timeout=120, env=ENVIRONMENT)
    return done.returncode, json.loads(done.stdout)


class MainJobThroughBrokerTest(test_main_job.MainJobTest):
    @classmethod
    def setUpClass(cls):
        assert topology("main_job", "--fix")[0] == 0
        cls.flags = flags("main_job")
        super().setUpClass()


class TopologyTest(unittest.TestCase):
    def test_queues_are_made_on_request_and_by_no_server(self):
        with Server(*flags("unmade")) as server:
            acme = server.company("acme")
            acme.send(conversation("c1", "the kettle leaks"))
            acme.find("kettle")
            wait_for("its vector", lambda: acme.search("leaking kettles", "vector"))
            self.assertEqual(metric(server, "samtale_broker_published"), 0)
            self.assertIn("unmade.parked is not there; `samtale topology check --fix` makes it",
                          server.read_log())
            self.assertEqual(topology("unmade")[0], 1)

            status, made = topology("unmade", "--fix")
            self.assertEqual(status, 0)
            self.assertTrue(all(one["fixed"] for one in made["queues"]))
            wait_for("the broker's part", lambda: metric(server, "samtale_broker_up") == 8)
            acme.send(conversation("c2", "the toaster burns"))
            acme.find("toaster")
            wait_for("messages", lambda: metric(server, "samtale_broker_delivered") >= 2)
        status, found = topology("unmade")
        self.assertEqual(status, 0)
        self.assertEqual({one["problem"] for one in found["queues"]}, {""})


class KilledBrokerTest(unittest.TestCase):
    def test_nothing_is_lost_or_doubled_while_the_broker_is_killed(self):
        _, made = topology("killed", "--fix")
        RABBIT.wait_until_kept(*(one["name"] for one in made["queues"]))
        answered, stop = set(), threading.Event()
        with Server(*flags("killed")) as one, Server(*flags("killed")) as two:
            acme = one.company("acme")
            endpoint = acme.endpoint()
            wait_for("the other to know it", lambda: acme.at(two).is_known(endpoint))

            def send(first, server):
                company, i = copy.copy(acme), first
                company.server = server
                while not stop.is_set():
                    name = f"l{i}"
                    body = json.dumps(conversation(name, f"ledger{name} words", "ok")).encode()
                    status, _, _ = company.call("POST", "/v1/webhooks/" + endpoint["id"], body,
                                                sign(endpoint["secret"], "msg_" + name, body))
                    self.assertEqual(status, 202)
                    answered.add(name)
                    i += 2
                    time.sleep(0.05)  # What is measured is not speed.

            senders = [threading.Thread(target=send, args=(i, server))
                       for i, server in enumerate((one, two))]
            for sender in senders:
                sender.start()
            try:
                for _ in range(2):
                    had = len(answered)
                    wait_for("some by the broker", lambda: len(answered) > had + 50)
                    RABBIT.kill()
                    wait_for("some without it", lambda: len(answered) > had + 100)
                    RABBIT.start()
            finally:
                stop.set()
                for sender in senders:
                    sender.join()

            def status():
                return acme.call("GET", "/v1/status")[1]

            wait_for("all to be stored", lambda: status().get("conversations") == len(answered))
            wait_for("all vectors", lambda: status().get("chunks_without_vector") == 0)
            wait_for("both by the broker again", lambda: all(
                metric(server, "samtale_broker_up") == 8 for server in (one, two)))
            self.assertEqual(status()["events"], len(answered))
            for name in sorted(answered)[::max(1, len(answered) // 50)]:
                self.assertEqual([hit["external_id"] for hit in acme.find(f"ledger{name}")], [name])
            self.assertEqual(acme.call("GET", "/v1/dead-letters")[1]["dead_letters"], [])
            published = sum(metric(server, "samtale_broker_published") for server in (one, two))
            self.assertGreater(published, 0)
            print(f"{len(answered)} events answered, 0 lost, 0 doubled; {published:.0f} messages")


class ReplicatedTest(unittest.TestCase):
    def post(self, company, endpoint, name):
        body = json.dumps(conversation(name, f"ledger{name} words", "ok")).encode()
        status, answer, _ = company.call("POST", "/v1/webhooks/" + endpoint["id"], body,
                                         sign(endpoint["secret"], "msg_" + name, body))
        self.assertEqual(status, 202)
        return answer["ack"]

    def test_an_event_survives_the_disks_of_its_server_and_of_one_broker_of_three(self):
        rabbits = self.enterContext(RabbitCluster())
        everything = (*POSTGRES.settings(), *rabbits.settings(), "--set", "store.schema=three")
        made = subprocess.run([BIN, "topology", "check", "--fix", *everything], timeout=120,
                              capture_output=True, text=True, env=ENVIRONMENT)
        self.assertEqual(made.returncode, 0, made.stderr)
        replicated = (*everything, "--set", "accept.ack=replicated", "--role", "gateway")
        with Server(*replicated) as doomed:
            acme = doomed.company("acme")
            endpoint = acme.endpoint()
            names = [f"l{i}" for i in range(100)]
            self.assertEqual({self.post(acme, endpoint, name) for name in names}, {"replicated"})
            doomed.kill()
            shutil.rmtree(doomed.data)
        rabbits.nodes[0].kill()
        shutil.rmtree(rabbits.nodes[0].folder)
        with Server(*everything, "--role", "searcher,indexer") as keeper, \
                Server(*replicated) as gateway:
            acme.server = keeper
            wait_for("all to be stored", lambda: acme.call(
                "GET", "/v1/status")[1].get("conversations") == len(names))
            self.assertEqual(acme.call("GET", "/v1/status")[1]["events"], len(names))

            acme.server = gateway
            more = iter(range(1000))
            wait_for("two of three to confirm", lambda: self.post(
                acme, endpoint, f"two{next(more)}") == "replicated")
            rabbits.nodes[1].kill()
            wait_for("one of three to be no majority", lambda: self.post(
                acme, endpoint, f"one{next(more)}") == "local")
            rabbits.nodes[1].start()
            wait_for("two of three again", lambda: self.post(
                acme, endpoint, f"again{next(more)}") == "replicated")

    def test_an_event_answered_as_replicated_survives_the_disk_of_the_server_that_took_it(self):
        _, made = topology("lost_disk", "--fix")
        RABBIT.wait_until_kept(*(one["name"] for one in made["queues"]))
        everything = flags("lost_disk")
        replicated = (*everything, "--set", "accept.ack=replicated")
        with Server(*everything, "--role", "searcher,indexer") as keeper:
            with Server(*replicated, "--role", "gateway") as doomed:
                acme = doomed.company("acme")
                endpoint = acme.endpoint()
                self.post(acme, endpoint, "first")
                keeper_acme = copy.copy(acme)
                keeper_acme.server = keeper
                keeper_acme.find("ledgerfirst")
                names = [f"l{i}" for i in range(100)]
                acks = [self.post(acme, endpoint, name) for name in names]
                self.assertEqual(set(acks), {"replicated"})
                doomed.kill()
                shutil.rmtree(doomed.data)

            def status():
                return keeper_acme.call("GET", "/v1/status")[1]

            wait_for("all to be stored", lambda: status().get("conversations") == len(names) + 1)
            self.assertEqual(status()["events"], len(names) + 1)
            for name in names[::10]:
                self.assertEqual([hit["external_id"] for hit in keeper_acme.find(f"ledger{name}")],
                                 [name])

    def test_without_the_broker_events_are_answered_from_the_servers_own_disk(self):
        topology("away", "--fix")
        with Server(*flags("away"), "--set", "accept.ack=replicated") as server:
            acme = server.company("acme")
            endpoint = acme.endpoint()
            self.assertEqual(self.post(acme, endpoint, "a"), "replicated")
            RABBIT.kill()
            try:
                self.assertEqual(self.post(acme, endpoint, "b"), "local")
                begin = time.monotonic()
                self.assertEqual(self.post(acme, endpoint, "c"), "local")
                self.assertLess(time.monotonic() - begin, 1)
                acme.find("ledgerc")
                self.assertEqual(metric(server, "samtale_accept_kept_here"), 2)
                self.assertEqual(metric(server, "samtale_accept_replication_up"), 0)
            finally:
                RABBIT.start()
            names = iter(range(1000))
            wait_for("the broker again",
                     lambda: self.post(acme, endpoint, f"d{next(names)}") == "replicated")


if __name__ == "__main__":
    unittest.main()
