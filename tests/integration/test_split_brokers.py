"""One of three brokers is cut from the other two, or stands still, while gateways publish to them.

Goal:   nothing that was answered with 2xx is lost or takes effect twice; an answer says "replicated" only where a
        majority has the event; all goes on by itself.
Method: a ledger outside remembers what was answered. Brokers are cut from each other by their cookies.

D8 of the catalogue of faults; who dies and is replaced: test_engines_replaced."""
import collections
import signal
import subprocess
import unittest

import samtale
from ledger import Ledger
from postgres_server import Postgres
from rabbit_server import RabbitCluster, settings
from samtale import BIN, ENVIRONMENT, Server, metric, wait_for

samtale.DEADLINE_S = 240


class BrokerPartitionTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.postgres, cls.rabbits = cls.enterClassContext(Postgres()), cls.enterClassContext(RabbitCluster())

    def start(self, schema, *broker):
        """A gateway with the broker at each of these, and one indexer behind them all."""
        common = (*self.postgres.settings(), "--set", "store.schema=" + schema)
        made = subprocess.run([BIN, "topology", "check", "--fix", *common, *self.rabbits.settings()], timeout=120,
                              capture_output=True, text=True, env=ENVIRONMENT)
        self.assertEqual(made.returncode, 0, made.stderr)
        worker = self.enterContext(Server("--role", "indexer,searcher", *common, *self.rabbits.settings()))
        gateways = [self.enterContext(Server("--role", "gateway", *common, *one, "--set", "accept.ack=replicated"))
                    for one in broker]
        ledger = Ledger(worker.company("acme"), gateways)
        self.assertEqual(ledger.send(gateways[0], "first"), "replicated")
        return worker, ledger

    def settle(self, worker, ledger):
        wait_for("all to be stored", lambda: ledger.status(worker).get("conversations") == len(ledger.answered))
        self.assertEqual(ledger.status(worker)["events"], len(ledger.answered))
        ledger.wait_until_each_is_found(worker)
        self.assertEqual(ledger.company.call("GET", "/v1/dead-letters")[1]["dead_letters"], [])
        print(f"{len(ledger.answered)} events answered ({collections.Counter(ledger.acks.values())}), 0 lost, 0 doubled")

    def test_d8_one_broker_is_cut_from_the_other_two(self):
        minority = self.rabbits.nodes[0]
        worker, ledger = self.start("minority", settings(minority.port), self.rabbits.settings())
        with_minority, with_all = ledger.servers
        with ledger.load():
            ledger.wait_for_acks("replicated")
            minority.cut_off()
            try:
                wait_for("the one to be no majority", lambda: metric(
                    with_minority, "samtale_accept_replication_up") == 0)
                had = metric(with_all, "samtale_accept_replicated")
                wait_for("the two to go on", lambda: metric(with_all, "samtale_accept_replicated") > had + 50)
                self.assertEqual(metric(with_minority, "samtale_accept_replication_up"), 0)
            finally:
                minority.join_again()
            ledger.wait_for_acks("replicated", 50)
        self.assertIn("local", ledger.acks.values())
        self.settle(worker, ledger)

    def test_d8_the_broker_that_leads_the_queue_is_cut_from_the_other_two(self):
        worker, ledger = self.start("leader", self.rabbits.settings(), self.rabbits.settings())
        with ledger.load():
            ledger.wait_for_acks("replicated")
            leader = self.rabbits.leader_of(self.queue("leader"))
            leader.cut_off()
            try:
                ledger.wait_for_more()
                ledger.wait_for_acks("replicated", 50)
            finally:
                leader.join_again()
            ledger.wait_for_more()
            ledger.wait_for_acks("replicated", 50)
        self.settle(worker, ledger)

    def test_d8_the_broker_that_leads_the_queue_stands_still(self):
        worker, ledger = self.start("still", self.rabbits.settings(), self.rabbits.settings())
        with ledger.load():
            ledger.wait_for_acks("replicated")
            leader = self.rabbits.leader_of(self.queue("still"))
            leader.process.send_signal(signal.SIGSTOP)
            try:
                ledger.wait_for_more()
                ledger.wait_for_acks("replicated", 50)
            finally:
                leader.process.send_signal(signal.SIGCONT)
            ledger.wait_for_more()
            ledger.wait_for_acks("replicated", 50)
        self.settle(worker, ledger)

    def queue(self, schema):
        """To which the ledger's events go."""
        return f"{schema}.accepted." + self.postgres.sql(f"SELECT id % 8 FROM {schema}.companies WHERE name = 'acme'")


if __name__ == "__main__":
    unittest.main()
