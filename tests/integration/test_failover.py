"""Two servers on a PostgreSQL that has a synchronous standby: the primary crashes under load, the standby is
promoted, and the servers find it by themselves.

What was committed is on both (synchronous_standby_names), so nothing that was answered may be lost or doubled,
whether it had had its effect before the crash or still lay in a server's log."""
import copy
import json
import threading
import time
import unittest

from postgres_server import Postgres, Standby
from samtale import Server, conversation, sign, wait_for


class FailoverTest(unittest.TestCase):
    def test_nothing_is_lost_or_doubled_when_a_standby_takes_over_under_load(self):
        primary = self.enterContext(Postgres())
        standby = self.enterContext(Standby(primary))
        url = (f"postgresql://samtale@127.0.0.1:{primary.port},127.0.0.1:{standby.port}/postgres"
               "?target_session_attrs=read-write")
        flags = ("--set", "store.kind=postgres", "--set", "store.url=" + url)
        servers = [self.enterContext(Server(*flags)) for _ in range(2)]
        acme = servers[0].company("acme")
        endpoint = acme.endpoint()
        wait_for("both to know it", lambda: all(acme.at(one).is_known(endpoint) for one in servers))
        answered, stop = set(), threading.Event()

        def send(first):
            company, i = copy.copy(acme), first
            company.server = servers[first]
            while not stop.is_set():
                name = f"l{i}"
                body = json.dumps(conversation(name, f"ledger{name} words", "ok")).encode()
                status, _, _ = company.call("POST", "/v1/webhooks/" + endpoint["id"], body,
                                            sign(endpoint["secret"], "msg_" + name, body))
                self.assertIn(status, (200, 202))
                answered.add(name)
                i += 2
                stop.wait(0.01)

        def status():
            return acme.call("GET", "/v1/status")[1]

        senders = [threading.Thread(target=send, args=(i,)) for i in range(2)]
        for sender in senders:
            sender.start()
        try:
            wait_for("some to be stored", lambda: status().get("conversations", 0) > 50)
            primary.kill()
            had = len(answered)
            wait_for("answers without a database", lambda: len(answered) > had + 50)
            standby.promote()
            promoted = time.monotonic()
            wait_for("what came meanwhile to be stored",
                     lambda: status().get("conversations", 0) > had + 50)
            took = time.monotonic() - promoted
            wait_for("some more", lambda: len(answered) > had + 150)
        finally:
            stop.set()
            for sender in senders:
                sender.join()

        wait_for("all to be stored", lambda: status().get("conversations") == len(answered))
        wait_for("all vectors", lambda: status().get("chunks_without_vector") == 0)
        self.assertEqual(status()["events"], len(answered))
        for name in sorted(answered)[::max(1, len(answered) // 50)]:
            self.assertEqual([hit["external_id"] for hit in acme.find(f"ledger{name}")], [name])
        print(f"{len(answered)} events answered, 0 lost, 0 doubled; {took:.1f} s after the promotion "
              "what had come meanwhile was stored")


if __name__ == "__main__":
    unittest.main()
