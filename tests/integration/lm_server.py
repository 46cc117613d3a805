"""Starts the scripted language model server (tests/support) and reads what it was sent."""
import http.client
import json
import math
import os
import re
import subprocess
import sys
import tempfile

from samtale import wait_for

SCRIPT = os.path.join(os.path.dirname(__file__), "..", "support", "scripted_lm_server.py")
QUOTED = ("summary", "sentiment", "topics", "intent", "resolution", "action_items")


def read(path):
    if not os.path.exists(path):
        return ""
    with open(path, encoding="utf-8") as file:
        return file.read().strip()


class LmServer:
    def __init__(self, *flags):
        self.folder = tempfile.TemporaryDirectory(prefix="samtale-lm-")
        self.log = os.path.join(self.folder.name, "log")
        self.flags = flags

    def __enter__(self):
        announce = os.path.join(self.folder.name, "port")
        self.process = subprocess.Popen([sys.executable, SCRIPT, "--port", "0", "--announce",
                                         announce, "--log", self.log, *self.flags])
        self.port = int(wait_for("the language model server's start", lambda: read(announce)))
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.folder.cleanup()

    def settings(self, model="ok", **more):
        """Flags of a samtale server that uses this one."""
        values = {"lm.url": f"http://127.0.0.1:{self.port}/v1", "lm.model": model,
                  "lm.input_usd": 1, "lm.output_usd": 4, "queue.retry_base_ms": 20,
                  "queue.retry_longest_ms": 500, **more}
        return [part for name, value in values.items() for part in ("--set", f"{name}={value}")]

    def call(self, method, path, body=None):
        peer = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        peer.request(method, path, body if body is None else json.dumps(body))
        answer = peer.getresponse().read()
        peer.close()
        return json.loads(answer)

    def stats(self):
        return self.call("GET", "/stats")

    def script(self, model, behaviour):
        return self.call("POST", "/script", {"model": model, "behaviour": behaviour})

    def requests(self):
        """The bodies of the requests so far."""
        with open(self.log, encoding="utf-8") as file:
            lines = [json.loads(line) for line in file if line.endswith("\n")]
        return [line["body"] for line in lines if line["path"].endswith("/chat/completions")]


def tokens(text):
    """As the scripted server counts."""
    return math.ceil(len(text.encode()) / 4)


def sent_tokens(body):
    schema = body["response_format"]["json_schema"]["schema"]
    return tokens("\n".join(f"{one['role']}\n{one['content']}" for one in body["messages"]) +
                  json.dumps(schema, separators=(",", ":")))


def naive_tokens(transcript, combined):
    """What one request an analyzer would send: to each the same system text, the whole transcript,
    its own task and its own part of the schema."""
    system, task = combined["messages"][0]["content"], combined["messages"][-1]["content"]
    schema = combined["response_format"]["json_schema"]["schema"]
    parts = re.split(r"^## (\w+)\n", task, flags=re.M)
    rest = parts[-1].split("\n", 1)
    tail = rest[1] if len(rest) > 1 else ""
    total = 0
    for name, said in zip(parts[1::2], parts[2::2]):
        own = {**schema, "properties": {name: schema["properties"][name],
                                        "nonce": schema["properties"]["nonce"]},
               "required": [name, "nonce"]}
        total += tokens("\n".join(["system", system, "user", transcript, "user",
                                   f"## {name}\n{said}{tail}"]) +
                        json.dumps(own, separators=(",", ":")))
    return total


def citations(value):
    """Every {"turn", "quote"} in it."""
    if isinstance(value, list):
        for item in value:
            yield from citations(item)
    elif isinstance(value, dict):
        if {"turn", "quote"} <= value.keys():
            yield value
        for item in value.values():
            yield from citations(item)


def by_model(company, conversation, names=QUOTED):
    """The conversation's analyses by a language model, once they are all there."""
    def look():
        _, answer, _ = company.call("GET", "/v1/conversations/" + conversation)
        made = {one["analyzer"]: one for one in (answer or {}).get("analyses", [])
                if one["method"] == "lm" and one["revision"] == answer["revision"]}
        return made if set(names) <= made.keys() else None
    return wait_for(f"the analyses of {conversation}", look)
