"""Starts and talks to real samtale servers, for the integration tests. Standard library only."""
import base64
import copy
import hashlib
import hmac
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.request

BIN = os.path.abspath(os.environ.get("SAMTALE_BIN", "build/release/bin/samtale"))
DEADLINE_S = 120
# The server takes every SAMTALE_ variable for configuration.
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("SAMTALE_")}


def wait_for(what, condition):
    """Returns the condition's value once it is true. What waits is bounded, not timed."""
    end = time.monotonic() + DEADLINE_S
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.01)
    raise AssertionError(f"{what} did not happen within {DEADLINE_S} s")


class Ended(AssertionError):
    """The server ended before it was ready."""


class Server:
    """One data folder and, while it runs, one process."""

    def __init__(self, *flags, port=0):
        self.asked_port = port  # 0: the system chooses, anew at each start.
        self.folder = tempfile.mkdtemp(prefix="samtale-test-")
        self.data = os.path.join(self.folder, "data")
        self.flags = flags
        self.process = None
        self.inside = []  # Starts a program where the data folder is, if that is not everywhere (SmallDisk).

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        if self.process and self.process.poll() is None:
            self.kill()
        shutil.rmtree(self.folder)

    def start(self, *prefix):
        """`prefix` is a program that goes on as the server: prlimit, strace -D."""
        ready = os.path.join(self.folder, "ready")
        if os.path.exists(ready):
            os.remove(ready)
        with open(os.path.join(self.folder, "log"), "ab") as log:
            self.process = subprocess.Popen(
                [*self.inside, *prefix, BIN, "serve", "--data", self.data, "--port", str(self.asked_port),
                 "--ready-file", ready,
                 "--set", "limits.events_per_second=1000000", *self.flags],
                stderr=log, stdout=log, env=ENVIRONMENT)
        wait_for("the server's start",
                 lambda: os.path.exists(ready) or self.process.poll() is not None)
        if self.process.poll() is not None:
            raise Ended("the server ended: " + self.read_log()[-2000:])
        with open(ready) as file:
            self.port = int(json.load(file)["url"].rsplit(":", 1)[1])

    def read_log(self):
        with open(os.path.join(self.folder, "log"), errors="replace") as file:
            return file.read()

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self):
        self.process.terminate()
        return self.process.wait(60)

    def cli(self, *words, check=True):
        done = subprocess.run([*self.inside, BIN, *words, "--data", self.data, "--json"], capture_output=True,
                              text=True, timeout=120, env=ENVIRONMENT)
        if check and done.returncode != 0:
            raise AssertionError(f"samtale {' '.join(words)}: {done.stderr}")
        return json.loads(done.stdout) if done.returncode == 0 else done

    def company(self, name, *flags):
        self.cli("company", "create", name, *flags)
        return Company(self, name)

    def sockets(self):
        """How many the process has open. Its other descriptors are pools that grow with use."""
        folder, count = f"/proc/{self.process.pid}/fd", 0
        for name in os.listdir(folder):
            try:
                count += os.readlink(os.path.join(folder, name)).startswith("socket:")
            except FileNotFoundError:
                pass  # Closed since.
        return count

    def bytes_of_all_files(self):
        for root, _, names in os.walk(self.data):
            for name in names:
                path = os.path.join(root, name)
                if os.path.isfile(path):
                    with open(path, "rb") as file:
                        yield path, file.read()


class Company:
    def __init__(self, server, name):
        self.server = server
        self.name = name
        self.key = server.cli("key", "create", "--company", name, "--scope", "ingest",
                              "--scope", "search", "--scope", "read", "--scope",
                              "admin")["key"]

    def at(self, server):
        """The same company at another server."""
        same = copy.copy(self)
        same.server = server
        return same

    def endpoint(self, preset="standard-webhooks", **flags):
        words = [part for name, value in flags.items() for part in ("--" + name, value)]
        return self.server.cli("endpoint", "create", "--company", self.name, "--preset", preset,
                               *words)

    def is_known(self, endpoint):
        """To its server, which may have to ask its database first, and says 503 until it has an answer."""
        return self.call("POST", "/v1/webhooks/" + endpoint["id"], b"{}")[0] == 401  # Not signed.

    def call(self, method, path, body=None, headers=None, connection=None):
        own = connection or http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=60)
        sent = {"Authorization": "Bearer " + self.key, "Content-Type": "application/json"}
        sent.update(headers or {})
        data = body if isinstance(body, (bytes, str, type(None))) else json.dumps(body)
        own.request(method, path, data, sent)
        answer = own.getresponse()
        text = answer.read()
        if connection is None:
            own.close()
        return answer.status, (json.loads(text) if text else None), dict(answer.getheaders())

    def is_whole(self, conversations):
        """So many are in the index, cut into chunks, each with its vector."""
        status = self.call("GET", "/v1/status")[1]
        return (status.get("index", {}).get("conversations") == conversations
                and not any(kind["ready"] + kind["delayed"] + kind["leased"] for kind in status["queue"]
                            if kind["kind"] in ("chunk", "embed"))
                and status["chunks_without_vector"] == 0 and status["index"]["vectors"] == status["chunks"] > 0)

    def search(self, query, mode="hybrid", **more):
        status, answer, _ = self.call("POST", "/v1/search", {"query": query, "mode": mode, **more})
        assert status == 200, answer
        return answer["hits"]

    def find(self, query, mode="keyword"):
        return wait_for(f"finding {query!r}", lambda: self.search(query, mode))

    def send(self, conversation):
        status, answer, _ = self.call("POST", "/v1/conversations", conversation)
        assert status == 202, answer
        return answer["id"]


def sign(secret, name, body, at=None):
    """The headers of a Standard Webhook (v1)."""
    at = str(int(time.time() if at is None else at))
    key = base64.b64decode(secret.removeprefix("whsec_"))
    seal = hmac.new(key, f"{name}.{at}.".encode() + body, hashlib.sha256).digest()
    return {"webhook-id": name, "webhook-timestamp": at,
            "webhook-signature": "v1," + base64.b64encode(seal).decode(),
            "Content-Type": "application/json"}


def conversation(name, *texts):
    return {"id": name, "channel": "chat", "language": "en",
            "turns": [{"speaker": "customer" if i % 2 == 0 else "agent", "text": text}
                      for i, text in enumerate(texts)]}


def metric(server, name):
    """Summed over its labels."""
    url = f"http://127.0.0.1:{server.port}/metrics"
    with urllib.request.urlopen(url, timeout=30) as answer:
        lines = answer.read().decode().split("\n")
    return sum(float(line.split()[-1]) for line in lines
               if line.startswith((name + " ", name + "{")))


def own_write_is_found(writer, reader, name):
    """What one has written and read, the other finds at once, and not what it has deleted; how long
    the first search took. Both are of one company, at servers that may differ."""
    path = "/v1/conversations/" + writer.send(conversation(name, f"word{name} arrived"))

    def found(headers):
        return [hit["external_id"] for hit in reader.search(
            "word" + name, "keyword", min_sequence=headers["Samtale-Sequence"])]

    _, _, headers = wait_for("its chunks", lambda: next(
        (read for read in [writer.call("GET", path + "?chunks=true")]
         if read[0] == 200 and read[1]["chunks"]), None))
    began = time.monotonic()
    assert found(headers) == [name], name
    took = time.monotonic() - began
    status, _, headers = writer.call("DELETE", path)
    assert status == 200 and found(headers) == [], name
    return took


def raw(port, data):
    """What the server answers to these bytes until it closes or falls silent."""
    with socket.create_connection(("127.0.0.1", port), timeout=5) as peer:
        peer.sendall(data)
        received = b""
        try:
            while part := peer.recv(65536):
                received += part
        except TimeoutError:
            pass
        return received
