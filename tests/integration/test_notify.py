"""Outgoing webhooks by the real binary to a real receiver that verifies signatures with code of its
own: each event arrives, also across kill -9 and while the receiver fails, under one id; nothing inside
is reached that the operator did not open."""
import base64
import hashlib
import hmac
import http.server
import json
import random
import ssl
import subprocess
import tempfile
import threading
import time
import unittest

from samtale import Server, conversation, wait_for

# A job that was leased at five deaths in a row would be given up as the likely cause of them.
CYCLES = 4


class Receiver:
    """Keeps what was sent and answers with `status` (a number, or a function of how many came)."""

    def __init__(self, address="127.0.0.1"):
        self.status, self.headers = 200, {}
        self.seen = []  # (headers, body), in order.
        self.connections = 0
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.seen.append(({name.lower(): value for name, value in self.headers.items()},
                                   body))
                status = outer.status(len(outer.seen)) if callable(outer.status) else outer.status
                self.send_response(status)
                for name, value in outer.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        class CountingServer(http.server.ThreadingHTTPServer):
            def get_request(self):
                outer.connections += 1
                return super().get_request()

            def handle_error(self, *_):
                pass  # A server that is killed resets its connections.

        self.server = CountingServer((address, 0), Handler)
        self.port = self.server.server_address[1]
        self.url = f"http://{address}:{self.port}/hook"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()

    def events(self):
        """Body by webhook-id of what was sent, pings left out."""
        return {headers["webhook-id"]: json.loads(body) for headers, body in list(self.seen)
                if json.loads(body)["type"] != "ping"}

    def names(self):
        return {event["data"]["external_id"] for event in self.events().values()}


def verified(secret, headers, body):
    """By the words of the specification, not by the code that signs."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    text = b".".join([headers["webhook-id"].encode(), headers["webhook-timestamp"].encode(), body])
    expected = base64.b64encode(hmac.new(key, text, hashlib.sha256).digest()).decode()
    given = [part.partition(",") for part in headers["webhook-signature"].split(" ")]
    recent = abs(time.time() - int(headers["webhook-timestamp"])) < 300
    return recent and any(version == "v1" and hmac.compare_digest(value, expected)
                          for version, _, value in given)


def ended(name, *texts):
    return conversation(name, *texts) | {"status": "ended"}


def flags(*receivers, schedule="100ms 200ms 400ms 800ms 1s 1s 1s 1s 1s"):
    return ["--set", "notify.allow_http=true", "--set", "notify.allow_private=127.0.0.1/32",
            "--set", "notify.ports=" + " ".join(str(one.port) for one in receivers),
            "--set", "notify.retry_schedule=" + schedule]


class NotifyTest(unittest.TestCase):
    def subscribe(self, server, receiver, company="acme"):
        return server.cli("subscription", "create", receiver.url, "--company", company)

    def test_an_analysis_is_told_signed_to_its_company_alone(self):
        with Receiver() as receiver, Receiver() as other, Server(*flags(receiver, other)) as server:
            acme, globex = server.company("acme"), server.company("globex")
            made = self.subscribe(server, receiver)
            self.subscribe(server, other, "globex")

            name = acme.send(ended("order-1", "My parcel never came. Terrible!", "Sorry."))
            wait_for("the event", receiver.names)

            headers, body = receiver.seen[0]
            self.assertTrue(verified(made["secret"], headers, body))
            self.assertFalse(verified(made["secret"], headers, body + b" "))
            event = json.loads(body)
            self.assertEqual(event["type"], "analysis.completed")
            self.assertEqual(event["data"]["conversation_id"], name)
            stored = acme.call("GET", "/v1/conversations/" + name)[1]["analyses"]
            told = {one["analyzer"]: one["result"] for one in event["data"]["analyses"]}
            self.assertTrue(told)
            for one in stored:
                self.assertEqual(told.get(one["analyzer"], one["result"]), one["result"])
            globex.send(ended("order-2", "Fine. Thanks!", "Good."))
            wait_for("the other's event", other.names)
            self.assertEqual((receiver.names(), other.names()), ({"order-1"}, {"order-2"}))

    def test_a_rotation_signs_with_both_secrets_and_a_ping_tells(self):
        with Receiver() as receiver, Server(*flags(receiver)) as server:
            server.company("acme")
            made = self.subscribe(server, receiver)
            rotated = server.cli("subscription", "rotate", made["id"])

            answer = server.cli("subscription", "test", made["id"])

            self.assertEqual((answer["delivered"], answer["status"]), (True, 200))
            for secret in (made["secret"], rotated["secret"]):
                self.assertTrue(verified(secret, *receiver.seen[0]))
            receiver.status = 500
            self.assertEqual(server.cli("subscription", "test", made["id"], check=False).returncode, 1)

    def test_a_receiver_that_fails_and_recovers_gets_everything_under_the_same_ids(self):
        with Receiver() as receiver, Server(*flags(receiver)) as server:
            acme = server.company("acme")
            self.subscribe(server, receiver)
            receiver.status = lambda count: 500 if count <= 6 else 200
            sent = {f"c{i}" for i in range(20)}

            for name in sent:
                acme.send(ended(name, "Where is my order?", "On its way."))
            wait_for("all events", lambda: sent <= receiver.names())
            wait_for("the queue to drain", lambda: not acme.call("GET", "/v1/jobs")[1]["waiting"])

            by_name = {}
            for identity, event in receiver.events().items():
                by_name.setdefault(event["data"]["external_id"], set()).add(identity)
            self.assertEqual({name: len(ids) for name, ids in by_name.items()},
                             {name: 1 for name in sent})
            listed = server.cli("subscription", "list")["subscriptions"][0]
            self.assertNotIn("failing_since", listed)

    def test_what_is_given_up_is_a_dead_letter_that_can_be_put_back(self):
        with Receiver() as receiver, Server(*flags(receiver, schedule="50ms 50ms")) as server:
            acme = server.company("acme")
            self.subscribe(server, receiver)
            receiver.status = 503
            acme.send(ended("order-1", "Hello?", "Yes."))
            letters = wait_for("the dead letter",
                               lambda: acme.call("GET", "/v1/dead-letters")[1]["dead_letters"])
            self.assertIn("answered 503", letters[0]["cause"])
            self.assertEqual(len(receiver.seen), 3)

            receiver.status = 200
            server.cli("dead-letter", "redrive")
            wait_for("the delivery", lambda: len(receiver.seen) > 3 and not
                     acme.call("GET", "/v1/jobs")[1]["waiting"])

            self.assertEqual(len(receiver.events()), 1)

    def test_a_receiver_that_is_gone_is_told_no_more(self):
        with Receiver() as receiver, Server(*flags(receiver)) as server:
            acme = server.company("acme")
            self.subscribe(server, receiver)
            receiver.status = 410
            acme.send(ended("order-1", "Hello?", "Yes."))
            listed = wait_for("the revocation", lambda: [
                one for one in server.cli("subscription", "list")["subscriptions"]
                if one["state"] == "revoked"])
            self.assertIn("410", listed[0]["why"])

    def test_kill_9_loses_no_event_and_keeps_its_id(self):
        chance = random.Random(1)
        with Receiver() as receiver, Server(*flags(receiver)) as server:
            acme = server.company("acme")
            made = self.subscribe(server, receiver)
            sent = set()
            for cycle in range(CYCLES):
                receiver.status = 200 if cycle % 2 else 500
                for i in range(15):
                    name = f"k{cycle}-{i}"
                    acme.send(ended(name, "Where is my order?", "On its way."))
                    sent.add(name)
                had = len(receiver.seen)
                wanted = chance.randrange(1, 8)
                wait_for("some deliveries", lambda: len(receiver.seen) >= had + wanted)
                server.kill()
                server.start()

            receiver.status = 200
            wait_for("all events", lambda: sent <= receiver.names())
            wait_for("the queue to drain", lambda: not acme.call("GET", "/v1/jobs")[1]["waiting"])
            ids = {}
            for headers, body in receiver.seen:
                self.assertTrue(verified(made["secret"], headers, body))
                event = json.loads(body)["data"]
                told = (event["conversation_id"],
                        tuple(one["analyzer"] for one in event["analyses"]))
                ids.setdefault(told, set()).add(headers["webhook-id"])
            self.assertEqual({told: len(some) for told, some in ids.items() if len(some) > 1}, {},
                             "an event under two ids")
            self.assertEqual(acme.call("GET", "/v1/dead-letters")[1]["dead_letters"], [])
            print(f"{CYCLES} kill -9 cycles, {len(sent)} events, {len(receiver.seen)} deliveries, 0 lost")

    def test_nothing_inside_is_reached(self):
        with Receiver() as trap, Server("--set", "notify.allow_http=true", "--set",
                                        f"notify.ports={trap.port}") as server:
            acme = server.company("acme")
            refused = [f"http://{host}:{trap.port}/" for host in (
                "127.0.0.1", "2130706433", "0x7f000001", "0177.0.0.1", "127.1", "[::1]",
                "[::ffff:127.0.0.1]", "user@127.0.0.1", "8.8.8.8@127.0.0.1", "[fd00::1]",
                "169.254.169.254", "\u24d5ocalhost")] + ["file:///etc/passwd", "gopher://127.0.0.1/"]
            for url in refused:
                status, answer, _ = acme.call("POST", "/v1/subscriptions", {"url": url})
                self.assertEqual(status, 422, (url, answer))
            # A name passes the rules, and is stopped where it would be connected to.
            made = acme.call("POST", "/v1/subscriptions", {"url": f"http://localhost:{trap.port}/"})[1]
            tried = acme.call("POST", f"/v1/subscriptions/{made['id']}/test")[1]
            self.assertFalse(tried["delivered"], tried)
            self.assertIsNone(tried["status"])
            self.assertEqual(trap.connections, 0)

    def test_nothing_is_told_to_a_server_whose_certificate_nobody_trusts(self):
        with Receiver() as receiver, tempfile.TemporaryDirectory() as folder:
            certificate, key = folder + "/certificate.pem", folder + "/key.pem"
            subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1",
                            "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1",
                            "-out", certificate, "-keyout", key], check=True, capture_output=True)
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate, key)
            receiver.server.socket = context.wrap_socket(receiver.server.socket, server_side=True)
            receiver.url = receiver.url.replace("http:", "https:")
            with Server(*flags(receiver)) as server:
                acme = server.company("acme")
                made = self.subscribe(server, receiver)
                tried = acme.call("POST", f"/v1/subscriptions/{made['id']}/test")[1]
                self.assertFalse(tried["delivered"], tried)
                self.assertIn("certificate", json.dumps(tried).lower())
                self.assertEqual(receiver.seen, [])

    def test_a_redirect_leads_nowhere(self):
        with Receiver() as trap, Receiver() as receiver, Server(*flags(receiver, trap)) as server:
            server.company("acme")
            receiver.status, receiver.headers = 307, {"Location": trap.url}
            made = self.subscribe(server, receiver)
            tried = server.cli("subscription", "test", made["id"], check=False)
            self.assertEqual(tried.returncode, 1)
            self.assertEqual((receiver.connections, trap.connections), (1, 0))


if __name__ == "__main__":
    unittest.main()
