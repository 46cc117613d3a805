"""D16 of the catalogue of faults: names of hosts that are not answered for, do not exist, change, or lead inside.

Goal:   a name never holds anybody up for longer than the address behind it could; who cannot be reached for it is
        named; a name that changes is followed; a webhook goes to no address inside, whatever its name says.
Method: a name server of the test's own, which the server asks in place of the machine's. While it is silent a look-up
        takes thirty seconds, which is longer than anything here may take."""
import os
import subprocess
import sys
import time
import unittest

from name_server import CAN_MOUNT, NameServer
from postgres_server import Postgres
from rabbit_server import Rabbit
from redis_server import Redis
from samtale import BIN, ENVIRONMENT, Ended, Server, conversation, metric, wait_for
from test_caches import EmbeddingServer
from test_notify import Receiver

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
from fault_proxy import FaultProxy

LOOKUP_S = 30


class NamedServer(Server):
    """Asks `names` for them."""

    def __init__(self, names, *flags):
        super().__init__(*flags)
        self.names = names

    def __enter__(self):
        self.start(*self.names.prefix())
        return self


def at(host, port):
    return ("--set", "store.kind=postgres", "--set", f"store.url=postgresql://samtale@{host}:{port}/postgres")


@unittest.skipUnless(CAN_MOUNT, "needs root: another name server is mounted for the process")
class NamesTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.postgres = cls.enterClassContext(Postgres())

    def ends_saying(self, names, host):
        server = NamedServer(names, *at(host, self.postgres.port))
        began = time.monotonic()
        with self.assertRaises(Ended) as ended:
            server.__enter__()
        took = time.monotonic() - began
        server.__exit__()
        return str(ended.exception), took

    def test_a_database_whose_name_is_unknown_or_not_answered_for_is_named_at_start(self):
        with NameServer() as names:
            said, _ = self.ends_saying(names, "db.test")
            self.assertIn("the name db.test was not resolved: Name or service not known", said)
            names.silent = True
            said, took = self.ends_saying(names, "db.test")
            self.assertIn("the name db.test was not resolved in time", said)
            self.assertLess(took, LOOKUP_S - 5)

    def test_a_database_is_found_behind_a_name_with_one_good_address_of_two(self):
        with NameServer(db_test=["127.0.0.5", "127.0.0.1"]) as names, \
                NamedServer(names, *at(f"nowhere.test:{self.postgres.port},db.test", self.postgres.port)) as server:
            server.company("good").send(conversation("c", "the kettle leaks"))

    def test_a_database_is_followed_to_another_address(self):
        old = FaultProxy(self.postgres.port).__enter__()
        with NameServer(db_test=["127.0.0.1"]) as names, \
                NamedServer(names, *at("db.test", old.port)) as server:
            acme = server.company("moved")
            acme.send(conversation("before", "the kettle leaks"))
            acme.find("kettle")
            old.__exit__()
            with FaultProxy(self.postgres.port, "127.0.0.7", old.port):
                acme.send(conversation("meanwhile", "the toaster burns"))
                names.names["db.test"] = ["127.0.0.7"]
                acme.find("toaster")

    def test_accepting_goes_on_while_nobody_answers_for_any_name(self):
        proxies = {}
        with NameServer(db_test=["127.0.0.1"], mq_test=["127.0.0.1"], redis_test=["127.0.0.1"]) as names:
            for name, engine in (("rabbit", Rabbit()), ("redis", Redis())):
                engine = self.enterContext(engine)
                proxies[name] = self.enterContext(FaultProxy(engine.port))
            proxies["database"] = self.enterContext(FaultProxy(self.postgres.port))
            flags = ("--set", "queue.kind=rabbitmq", "--set", "store.schema=names",
                     "--set", "queue.url=amqp://127.0.0.1:%d" % proxies["rabbit"].port)
            subprocess.run([BIN, "topology", "check", "--fix", *self.postgres.settings(), *flags],
                           check=True, stdout=subprocess.DEVNULL, timeout=60, env=ENVIRONMENT)
            named = [word.replace("amqp://127.0.0.1", "amqp://mq.test") for word in flags]
            with NamedServer(names, *at("db.test", proxies["database"].port), *named,
                             *self.enterContext(EmbeddingServer()).settings(),
                             "--set", "accept.ack=replicated",
                             "--set", "cache.redis_url=redis://redis.test:%d" % proxies["redis"].port) as server:
                acme = server.company("acme")
                acme.send(conversation("before", "the kettle leaks"))
                acme.find("kettle")
                names.silent = True
                for proxy in proxies.values():
                    proxy.cut()
                for proxy in proxies.values():
                    proxy.heal()  # They are there; their names are not.
                for i in range(4):
                    began = time.monotonic()
                    acme.send(conversation(f"meanwhile{i}", f"the toaster{i} burns"))
                    self.assertLess(time.monotonic() - began, LOOKUP_S / 2)
                    began = time.monotonic()
                    status = acme.call("POST", "/v1/search", {"query": f"kettle {i}"})[0]
                    self.assertIn(status, (200, 503))
                    self.assertLess(time.monotonic() - began, LOOKUP_S - 5)
                wait_for("being told which", lambda: "the name db.test was not resolved in time" in server.read_log())
                self.assertEqual(metric(server, "samtale_accept_replication_up"), 0)
                names.silent = False
                acme.find("toaster3")
                wait_for("all of them", lambda: acme.call("GET", "/v1/status")[1].get("conversations") == 5)
                self.assertEqual(metric(server, "samtale_store_lost_writes"), 0)

    def test_a_broker_whose_name_is_unknown_or_not_answered_for_is_named(self):
        def check(names):
            began = time.monotonic()
            done = subprocess.run([*names.prefix(), BIN, "topology", "check", *self.postgres.settings(), "--set",
                                   "queue.kind=rabbitmq", "--set", "queue.url=amqp://mq.test"], timeout=60,
                                  capture_output=True, text=True, env=ENVIRONMENT)
            self.assertNotEqual(done.returncode, 0)
            self.assertLess(time.monotonic() - began, LOOKUP_S - 5)
            return done.stderr

        with NameServer() as names:
            self.assertIn("the name mq.test was not resolved: Name or service not known", check(names))
            names.silent = True
            self.assertIn("the name mq.test was not resolved in time", check(names))

    def test_a_webhook_is_not_sent_where_its_name_leads_inside(self):
        with Receiver() as trap, NameServer() as names:
            flags = ("--set", "notify.allow_http=true", "--set", f"notify.ports={trap.port}",
                     "--set", "notify.timeout_ms=2000")
            with NamedServer(names, *flags) as server:
                acme = server.company("acme")
                made = acme.call("POST", "/v1/subscriptions", {"url": f"http://hook.test:{trap.port}/"})[1]

                def told():
                    return acme.call("POST", f"/v1/subscriptions/{made['id']}/test")[1]

                self.assertIn("resolve", told()["cause"])
                for addresses in (["127.0.0.1"], ["10.0.0.1", "127.0.0.1"], ["169.254.169.254"]):
                    names.names["hook.test"] = addresses
                    self.assertIn("its address is one not to connect to", told()["cause"])
                # Public as it is judged, inside a moment later.
                names.names["hook.test"] = ["192.0.2.1"]
                told()
                names.names["hook.test"] = ["127.0.0.1"]
                self.assertIn("its address is one not to connect to", told()["cause"])
                # Asked for the first time: an answer is remembered for a while.
                made = acme.call("POST", "/v1/subscriptions", {"url": f"http://silent.test:{trap.port}/"})[1]
                names.silent = True
                began = time.monotonic()
                self.assertIn("no answer in", told()["cause"])
                self.assertLess(time.monotonic() - began, LOOKUP_S - 5)
                self.assertEqual(trap.connections, 0)


if __name__ == "__main__":
    unittest.main()
