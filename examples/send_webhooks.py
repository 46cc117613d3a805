#!/usr/bin/env python3
"""Sends conversations as signed Standard Webhooks. Python 3's standard library only: copy it.

  send_webhooks.py --endpoints endpoints.json FILE...

FILE is JSON Lines of conversations (.jsonl, or .jsonl.zst through the zstd command), each with an
"id" and a "company_id". endpoints.json maps a company to the endpoint that takes its events:
  {"acme": {"url": "http://127.0.0.1:8080/v1/webhooks/…", "secret": "whsec_…"}}
as `samtale endpoint create --company acme --preset standard-webhooks --json` prints it.

An event whose answer never came is sent again with the same id, so nothing doubles. 429 and 503 are
waited out as Retry-After asks. Exit status 0 if everything was accepted.
"""
import argparse
import base64
import hashlib
import hmac
import http.client
import json
import queue
import subprocess
import sys
import threading
import time
import urllib.parse


def sign(secret, event_id, body):
    """https://www.standardwebhooks.com: HMAC-SHA256 over id.timestamp.body"""
    timestamp = str(int(time.time()))
    key = base64.b64decode(secret.removeprefix("whsec_"))
    seal = hmac.new(key, f"{event_id}.{timestamp}.".encode() + body, hashlib.sha256).digest()
    return {"webhook-id": event_id, "webhook-timestamp": timestamp,
            "webhook-signature": "v1," + base64.b64encode(seal).decode(),
            "Content-Type": "application/json"}


def lines_of(path):
    if not path.endswith(".zst"):
        with open(path, "rb") as file:
            yield from file
        return
    with subprocess.Popen(["zstd", "-dcq", path], stdout=subprocess.PIPE) as process:
        yield from process.stdout


class Sender(threading.Thread):
    """Takes conversations from the queue and sends them over its own connections."""

    def __init__(self, work, endpoints, tally):
        super().__init__(daemon=True)
        self.work, self.endpoints, self.tally, self.peers = work, endpoints, tally, {}

    def run(self):
        while (line := self.work.get()) is not None:
            try:
                # A file of whole conversations: each has ended, unless it says otherwise.
                document = {"status": "ended"} | json.loads(line)
                self.tally.add(*self.send(document, json.dumps(document).encode()))
            except (ValueError, KeyError, TypeError) as error:
                self.tally.add(False, f"{line[:60]!r}: {error!r}")

    def send(self, document, body):
        company = document["company_id"]
        if company not in self.endpoints:
            return False, f"{document['id']}: no endpoint for company {company}"
        endpoint = self.endpoints[company]
        url = urllib.parse.urlsplit(endpoint["url"])
        # The same conversation has the same event id, so sending it twice does no harm.
        event_id = "msg_" + hashlib.sha256(body).hexdigest()[:32]
        for attempt in range(8):
            try:
                if url.netloc not in self.peers:
                    kind = http.client.HTTPSConnection if url.scheme == "https" \
                        else http.client.HTTPConnection
                    self.peers[url.netloc] = kind(url.netloc, timeout=30)
                peer = self.peers[url.netloc]
                peer.request("POST", url.path, body, sign(endpoint["secret"], event_id, body))
                answer = peer.getresponse()
                text = answer.read()
            except (OSError, http.client.HTTPException):
                self.peers.pop(url.netloc, None)
                time.sleep(min(8, 0.2 * 2 ** attempt))
                continue
            if answer.status in (429, 503):
                time.sleep(float(answer.headers.get("Retry-After", 1)))
                continue
            return answer.status in (200, 202), f"{document['id']}: {answer.status} {text[:300]!r}"
        return False, f"{document['id']}: no answer after 8 attempts"


class Tally:
    def __init__(self):
        self.lock, self.accepted, self.refused = threading.Lock(), 0, []
        self.begin = time.monotonic()

    def add(self, accepted, what):
        with self.lock:
            if accepted:
                self.accepted += 1
            else:
                self.refused.append(what)

    def show(self, last=False):
        took = max(time.monotonic() - self.begin, 1e-3)
        text = (f"sent {self.accepted + len(self.refused)}: {self.accepted} accepted, "
                f"{len(self.refused)} refused, {self.accepted / took:.0f}/s")
        if sys.stderr.isatty():
            print("\r" + text + "   ", end="\n" if last else "", file=sys.stderr, flush=True)
        elif last:
            print(text, file=sys.stderr)


def main():
    arguments = argparse.ArgumentParser(description=__doc__,
                                        formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--endpoints", required=True, help="JSON file: company to url and secret")
    arguments.add_argument("--connections", type=int, default=8)
    arguments.add_argument("files", nargs="+", metavar="FILE")
    arguments = arguments.parse_args()
    with open(arguments.endpoints) as file:
        endpoints = json.load(file)
    work, tally = queue.Queue(1000), Tally()
    senders = [Sender(work, endpoints, tally) for _ in range(arguments.connections)]
    for sender in senders:
        sender.start()
    for path in arguments.files:
        for number, line in enumerate(lines_of(path)):
            if line.strip():
                work.put(line)
            if number % 100 == 0:
                tally.show()
    for _ in senders:
        work.put(None)
    for sender in senders:
        sender.join()
    tally.show(last=True)
    for what in tally.refused[:20]:
        print("refused", what, file=sys.stderr)
    sys.exit(1 if tally.refused else 0)


if __name__ == "__main__":
    main()
