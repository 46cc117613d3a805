"""What clients and thieves do to the server: slow, endless and odd requests, forged and stolen
credentials. The rest of these shapes is in src/http/hostile_client_test.cc and test_main_job.py."""
import http.client
import json
import os
import random
import resource
import selectors
import socket
import threading
import time
import unittest

from samtale import Server, conversation, raw, sign, wait_for

SLOW = 2000
CLIENTS = 20
REQUESTS = 25  # Of each client.
DEADLINE_MS = 3000


def memory_of(server):
    """Resident bytes."""
    with open(f"/proc/{server.process.pid}/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


def descriptors_of(server):
    return len(os.listdir(f"/proc/{server.process.pid}/fd"))


def statuses(answers):
    """Of each answer in these bytes; no body of ours has a status line in it."""
    return [int(part[:3]) for part in answers.split(b"HTTP/1.1 ")[1:]]


class SlowClientsTest(unittest.TestCase):
    Server = Server
    READERS = 40  # The system keeps some 100 kB of unread answers for each.

    def setUp(self):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if hard != resource.RLIM_INFINITY and hard < SLOW + 500:
            self.skipTest(f"only {hard} descriptors are allowed here")
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, SLOW + 500), hard))
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        self.server = self.Server("--set", f"http.header_timeout_ms={DEADLINE_MS}",
                             "--set", f"http.body_timeout_ms={DEADLINE_MS}").__enter__()
        self.addCleanup(self.server.__exit__)
        self.acme = self.server.company("acme")
        self.acme.send(conversation("one", "ordinary words"))
        self.acme.find("ordinary")

    def slowest_of_hundred(self):
        """Seconds that 99 % of the ordinary clients' requests stay below."""
        took, failures = [], []

        def ask():
            peer = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=60)
            for _ in range(REQUESTS):
                begin = time.monotonic()
                status, answer, _ = self.acme.call(
                    "POST", "/v1/search", {"query": "ordinary", "mode": "keyword"}, connection=peer)
                took.append(time.monotonic() - begin)
                if status != 200 or not answer["hits"]:
                    failures.append((status, answer))
            peer.close()

        threads = [threading.Thread(target=ask) for _ in range(CLIENTS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual((failures[:3], len(took)), ([], CLIENTS * REQUESTS))
        return sorted(took)[len(took) * 99 // 100]

    def connect(self, receive_bytes=None):
        peer = socket.socket()
        if receive_bytes:
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        peer.settimeout(30)
        peer.connect(("127.0.0.1", self.server.port))
        self.addCleanup(peer.close)
        return peer

    def connect_slow_senders(self):
        slow = [self.connect() for _ in range(SLOW - self.READERS)]
        for i, peer in enumerate(slow):
            peer.sendall(b"POST /v1/search HTTP/1.1\r\nHost: a\r\n" if i % 2 == 0 else
                         b"POST /v1/search HTTP/1.1\r\nHost: a\r\nContent-Length: 99\r\n"
                         b"Authorization: Bearer " + self.acme.key.encode() + b"\r\n\r\n{")
        return slow

    def connect_slow_readers(self):
        slow = [self.connect(4096) for _ in range(self.READERS)]
        for peer in slow:
            peer.sendall(b"GET /openapi.json HTTP/1.1\r\nHost: a\r\n\r\n" * 40)
        return slow

    def drip(self, slow, end):
        """A byte to each again and again, which moves no deadline."""
        while not end.is_set():
            for peer in slow:
                try:
                    peer.send(b"x", socket.MSG_DONTWAIT)
                except OSError:
                    pass  # The server has had enough of it.
                if end.wait(0.0005):
                    return

    def read_to_end(self, slow):
        """What each was answered until the server closed it."""
        answers = dict.fromkeys(slow, b"")
        with selectors.DefaultSelector() as selector:
            for peer in slow:
                selector.register(peer, selectors.EVENT_READ)
            while selector.get_map():
                ready = selector.select(30)
                self.assertTrue(ready, f"{len(selector.get_map())} are still open")
                for key, _ in ready:
                    try:
                        part = key.fileobj.recv(65536)
                    except ConnectionResetError:
                        part = b""  # It was closed on bytes that were still dripping in.
                    answers[key.fileobj] += part
                    if not part:
                        selector.unregister(key.fileobj)
        return list(answers.values())

    def test_f4_slow_clients_are_closed_and_leave_the_others_alone(self):
        alone = self.slowest_of_hundred()
        memory, descriptors = memory_of(self.server), descriptors_of(self.server)
        sockets = self.server.sockets()
        readers = self.connect_slow_readers()
        begin = time.monotonic()
        senders = self.connect_slow_senders()
        # Of the ordinary clients some were perhaps still being closed when it was counted.
        wait_for("the slow connections",
                 lambda: self.server.sockets() >= sockets + SLOW - CLIENTS)
        peak = memory_of(self.server)

        end = threading.Event()
        dripping = threading.Thread(target=self.drip, args=(senders, end))
        dripping.start()
        crowded = self.slowest_of_hundred()
        open_then = self.server.sockets() - sockets
        answers = self.read_to_end(senders)
        closed = time.monotonic() - begin
        end.set()
        dripping.join()
        for peer in readers:
            peer.close()
        wait_for("the sockets back", lambda: self.server.sockets() <= sockets)

        refused = sum(answer.startswith(b"HTTP/1.1 408") for answer in answers)
        print(f"F4: p99 {alone * 1e3:.1f} ms alone, {crowded * 1e3:.1f} ms beside {SLOW} slow ones "
              f"({open_then} still open after it); all closed after {closed:.1f} s, {refused} with "
              f"408; memory {memory >> 20} -> {peak >> 20} -> {memory_of(self.server) >> 20} MiB")
        self.assertLess(crowded, max(50 * alone, 0.5))
        self.assertLess(crowded, 2)
        self.assertGreater(refused, len(senders) * 9 // 10)
        self.assertEqual([answer for answer in answers if statuses(answer) not in ([408], [])], [])
        self.assertLess(closed, 10 * DEADLINE_MS / 1e3)
        self.assertLess(memory_of(self.server) - memory, 128 << 20)
        self.assertLess(descriptors_of(self.server) - descriptors, 100)  # Pools of open files.
        self.assertEqual(self.acme.search("ordinary", "keyword")[0]["external_id"], "one")


class OddRequestsTest(unittest.TestCase):
    Server = Server

    @classmethod
    def setUpClass(cls):
        cls.server = cls.Server().__enter__()
        cls.addClassCleanup(cls.server.__exit__)

    def answered(self, data):
        """The statuses, once the server has closed the connection."""
        with socket.create_connection(("127.0.0.1", self.server.port), timeout=30) as peer:
            received = b""
            try:
                peer.sendall(data)
                peer.shutdown(socket.SHUT_WR)
                while part := peer.recv(65536):
                    received += part
            except (ConnectionResetError, BrokenPipeError):
                pass  # It did not wait for the end of what is endless.
        return statuses(received)

    def test_f2_an_endless_head_is_refused_in_bounded_memory(self):
        before = memory_of(self.server)
        head = b"GET /healthz HTTP/1.1\r\nHost: a\r\n"
        for shape in [b"X" * (1 << 20), b"X: " + b"y" * (1 << 20), b"X: y\r\n" * 10_000,
                      b"".join(b"X%d: y\r\n" % i for i in range(10_000)), b"A" * (64 << 20)]:
            self.assertIn(self.answered(head + shape), ([431], [400], []), shape[:20])
        self.assertEqual(raw(self.server.port, head + b"X: " + b"y" * 20_000)[9:12], b"431")
        growth = memory_of(self.server) - before
        print(f"F2: memory grew by {growth >> 10} KiB over endless heads")
        self.assertLess(growth, 32 << 20)

    def test_f5_pipelined_and_half_closed_requests_are_answered_in_order(self):
        pipelined = b"".join(b"GET %s HTTP/1.1\r\nHost: a\r\n\r\n" % path
                             for path in [b"/healthz", b"/v1/search", b"/no"] * 20)
        self.assertEqual(self.answered(pipelined), [200, 405, 404] * 20)
        self.assertEqual(self.answered(b"POST /v1/search HTTP/1.1\r\nHost: a\r\n"
                                       b"Content-Length: 10\r\n\r\n{"), [400])
        self.assertEqual(self.answered(b""), [])

    def test_f5_every_method_and_upgrade_has_an_answer(self):
        for line, status in [("CONNECT example.com:443", 405), ("TRACE /healthz", 405),
                             ("OPTIONS *", 405), ("BREW /healthz", 405), ("HEAD /healthz", 200)]:
            self.assertEqual(self.answered(f"{line} HTTP/1.1\r\nHost: a\r\n\r\n".encode()),
                             [status], line)
        self.assertEqual(self.answered(b"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\n"
                                       b"Upgrade: websocket\r\n\r\n"), [200])
        with socket.create_connection(("127.0.0.1", self.server.port), timeout=30) as peer:
            peer.sendall(b"POST /v1/search HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n"
                         b"Expect: 100-continue\r\n\r\n")
            self.assertEqual(peer.recv(65536), b"HTTP/1.1 100 Continue\r\n\r\n")
            peer.sendall(b"{}")
            self.assertEqual(statuses(peer.recv(65536)), [401])

    def test_f6_paths_that_leave_the_tree_find_nothing(self):
        for path in ["/../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "/assets/../../etc/passwd",
                     "/assets/..%2f..%2fetc%2fpasswd", "/assets/%2e%2e%2fapp.js",
                     "/assets/app.js%00.css", "/%c0%ae%c0%ae/etc/passwd", "/assets/%ff", "/%",
                     "/%zz", "//etc/passwd", "/assets\\..\\..\\x"]:
            answer = self.answered(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
            self.assertIn(answer, ([400], [404]), path)
        long_path = b"GET /" + b"a" * (64 << 10) + b" HTTP/1.1\r\nHost: a\r\n\r\n"
        self.assertIn(self.answered(long_path), ([414], [431], []))


class ForgedWebhookTest(unittest.TestCase):
    Server = Server

    @classmethod
    def setUpClass(cls):
        cls.server = cls.Server().__enter__()
        cls.addClassCleanup(cls.server.__exit__)
        cls.acme = cls.server.company("acme")
        cls.globex = cls.server.company("globex")

    def deliver(self, endpoint, name, headers, body=None):
        body = body or json.dumps(conversation(name, "hello " + name)).encode()
        sent = headers(body) if callable(headers) else headers
        return self.acme.call("POST", "/v1/webhooks/" + endpoint["id"], body, sent)[0]

    def test_g3_a_timestamp_holds_for_five_minutes(self):
        endpoint = self.acme.endpoint()
        for offset, status in [(-290, 202), (290, 202), (-302, 401), (310, 401)]:
            name = f"g3{offset + 1000}"
            self.assertEqual(self.deliver(endpoint, name, lambda body: sign(
                endpoint["secret"], name, body, time.time() + offset)), status, offset)

    def test_g8_at_most_five_signatures_are_tried_and_no_other_scheme(self):
        endpoint = self.acme.endpoint()

        def with_signature(change):
            def headers(body):
                good = sign(endpoint["secret"], "g8", body)
                return good | {"webhook-signature": change(good["webhook-signature"])}
            return headers

        wrong = "v1," + "A" * 43 + "="
        body = json.dumps(conversation("g8", "hello")).encode()
        for change in [lambda good: " ".join([wrong] * 1000), lambda good: good.replace("v1,", "v1a,"),
                       lambda good: good.replace("v1,", "v0,"), lambda good: good.removeprefix("v1,"),
                       lambda good: good.upper(), lambda good: " ".join([wrong] * 5 + [good])]:
            self.assertIn(self.deliver(endpoint, "g8", with_signature(change), body), (401, 431))
        self.assertEqual(self.deliver(endpoint, "g8", with_signature(
            lambda good: " ".join([wrong] * 4 + [good])), body), 202)

    def test_g9_a_rotated_secret_ends_when_it_should(self):
        endpoint = self.acme.endpoint()
        path = f"/v1/endpoints/{endpoint['id']}/rotate"
        status, fresh, _ = self.acme.call("POST", path, {"keep_old_s": 60})
        self.assertEqual(status, 200, fresh)

        def both(body):
            old, new = (sign(secret, "g9c", body)
                        for secret in (endpoint["secret"], fresh["secret"]))
            return old | {"webhook-signature":
                          old["webhook-signature"] + " " + new["webhook-signature"]}

        for name, headers in [("g9a", lambda body: sign(endpoint["secret"], "g9a", body)),
                              ("g9b", lambda body: sign(fresh["secret"], "g9b", body)),
                              ("g9c", both)]:
            self.assertEqual(self.deliver(endpoint, name, headers), 202, name)
        status, last, _ = self.acme.call("POST", path, {"keep_old_s": 0})
        self.assertEqual(status, 200, last)
        for name, secret, expected in [("g9d", endpoint["secret"], 401), ("g9e", fresh["secret"], 401),
                                       ("g9f", last["secret"], 202)]:
            self.assertEqual(self.deliver(endpoint, name, lambda body: sign(secret, name, body)),
                             expected, name)

    def test_g10_the_company_comes_from_the_credential_only(self):
        theirs = self.globex.endpoint()
        ours = self.acme.endpoint()
        self.assertEqual(self.deliver(theirs, "g10a", lambda body: sign(ours["secret"], "g10a", body)),
                         401)
        for path in ["/v1/conversations", "/v1/conversations?company=globex&company_id=globex"]:
            status, answer, _ = self.acme.call(
                "POST", path, conversation("g10" + str(len(path)), "whose is it"),
                {"X-Samtale-Company": "globex"})
            self.assertEqual(status, 202, answer)
        wait_for("both", lambda: len(self.acme.search("whose", "keyword")) == 2)
        self.assertEqual(self.globex.search("whose", "keyword"), [])


class KeysTest(unittest.TestCase):
    Server = Server
    FAILURES = 5

    def setUp(self):
        self.server = self.Server("--set", f"limits.failures_max={self.FAILURES}").__enter__()
        self.addCleanup(self.server.__exit__)
        self.acme = self.server.company("acme")

    def status(self, key=None, path="/v1/status", address="127.0.0.1"):
        peer = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=30,
                                          source_address=(address, 0))
        peer.request("GET", path, headers={"Authorization": "Bearer " + key} if key else {})
        answer = peer.getresponse()
        answer.read()
        peer.close()
        return answer.status, answer.getheader("Retry-After")

    def test_g12_an_expired_key_and_a_key_in_the_url_are_refused_and_none_is_stored(self):
        ends = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 3))
        status, made, _ = self.acme.call("POST", "/v1/keys", {
            "label": "short", "scopes": ["read"], "expires_at": ends})
        self.assertIn(status, (200, 201), made)
        self.assertEqual(self.status(made["key"])[0], 200)
        # From other addresses, because this one is to stay below its limit of failures.
        wait_for("its end", lambda: self.status(made["key"], address=f"127.0.1.{random.randint(1, 250)}")
                 [0] != 200)
        self.assertEqual(self.status(made["key"])[0], 401)
        for name in ["key", "api_key", "access_token"]:
            path = f"/v1/status?{name}={self.acme.key}"
            self.assertIn(self.status(path=path, address="127.0.0.2")[0], (400, 401), name)
        self.assertEqual(self.status(self.acme.key)[0], 200)
        for key in (made["key"], self.acme.key):
            secret = key.rsplit("_", 1)[1].encode()
            self.assertFalse([path for path, data in self.server.bytes_of_all_files()
                              if secret in data])

    def test_g14_guessing_keys_is_throttled_for_that_address_alone(self):
        guesses = [self.status(f"smt_guess{i}_{'a' * 26}", address="127.0.0.3")
                   for i in range(self.FAILURES + 3)]

        self.assertEqual([status for status, _ in guesses], [401] * self.FAILURES + [429] * 3)
        self.assertTrue(guesses[-1][1], "no Retry-After")
        # Not even a right guess is told apart.
        self.assertEqual(self.status(self.acme.key, address="127.0.0.3")[0], 429)
        self.assertEqual(self.status(self.acme.key)[0], 200)


if __name__ == "__main__":
    unittest.main()
