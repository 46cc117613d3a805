"""PostgreSQL and RabbitMQ run out of disk and memory, and their disks fail, under load.

Goal:   no acknowledged event is lost and none takes effect twice; accepting goes on, and says who has the event;
        a search is answered or refused with 503; all goes on by itself once the engine does.
Method: their data lies on a disk so small that it is filled; strace makes what they sync fail. Where an engine has
        ended, it is started again, as its operator would. A ledger outside remembers what was answered.

B5, B7, D1 and D8 are numbers of the catalogue of faults."""
import collections
import contextlib
import os
import threading
import unittest

import samtale
from cluster import Engines
from ledger import Ledger
from postgres_server import Postgres
from rabbit_server import Rabbit
from samtale import metric, wait_for
from small_disk import why_no_mounts
from test_faults import strace, why_no_strace

samtale.DEADLINE_S = 240


def why_no_disk():
    return why_no_mounts() or (None if os.geteuid() == 0 else "only root can give PostgreSQL a disk of its own")


class EngineResourcesTest(unittest.TestCase):
    def start(self, **engines):
        self.engines = self.enterContext(Engines(**engines))
        self.gateway = self.enterContext(self.engines.gateway("--set", "store.statement_timeout_ms=3000"))
        self.ledger = Ledger(self.gateway.company("acme"), [self.gateway])
        self.ledger.send_some("before", 20)
        self.ledger.wait_until_all_is_stored()

    @contextlib.contextmanager
    def load(self):
        """Events, and searches beside them."""
        stop, self.searches = threading.Event(), collections.Counter()

        def search():
            number = 0
            while not stop.wait(0.05):
                number += 1
                status, _, _ = self.ledger.company.call(
                    "POST", "/v1/search", {"query": f"ledgerbefore{number % 20}", "mode": "keyword"})
                self.searches[status] += 1

        searcher = threading.Thread(target=search)
        searcher.start()
        try:
            with self.ledger.load():
                self.ledger.wait_for_acks("replicated")
                yield
        finally:
            stop.set()
            searcher.join()

    def holds_all(self):
        self.ledger.wait_until_all_is_stored()
        self.ledger.wait_until_each_is_found(self.gateway)
        # An analysis may have failed five times while the database came and went: then its operator asks for it again.
        company = self.ledger.company
        company.call("POST", "/v1/dead-letters/redrive", {})
        wait_for("the queue to drain", lambda: not company.call("GET", "/v1/jobs")[1]["waiting"])
        self.assertEqual(company.call("GET", "/v1/dead-letters")[1]["dead_letters"], [])
        self.assertLessEqual(set(self.searches), {200, 503})
        print(f"{self.id().rsplit('.', 1)[1]}: {len(self.ledger.answered)} events answered "
              f"({dict(collections.Counter(self.ledger.acks.values()))}), 0 lost, 0 doubled; searches {dict(self.searches)}")

    @unittest.skipIf(why_no_disk(), why_no_disk())
    def test_b7_the_disk_of_postgresql_is_full(self):
        postgres = Postgres(disk_bytes=160 << 20)
        self.start(postgres=postgres)
        with self.load():
            postgres.disk.fill()
            wait_for("PostgreSQL to fail", lambda: "No space left on device" in postgres.log())
            self.ledger.wait_for_more(200)
            postgres.disk.empty()
            if postgres.process.poll() is not None:
                postgres.start()
            self.ledger.wait_for_more(100)
        self.holds_all()

    @unittest.skipIf(why_no_strace(), why_no_strace())
    def test_b5_the_disk_of_postgresql_fails(self):
        postgres = Postgres(fsync=True)
        self.start(postgres=postgres)
        postgres.kill()
        postgres.start(*strace(postgres.folder + "/trace", "-e", "trace=fdatasync", "-e",
                               "inject=fdatasync:error=EIO:when=40"))
        with self.load():
            wait_for("PostgreSQL to fail", lambda: "PANIC" in postgres.log())
            self.ledger.wait_for_more(200)
            postgres.kill()
            postgres.start()
            self.ledger.wait_for_more(100)
        self.holds_all()

    @unittest.skipIf(why_no_mounts(), why_no_mounts())
    def test_b7_the_disk_of_rabbitmq_is_full(self):
        rabbit = Rabbit(disk_bytes=256 << 20)
        self.start(rabbit=rabbit)
        with self.load():
            rabbit.disk.fill()
            wait_for("the gateway to notice", lambda: metric(
                self.gateway, "samtale_accept_replication_up") == 0)
            self.ledger.wait_for_acks("local", 100)
            rabbit.disk.empty()
            rabbit.kill()  # Its queues have ended, and 3.10 does not begin them again by itself.
            rabbit.start()
            self.ledger.wait_for_acks("replicated", 100)
        self.holds_all()

    @unittest.skipIf(why_no_strace(), why_no_strace())
    def test_b5_the_disk_of_rabbitmq_fails(self):
        rabbit = Rabbit()
        self.start(rabbit=rabbit)
        rabbit.kill()
        rabbit.start(*strace(rabbit.folder + "/trace", "-e", "trace=fdatasync", "-e",
                             "inject=fdatasync:error=EIO:when=40+"))
        with self.load():
            wait_for("the gateway to notice", lambda: metric(
                self.gateway, "samtale_accept_replication_up") == 0)
            self.ledger.wait_for_acks("local", 100)
            rabbit.kill()
            rabbit.start()
            self.ledger.wait_for_acks("replicated", 100)
        self.holds_all()

    def test_d8_rabbitmq_has_no_memory_left_and_takes_nothing_more(self):
        self.start()
        rabbit = self.engines.rabbit
        with self.load():
            rabbit.evaluate("vm_memory_monitor:set_vm_memory_high_watermark({absolute, 1000000})")
            wait_for("the gateway to notice", lambda: metric(
                self.gateway, "samtale_accept_replication_up") == 0)
            self.ledger.wait_for_acks("local", 100)
            rabbit.evaluate("vm_memory_monitor:set_vm_memory_high_watermark(0.4)")
            self.ledger.wait_for_acks("replicated", 100)
        self.holds_all()


if __name__ == "__main__":
    unittest.main()
