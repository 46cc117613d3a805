#!/usr/bin/env python3
"""A test tool: an OpenAI-compatible embedding server that misbehaves as it is told.

    scripted_embedding_server.py --port PORT [--dimension N] [--announce FILE]

Listens on 127.0.0.1; --port 0 takes a free port. --announce writes the port to FILE (a FIFO, say)
once it listens. The model named in a request says what to do, "BEHAVIOUR" or "BEHAVIOUR:TIMES" (so
often, then "ok"):

    ok              unit vectors, those of equal texts equal
    reversed        the same, listed last first
    429             too many requests            429-wait      with "Retry-After: 1"
    500             a server error               503-date      with a Retry-After date long past
    reset           the connection closed without an answer
    hang            no answer for a minute       half-json     the first half of an answer
    short           one vector too few           dimension     one number too many in each vector
    nan             NaN in a vector              zero          a vector of zeros
    huge            100 MB of answer

Any model: a text with POISON is refused with 400; DIE ends the server; FREEZE stops it (SIGSTOP).
"""
import argparse
import collections
import hashlib
import http.server
import json
import os
import signal
import socket
import threading


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    dimension = 8
    asked = collections.Counter()
    asked_lock = threading.Lock()

    def log_message(self, format, *args):
        pass

    def answer(self, status, body, headers=()):
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def refuse(self, status, message, headers=()):
        self.answer(status, json.dumps({"error": {"message": message}}).encode(), headers)

    def behaviour(self, model):
        name, _, times = model.partition(":")
        with self.asked_lock:
            self.asked[model] += 1
            return "ok" if times and self.asked[model] > int(times) else name

    def vector(self, text, length):
        numbers, seed = [], text.encode()
        while len(numbers) < length:
            seed = hashlib.sha256(seed).digest()
            numbers += [byte / 255 - 0.5 for byte in seed]
        return numbers[:length]

    def do_POST(self):
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        texts = request["input"]
        if self.path != "/v1/embeddings":
            return self.refuse(404, f"no such path: {self.path}")
        if any("DIE" in text for text in texts):
            os._exit(3)
        if any("FREEZE" in text for text in texts):
            os.kill(os.getpid(), signal.SIGSTOP)
            threading.Event().wait(60)  # This thread may run on for a moment.
        if any("POISON" in text for text in texts):
            return self.refuse(400, "a text is refused by the content filter")
        self.behave(self.behaviour(request["model"]), texts)

    def behave(self, behaviour, texts):
        if behaviour == "429":
            return self.refuse(429, "too many requests")
        if behaviour == "429-wait":
            return self.refuse(429, "too many requests", [("Retry-After", "1")])
        if behaviour == "500":
            return self.refuse(500, "inference failed")
        if behaviour == "503-date":
            date = ("Retry-After", "Fri, 31 Dec 1999 23:59:59 GMT")
            return self.refuse(503, "overloaded", [date])
        if behaviour == "reset":
            self.close_connection = True
            return self.connection.shutdown(socket.SHUT_RDWR)
        if behaviour == "hang":
            return threading.Event().wait(60)
        if behaviour == "huge":
            return self.answer(200, b'{"data":[' + b" " * 100_000_000)
        self.answer(200, self.vectors(behaviour, texts))

    def vectors(self, behaviour, texts):
        length = self.dimension + (behaviour == "dimension")
        data = [{"object": "embedding", "index": i, "embedding": self.vector(text, length)}
                for i, text in enumerate(texts)]
        if behaviour == "reversed":
            data.reverse()
        if behaviour == "short":
            data.pop()
        if behaviour == "nan":
            data[0]["embedding"][0] = float("nan")
        if behaviour == "zero":
            data[0]["embedding"] = [0] * length
        body = json.dumps({"object": "list", "data": data, "model": "scripted"}).encode()
        return body[:len(body) // 2] if behaviour == "half-json" else body


def main():
    arguments = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    arguments.add_argument("--port", type=int, required=True)
    arguments.add_argument("--dimension", type=int, default=8)
    arguments.add_argument("--announce")
    options = arguments.parse_args()
    Handler.dimension = options.dimension
    server = http.server.ThreadingHTTPServer(("127.0.0.1", options.port), Handler)
    server.daemon_threads = True
    if options.announce:
        with open(options.announce, "w", encoding="ascii") as file:
            file.write(f"{server.server_port}\n")
    server.serve_forever()


if __name__ == "__main__":
    main()
