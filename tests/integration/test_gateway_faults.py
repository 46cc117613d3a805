"""What test_faults and test_hostile_clients do to a server that is alone, done to a gateway: its PostgreSQL, RabbitMQ and
Redis are elsewhere, another server does the work, and events are answered once the broker has them, too."""
import unittest

import test_faults
import test_hostile_clients
from cluster import Engines


def setUpModule():
    OfGateways.engines = unittest.enterModuleContext(Engines())


class OfGateways:
    @classmethod
    def Server(cls, *flags):
        return cls.engines.gateway(*flags)


class KillAtEachWriteTest(OfGateways, test_faults.KillAtEachWriteTest):
    pass


class FailedSyncTest(OfGateways, test_faults.FailedSyncTest):
    pass


class FullDiskTest(OfGateways, test_faults.FullDiskTest):
    pass


class FewDescriptorsTest(OfGateways, test_faults.FewDescriptorsTest):
    pass


class SecondSignalTest(OfGateways, test_faults.SecondSignalTest):
    pass


class SlowClientsTest(OfGateways, test_hostile_clients.SlowClientsTest):
    pass


class OddRequestsTest(OfGateways, test_hostile_clients.OddRequestsTest):
    pass


class ForgedWebhookTest(OfGateways, test_hostile_clients.ForgedWebhookTest):
    pass


class KeysTest(OfGateways, test_hostile_clients.KeysTest):
    pass


if __name__ == "__main__":
    unittest.main()
