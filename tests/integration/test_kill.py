"""Kill -9 under load, again and again: no answered event is lost, none takes effect twice.

A ledger outside the server remembers what was answered with 2xx. SAMTALE_KILL_CYCLES says how
often (default 40; a release runs 1,000)."""
import http.client
import json
import os
import random
import threading
import unittest

from samtale import Server, conversation, sign, wait_for

CYCLES = int(os.environ.get("SAMTALE_KILL_CYCLES", "40"))
SENDERS = 4


class Sender(threading.Thread):
    """Sends signed events one after the other until the server dies."""

    def __init__(self, server, endpoint, first, answered):
        super().__init__()
        self.server, self.endpoint, self.next, self.answered = server, endpoint, first, answered

    def run(self):
        try:
            peer = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=30)
            while True:
                name = f"k{self.next}"
                self.next += SENDERS
                body = json.dumps(conversation(name, f"word{name}", "ok")).encode()
                peer.request("POST", "/v1/webhooks/" + self.endpoint["id"], body,
                             sign(self.endpoint["secret"], "msg_" + name, body))
                status = peer.getresponse()
                status.read()
                if status.status in (200, 202):
                    self.answered.append(name)  # list.append is atomic.
        except (OSError, http.client.HTTPException):
            pass  # The server is dead, which is what this is about.


class KillTest(unittest.TestCase):
    flags = ()  # What the server is started with; see test_postgres.
    cycles = CYCLES

    def between_cycles(self, chance):
        """While the server is dead."""

    def test_no_answered_event_is_lost_and_none_takes_effect_twice(self):
        chance = random.Random(os.environ.get("SAMTALE_SEED", "1"))
        with Server(*self.flags) as server:
            acme = server.company("acme")
            endpoint = acme.endpoint()
            answered, first = [], 0
            for cycle in range(self.cycles):
                senders = [Sender(server, endpoint, first + i, answered) for i in range(SENDERS)]
                for sender in senders:
                    sender.start()
                had = len(answered)
                wanted = chance.randrange(1, 120)
                wait_for("some answers", lambda: len(answered) >= had + wanted)
                server.kill()
                for sender in senders:
                    sender.join()
                self.between_cycles(chance)
                first = max(sender.next for sender in senders) // SENDERS * SENDERS + SENDERS
                server.start()
                if cycle % 100 == 99:
                    print(f"{cycle + 1} cycles, {len(answered)} answered", flush=True)

            wait_for("all events' effect", lambda: acme.call("GET", "/v1/status")[1]
                     ["conversations"] >= len(set(answered)))
            wait_for("the queue to drain", lambda: not acme.call("GET", "/v1/jobs")[1]["waiting"])
            # A job that was leased at five deaths in a row looks like the cause of them and waits for
            # a person, who lets it go on: nothing else may be given up.
            letters = acme.call("GET", "/v1/dead-letters?limit=200")[1]["dead_letters"]
            self.assertEqual({one["cause"] for one in letters}
                             - {"worker died or timed out 5 times"}, set())
            acme.call("POST", "/v1/dead-letters/redrive", {})
            wait_for("the queue to drain", lambda: not acme.call("GET", "/v1/jobs")[1]["waiting"])
            self.assertEqual(acme.call("GET", "/v1/dead-letters")[1]["dead_letters"], [])
            wait_for("all chunks' vectors", lambda: acme.call("GET", "/v1/status")[1]
                     ["chunks_without_vector"] == 0)
            stored, cursor = [], ""
            while cursor is not None:
                _, page, _ = acme.call("GET", f"/v1/conversations?limit=200&cursor={cursor}")
                stored += [one["external_id"] for one in page["conversations"]]
                cursor = page["next_cursor"]
            self.assertEqual(len(stored), len(set(stored)), "an event took effect twice")
            self.assertEqual(set(answered) - set(stored), set(), "answered and lost")
            for name in chance.sample(answered, min(100, len(answered))):
                self.assertEqual([hit["external_id"] for hit in acme.find(f"word{name}")], [name])
            print(f"{self.cycles} kill -9 cycles, {len(answered)} events answered, 0 lost")


if __name__ == "__main__":
    unittest.main()
