"""What the machine does to the server: kills, failing and full disks, too few descriptors.

Method: strace makes one chosen system call fail or deadly, a tmpfs is too small, prlimit leaves few
descriptors. A ledger outside the server remembers what was answered with 2xx; after each fault it
must all be there, once. SAMTALE_FAULT_POINTS says at how many of its writing calls an ingest is
killed (default 12, spread over them; "all" takes some minutes)."""
import collections
import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import threading
import unittest
import urllib.request

from samtale import Ended, Server, conversation, sign, wait_for
from small_disk import SmallDisk, why_no_mounts

POINTS = os.environ.get("SAMTALE_FAULT_POINTS", "12")
WRITING = "write,writev,pwrite64,pwritev,fdatasync,fsync,ftruncate,rename,unlink"
# The smallest log and store, so that a start is short and their files are soon full.
SMALL = ["--set", "accept.segment_bytes=34 MiB", "--set", "store.partitions=1"]


def why_no_strace():
    if shutil.which("strace") is None:
        return "strace is not installed"
    done = subprocess.run(["strace", "-f", "-qq", "-o", "/dev/null", "true"], capture_output=True)
    return "strace may not trace here: " + done.stderr.decode() if done.returncode else None


def strace(trace, *words):
    # -D: the server stays the child of who started it.
    return ["strace", "-D", "-f", "-qq", "-o", trace, "-e", "signal=none", *words]


class Sender:
    """Sends signed events and remembers which were answered with 2xx."""

    def __init__(self, server):
        self.server = server
        self.company = server.company("acme")
        self.endpoint = self.company.endpoint()
        self.answered = set()

    def send(self, name, connection=None):
        body = json.dumps(conversation(name, f"word{name}", "ok")).encode()
        status, answer, headers = self.company.call(
            "POST", "/v1/webhooks/" + self.endpoint["id"], body,
            sign(self.endpoint["secret"], "msg_" + name, body), connection)
        if status in (200, 202):
            self.answered.add(name)
        elif status != 503 or "Retry-After" not in headers or not answer["retryable"]:
            raise AssertionError(f"{name}: {status} {headers} {answer}")
        return status

    def send_all(self, names):
        """Until the server dies."""
        try:
            for name in names:
                self.send(name)
        except (OSError, http.client.HTTPException):
            return False
        return True

    def stored(self):
        found, cursor = [], ""
        while cursor is not None:
            _, page, _ = self.company.call("GET", f"/v1/conversations?limit=200&cursor={cursor}")
            found += [(one["external_id"], one["revision"]) for one in page["conversations"]]
            cursor = page["next_cursor"]
        return found

    def check(self):
        """All that was answered is there, once, and nothing else was given up."""
        wait_for("the effect of what was answered",
                 lambda: self.answered <= {name for name, _ in self.stored()})
        twice = [name for name, count in
                 collections.Counter(name for name, _ in self.stored()).items() if count > 1]
        changed = [name for name, revision in self.stored() if revision != 1]
        if twice or changed:
            raise AssertionError(f"took effect twice: {twice} {changed}")
        self.company.call("POST", "/v1/dead-letters/redrive", {})
        wait_for("the queue to drain",
                 lambda: not self.company.call("GET", "/v1/jobs")[1]["waiting"])
        letters = self.company.call("GET", "/v1/dead-letters")[1]["dead_letters"]
        if letters:
            raise AssertionError(f"given up for good: {letters}")

    def settle(self):
        wait_for("all vectors", lambda: self.company.call("GET", "/v1/status")[1]
                 ["chunks_without_vector"] == 0)


@unittest.skipIf(why_no_strace(), why_no_strace())
class KillAtEachWriteTest(unittest.TestCase):
    """strace counts a call for each thread and each name: the k-th of a name is of the first thread
    that comes so far."""
    Server = Server
    EVENTS = 8

    def setUp(self):
        self.server = self.Server(*SMALL).__enter__()
        self.addCleanup(self.server.__exit__)
        self.sender = Sender(self.server)
        self.trace = os.path.join(self.server.folder, "trace")

    def names(self, cycle):
        return [f"c{cycle}-{i}" for i in range(self.EVENTS)]

    def ingest(self, cycle):
        """True if the server outlived it."""
        try:
            if not self.sender.send_all(self.names(cycle)):
                return False
            wait_for("the last event", lambda: self.sender.company.search(
                f"wordc{cycle}-{self.EVENTS - 1}", "keyword"))
            self.sender.settle()
            return True
        except (OSError, http.client.HTTPException):
            return False

    def points(self):
        """Every (call, k) of one ingest, from a run that nothing happens to."""
        self.server.stop()
        self.server.start(*strace(self.trace, "-e", "trace=" + WRITING))
        self.assertTrue(self.ingest("dry"))
        self.server.stop()
        counts = collections.Counter()
        with open(self.trace) as lines:
            for line in lines:
                if found := re.match(r"(\d+) +(\w+)\(", line):
                    counts[found.groups()] += 1
        most = collections.Counter()
        for (_, call), count in counts.items():
            most[call] = max(most[call], count)
        every = [(call, k) for call in sorted(most) for k in range(1, most[call] + 1)]
        if POINTS == "all":
            return every, every
        # The middle one of each name, and the rest evenly.
        chosen = [(call, (most[call] + 1) // 2) for call in sorted(most)]
        others = max(0, int(POINTS) - len(chosen))
        chosen += [every[(2 * i + 1) * len(every) // (2 * others)] for i in range(others)]
        return chosen, every

    def test_a2_killed_at_a_write_it_recovers_with_all_that_was_answered(self):
        chosen, every = self.points()
        killed = 0
        for cycle, (call, k) in enumerate(chosen):
            with self.subTest(call=call, k=k):
                try:
                    self.server.start(*strace(self.trace, "-e", "trace=" + call, "-e",
                                              f"inject={call}:signal=KILL:when={k}"))
                    outlived = self.ingest(cycle)
                except Ended:
                    outlived = False
                # How often threads write depends on what they find to do: some k are not reached.
                if outlived:
                    self.server.kill()
                else:
                    self.assertEqual(self.server.process.wait(30), -signal.SIGKILL)
                    killed += 1
                self.server.start()
                self.sender.check()
                for name in self.names(cycle):
                    self.sender.send(name)
                self.sender.check()
                self.assertEqual(set(self.names(cycle)) - self.sender.answered, set())
                self.assertEqual(self.server.stop(), 0)
        print(f"A2: killed at {killed} of {len(chosen)} chosen calls ({len(every)} in one ingest), "
              f"{len(self.sender.answered)} events answered, 0 lost")
        # A gateway writes so little that many k are not reached.
        self.assertGreater(killed, len(chosen) // 4)


@unittest.skipIf(why_no_strace(), why_no_strace())
class FailedSyncTest(unittest.TestCase):
    Server = Server

    def setUp(self):
        self.server = self.Server(*SMALL).__enter__()
        self.addCleanup(self.server.__exit__)
        self.sender = Sender(self.server)
        self.server.stop()
        self.trace = os.path.join(self.server.folder, "trace")
        segment = os.path.join(self.server.data, "accepted", "0" * 16 + ".log")
        self.server.start(*strace(self.trace, "-P", segment, "-e", "trace=pwrite64,fdatasync",
                                  "-e", "inject=fdatasync:error=EIO:when=6"))

    def send_together(self, prefix, count=12):
        """From so many threads at once, so that several share a sync."""
        statuses = [None] * count
        gate = threading.Barrier(count)

        def send(i):
            gate.wait(30)
            statuses[i] = self.sender.send(f"{prefix}{i}")

        threads = [threading.Thread(target=send, args=(i,)) for i in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return statuses

    def send_until_refused(self):
        for i in range(100):
            if self.sender.send(f"one{i}") == 503:
                return
        raise AssertionError("no sync failed")

    def test_b5_nothing_is_answered_after_a_failed_sync_until_a_restart(self):
        early = self.send_together("early")
        self.send_until_refused()
        late = self.send_together("late")

        self.assertEqual(set(late), {503})
        self.assertEqual(self.server.stop(), 0)
        with open(self.trace) as lines:
            calls = [line for line in lines if "(" in line]
        self.assertIn("EIO", calls[-1], "it went on writing after the failed sync")
        self.server.start()
        self.sender.check()
        answered = len(self.sender.answered)
        for prefix in ("early", "late"):
            self.assertEqual(set(self.send_together(prefix)) - {200, 202}, set())
        self.sender.check()
        print(f"B5: {early.count(202)} of the first 12 answered 202, {answered} before the EIO, "
              "0 after it, 0 lost")

    def test_b5_it_says_in_readyz_and_a_metric_that_it_takes_no_events(self):
        self.send_until_refused()

        self.assertEqual(self.sender.company.call("GET", "/readyz")[0], 503)
        with urllib.request.urlopen(f"http://127.0.0.1:{self.server.port}/metrics") as answer:
            self.assertIn("samtale_accept_stopped 1", answer.read().decode())


@unittest.skipIf(why_no_mounts(), why_no_mounts())
class FullDiskTest(unittest.TestCase):
    Server = Server
    BYTES = 96 << 20

    def test_b7_a_full_disk_refuses_events_answers_searches_and_recovers_by_itself(self):
        server = self.Server(*SMALL)
        self.addCleanup(server.__exit__)
        os.mkdir(server.data, 0o700)
        disk = self.enterContext(SmallDisk(server.data, self.BYTES))
        server.inside = disk.prefix
        server.start()
        sender = Sender(server)
        sender.send("before")
        sender.company.find("wordbefore")
        disk.fill()

        sent, status = 0, 202
        while status == 202 and sent < 100:
            document = conversation(f"big{sent}", f"wordbig{sent}") | {"padding": "x" * 1_000_000}
            status, answer, headers = sender.company.call("POST", "/v1/conversations", document)
            if status == 202:
                sender.answered.add(f"big{sent}")
            sent += 1

        self.assertEqual(status, 503, answer)
        self.assertIn("Retry-After", headers)
        self.assertEqual(answer["code"], "unavailable")
        self.assertEqual(disk.free(), 0)
        self.assertEqual([hit["external_id"] for hit in sender.company.search(
            "wordbefore", "keyword")], ["before"])
        disk.empty()
        wait_for("room for events again", lambda: sender.company.call(
            "POST", "/v1/conversations", document)[0] == 202)
        sender.send("after")
        sender.check()
        server.kill()
        server.start()
        sender.check()
        sender.company.find("wordafter")
        print(f"B7: 503 after {sent - 1} events of 1 MB on a full disk of {self.BYTES >> 20} MiB, "
              f"accepting again without a restart, {len(sender.answered)} answered, 0 lost")


class FewDescriptorsTest(unittest.TestCase):
    Server = Server
    LIMIT = 64
    CLIENTS = 200

    def flood(self, server):
        """As many connections as there are clients, and what each was answered."""
        peers, answers = [], collections.Counter()
        for _ in range(self.CLIENTS):
            peer = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
            try:
                peer.request("GET", "/healthz")
                answer = peer.getresponse()
                self.assertTrue(json.loads(answer.read()))
                if answer.status == 503:
                    self.assertTrue(answer.getheader("Retry-After"))
                answers[answer.status] += 1
            except (OSError, http.client.HTTPException) as error:
                answers[type(error).__name__] += 1
            peers.append(peer)
        return peers, answers

    def test_a8_without_descriptors_it_answers_503_and_recovers(self):
        server = self.Server(*SMALL)
        self.addCleanup(server.__exit__)
        server.start("prlimit", f"--nofile={self.LIMIT}:{self.LIMIT}")
        sender = Sender(server)
        kept = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
        self.assertEqual(sender.send("before", kept), 202)
        before = server.sockets()

        peers, answers = self.flood(server)
        during = sender.send("during", kept)
        for peer in (*peers, kept):
            peer.close()

        self.assertEqual(set(answers), {200, 503}, answers)
        wait_for("the descriptors back", lambda: server.sockets() <= before)
        self.assertEqual(sender.send("after"), 202)
        self.assertIn("http.no_descriptors", server.read_log())
        sender.check()
        self.assertEqual(server.stop(), 0)
        print(f"A8: {dict(answers)} to {self.CLIENTS} connections at a limit of {self.LIMIT} "
              f"descriptors, an event meanwhile {during}")


class SecondSignalTest(unittest.TestCase):
    Server = Server

    def end_in_the_drain(self, second):
        with self.Server(*SMALL) as server:
            sender = Sender(server)
            sender.send("first")
            # Its body never comes to an end, and neither does the drain.
            with socket.create_connection(("127.0.0.1", server.port)) as unfinished:
                unfinished.sendall(b"POST /v1/conversations HTTP/1.1\r\nHost: a\r\nAuthorization: "
                                   b"Bearer " + sender.company.key.encode() +
                                   b"\r\nContent-Length: 9\r\n\r\n{")
                wait_for("the unfinished request", lambda: in_flight(server) > 1)
                threads = [threading.Thread(target=sender.send_all, args=(
                    [f"s{t}-{i}" for i in range(100_000)],)) for t in range(4)]
                for thread in threads:
                    thread.start()
                wait_for("some answers", lambda: len(sender.answered) > 50)
                server.process.terminate()
                wait_for("the drain", lambda: "server.stopping" in server.read_log())
                server.process.send_signal(second)
                self.assertEqual(server.process.wait(10), -second)
                for thread in threads:
                    thread.join()
            self.assertNotIn("server.stopped", server.read_log())
            server.start()
            sender.check()
            print(f"A5: {second.name} in the drain, {len(sender.answered)} answered, 0 lost")

    def test_a5_a_second_sigterm_ends_it_at_once_and_loses_nothing(self):
        self.end_in_the_drain(signal.SIGTERM)

    def test_a5_a_sigkill_in_the_drain_loses_nothing(self):
        self.end_in_the_drain(signal.SIGKILL)


def in_flight(server):
    peer = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    peer.request("GET", "/metrics")
    text = peer.getresponse().read().decode()
    peer.close()
    return int(float(re.search(r"^samtale_http_in_flight (\S+)$", text, re.M)[1]))


if __name__ == "__main__":
    unittest.main()
