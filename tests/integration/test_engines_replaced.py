"""Two engines die at once, under load: the broker that leads a queue, of three, and the primary of two PostgreSQL. The
standby takes over; a new broker takes the dead one's place, and is counted on when the next one dies.

Nothing that was answered with 2xx is lost or takes effect twice. D4 and D8 (membership) of the catalogue of faults."""
import unittest

import samtale
from cluster import make_queues
from ledger import Ledger
from postgres_server import Postgres, Standby
from rabbit_server import RabbitCluster
from samtale import Server, metric, wait_for

samtale.DEADLINE_S = 240


class EnginesReplacedTest(unittest.TestCase):
    def test_a_broker_and_the_primary_die_at_once_and_a_new_broker_joins(self):
        primary, rabbits = self.enterContext(Postgres()), self.enterContext(RabbitCluster())
        standby = self.enterContext(Standby(primary))
        flags = ("--set", "store.kind=postgres", "--set",
                 f"store.url=postgresql://samtale@127.0.0.1:{primary.port},127.0.0.1:{standby.port}/postgres"
                 "?target_session_attrs=read-write", *rabbits.settings())
        make_queues(rabbits.nodes[0], flags)
        worker = self.enterContext(Server("--role", "indexer,searcher,keeper", *flags))
        gateways = [self.enterContext(Server("--role", "gateway", *flags, "--set", "accept.ack=replicated"))
                    for _ in range(2)]
        ledger = Ledger(worker.company("acme"), gateways)
        with ledger.load():
            ledger.wait_for_acks("replicated", 50)
            lane = int(primary.sql("SELECT id % 8 FROM samtale.companies WHERE name = 'acme'"))
            queue = f"samtale.accepted.{lane}"
            leader = rabbits.leader_of(queue)
            leader.kill()
            primary.kill()
            standby.promote()
            wait_for("the servers to find the new primary", lambda: all(
                metric(server, "samtale_store_failovers") == 1 for server in (worker, *gateways)))
            ledger.wait_for_acks("replicated", 50)

            there = [node for node in rabbits.nodes if node is not leader]
            rabbits.replace(leader, there[0])
            wait_for("three copies of the queue", lambda: len(rabbits.nodes_of(queue)) == 3)
            self.assertNotIn(leader.node, rabbits.nodes_of(queue))
            next(node for node in there if node is not rabbits.leader_of(queue)).kill()
            ledger.wait_for_more()
            ledger.wait_for_acks("replicated", 50)
        wait_for("all to be stored", lambda: ledger.status(worker).get("conversations") == len(ledger.answered))
        self.assertEqual(ledger.status(worker)["events"], len(ledger.answered))
        ledger.wait_until_each_is_found(worker)
        self.assertEqual(ledger.company.call("GET", "/v1/dead-letters")[1]["dead_letters"], [])


if __name__ == "__main__":
    unittest.main()
