#!/usr/bin/env python3
"""A test tool, never a default: an OpenAI-compatible language model server that answers from the
schema and the transcript it is sent, and misbehaves as it is told.

    scripted_lm_server.py --port PORT [--announce FILE] [--latency-ms N] [--rpm N] [--tpm N]
                          [--retry-after S] [--grace-ms N] [--batch-seconds S] [--schema-first]
                          [--log FILE]

Listens on 127.0.0.1; --port 0 takes a free port. --announce writes the port to FILE (a FIFO, say)
once it listens. --log appends each request as a JSON line: {"time", "path", "idempotency_key",
"body"}. The model named in a request says what to do, "BEHAVIOUR" or "BEHAVIOUR:TIMES" (so often,
then "ok"); a model may also be given another behaviour by POST /script.

    ok              JSON of the schema: findings are verbatim parts of the transcript's turns, the
                    nonce is that of the last "Nonce:" line; too long for max_tokens is cut
    400 401 403 404 408 413 422 429 500 502 503 529   that status, no Retry-After
    429-wait 503-wait   with Retry-After: --retry-after     429-date    with it as a date
    200-error       status 200 and an error in it
    reset           the connection is reset without an answer
    reset-stream    ... in the middle of one
    hang            no answer                    silent      half an answer, then nothing
    half-json       half of the JSON             half-stream half a text, said to be whole where
                                                             the answer is no stream
    drip            the same event for ever, ten times a second
    endless         events (or text) for ever    huge        100 MB of answer
    utf8            bytes that are no UTF-8      not-json    HTML of a proxy
    empty-choices   no choice                    no-usage    an answer that is not counted
    length          cut, finish_reason length    length-once the first time a nonce is seen
    content-filter  nothing, finish_reason content_filter    refusal   a refusal
    wrong-schema    JSON of another schema       prose       the JSON within prose and fences
    broken-json     single quotes and trailing commas
    no-nonce        no nonce                     swapped     another request's answer
    foreign-quote   quotes that nobody said, turns that do not exist
    html            URLs, images, scripts in each free string
    echo            obeys what the transcript asks for: its text in each free string, fields that
                    nobody asked for, all scores at their most
    echo-inside     the same within the schema
    other-model     another model's name in the answer

Batches know the behaviours with a status and those of an answer, and of their own:
    hang            is never done                batch-fail  the batch fails
    batch-odd       lines that are twice there, of an id nobody sent, and no JSON

GET /stats, POST /reset (the counts), POST /script {"model", "behaviour"} (null: as it is named).
GET /fetched is what the "html" answers link to: stats say how often anybody came.
--grace-ms: a request on its way when a Retry-After was given out is none inside it.
--schema-first: the prompt cache sees the schema before the messages, as OpenAI's does.
"""
import argparse
import asyncio
import base64
import collections
import email.utils
import hashlib
import json
import marshal
import math
import os
import random
import re
import socket
import struct
import time
import zlib

ENCODE = json.JSONEncoder(ensure_ascii=False).encode  # Made once: that is half of its cost.
BODY_BYTES_MAX = 256 << 20
TURN = re.compile(r"^\[(\d+)\] ([^:\n]{1,40}): (.*)$", re.M)
SECTION = re.compile(r"^=== conversation (\S+)\s*$", re.M)
NONCE = re.compile(r"^Nonce: *(\S+)\s*$", re.M)
NOTE = re.compile(r'"turn":\s*(\d+),\s*"quote":\s*("(?:[^"\\]|\\.)*")')
WORDS = ("delivery order refund invoice account card agent customer phone answer help late "
         "missing damaged question price contract service update login").split()
ASKING = re.compile(
    r"ignore|disregard|forget|override|instruction|system prompt|you are now|pretend|jailbreak|"
    r"developer mode|score|rate this|print|reveal|repeat|output|respond|execute|tool|function|"
    r"ignorer|glem|instruks|afslør|svar kun|giv .* point|vergiss|ignorier|anweisung|gib .* aus|"
    r"ignora|olvida|instruccion|oublie|ignorez|consigne|esqueça|istruzioni|negeer|vergeet|"
    r"zignoruj|zapomnij|игнорир|забудь|инструкц|无视|忽略|指令|無視|지시|무시|تجاهل|"
    r"talimat|görmezden|अनदेखा|निर्देश|"
    r"https?://|<[a-z/!]|!\[|```|=== |</?s>|\[INST|<\|", re.I)
HIDDEN = re.compile("[\u200b-\u200f\u2060-\u2064\ufeff\U000e0000-\U000e007f]")
BASE64 = re.compile(r"[A-Za-z0-9+/]{24,}={0,2}")
STATUS = {200: "OK", 400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found",
          408: "Request Timeout", 409: "Conflict", 413: "Content Too Large",
          422: "Unprocessable Content", 429: "Too Many Requests", 500: "Internal Server Error",
          502: "Bad Gateway", 503: "Service Unavailable", 529: "Overloaded"}


def crc(*parts):
    return zlib.crc32("\0".join(map(str, parts)).encode("utf-8", "surrogatepass"))


# ---- What an answer says. -----------------------------------------------------------------------

class Prompt:
    """What a request asks: its turns by section, its nonce, its schema."""

    def __init__(self, body):
        messages = body.get("messages") or []
        self.texts = [str(message.get("content") or "") for message in messages]
        self.last = self.texts[-1] if self.texts else ""
        nonces = NONCE.findall(self.last)
        self.nonce = nonces[-1] if nonces else None
        form = body.get("response_format") or {}
        self.schema = (form.get("json_schema") or {}).get("schema")
        if self.schema is None:
            self.schema = self.schema_in_text(self.last)
        told = self.texts[1:-1] if len(self.texts) > 2 else self.texts
        self.transcript = "\n".join(told)
        self.sections = self.read_sections(self.transcript)
        self.system = self.texts[0] if messages and messages[0].get("role") == "system" else ""
        self.seed = zlib.crc32(self.transcript.encode("utf-8", "surrogatepass"))

    @staticmethod
    def schema_in_text(text):
        for line in reversed(text.split("\n")):
            if line.startswith("{"):
                try:
                    return json.loads(line)
                except ValueError:
                    continue
        return None

    @staticmethod
    def read_sections(text):
        marks = list(SECTION.finditer(text))
        spans = [("", text)] if not marks else [
            (mark[1], text[mark.end():after.start() if after else len(text)])
            for mark, after in zip(marks, marks[1:] + [None])]
        return {name: Prompt.read_turns(part) for name, part in spans}

    @staticmethod
    def read_turns(text):
        turns = [(int(number), who, said) for number, who, said in TURN.findall(text)]
        if not turns:  # Notes of an earlier step hold findings.
            turns = [(int(number), "customer", json.loads(quote))
                     for number, quote in NOTE.findall(text)]
        return [turn for turn in turns if turn[2].strip()]


def first_words(text):
    if len(text) <= 60:
        return text
    cut = text[:61].rfind(" ")
    return text[:cut] if cut > 0 else text[:60]


class Writer:
    """Makes a value of a schema. The same prompt gives the same value."""

    def __init__(self, prompt, behaviour, port):
        self.prompt, self.behaviour, self.port = prompt, behaviour, port
        self.section = next(iter(prompt.sections), "")
        self.cited = collections.Counter()
        self.asked_for = self.obey() if behaviour.startswith("echo") else None

    def obey(self):
        """The most suspicious thing that was said, with what it hides."""
        asking = []
        for turns in self.prompt.sections.values():
            for _, _, said in turns:
                hidden = [self.decoded(run) for run in BASE64.findall(said)]
                plain = HIDDEN.sub("", said)
                if ASKING.search(plain) or plain != said or any(hidden):
                    asking.append(" ".join([said, *filter(None, hidden)]))
        return " | ".join(asking)[:2000] or None

    @staticmethod
    def decoded(run):
        try:
            return base64.b64decode(run + "=" * (-len(run) % 4)).decode()
        except ValueError:
            return ""

    def write(self):
        schema = self.prompt.schema
        if schema is None:
            return {"nonce": self.prompt.nonce} if self.prompt.nonce else {}
        value = self.value(schema, "")
        if self.asked_for and self.behaviour == "echo" and isinstance(value, dict):
            value.update({"system_prompt": self.prompt.system, "admin": True,
                          "note": self.asked_for})
        return value

    def resolve(self, schema):
        for _ in range(16):
            reference = schema.get("$ref") if isinstance(schema, dict) else None
            if not reference:
                break
            schema = self.prompt.schema
            for step in reference.lstrip("#/").split("/"):
                schema = schema[step.replace("~1", "/").replace("~0", "~")]
        return schema if isinstance(schema, dict) else {}

    def value(self, schema, path):
        if path.count("/") > 24:
            return None
        schema = self.resolve(schema)
        if "const" in schema:
            return schema["const"]
        if "enum" in schema:
            return schema["enum"][crc(self.prompt.seed, path) % len(schema["enum"])]
        for key in ("anyOf", "oneOf"):
            options = [self.resolve(option) for option in schema.get(key, [])]
            if options:
                solid = [option for option in options if option.get("type") != "null"]
                return self.value((solid or options)[0], path)
        kind = schema.get("type")
        if isinstance(kind, list):
            kind = next((one for one in kind if one != "null"), "null")
        if kind == "object" or "properties" in schema:
            return self.object(schema, path)
        if kind == "array":
            return self.array(schema, path)
        if kind in ("integer", "number"):
            return self.number(schema, path, kind)
        if kind == "boolean":
            return bool(crc(self.prompt.seed, path) & 1)
        return self.string(schema, path) if kind in ("string", None) else None

    def object(self, schema, path):
        properties = schema.get("properties", {})
        outside, value = self.section, {}
        finding = {"turn", "quote"} <= properties.keys() and self.finding(path)
        for name, inner in properties.items():
            if len(self.prompt.sections) > 1:  # "A" or "conversation_A": of that one.
                tail = re.split(r"[ _]", name)[-1]
                self.section = tail if tail in self.prompt.sections else outside
            if name == "nonce":
                value[name] = self.prompt.nonce or ""
            elif finding and name in ("turn", "quote"):
                value[name] = finding[name]
            else:
                value[name] = self.value(inner, f"{path}/{name}")
            self.section = outside
        return value

    def array(self, schema, path):
        items = self.resolve(schema.get("items", {}))
        least, most = schema.get("minItems", 0), schema.get("maxItems", 1 << 30)
        properties = items.get("properties", {})
        if "conversation" in properties and len(self.prompt.sections) > 1:
            outside, value = self.section, []
            for self.section in self.prompt.sections:
                item = self.value(items, f"{path}/{self.section}")
                item["conversation"] = self.section
                value.append(item)
            self.section = outside
            return value
        count = max(least, min(2, most))
        if {"turn", "quote"} <= properties.keys():
            count = max(least, min(count, len(self.prompt.sections.get(self.section, []))))
        return [self.value(items, f"{path}/{number}") for number in range(count)]

    def finding(self, path):
        turns = self.prompt.sections.get(self.section, [])
        turns = [turn for turn in turns if "customer" in turn[1].lower()] or turns
        number = self.cited[self.section]
        self.cited[self.section] += 1
        if self.behaviour == "foreign-quote":
            real = turns[number % len(turns)] if turns else (0, "", "")
            return ({"turn": 99_000 + number, "quote": first_words(real[2])} if number % 2 else
                    {"turn": real[0], "quote": f"nobody has ever said this {crc(path)}"})
        if not turns:
            return {"turn": 0, "quote": ""}
        turn, _, said = turns[number % len(turns)]
        return {"turn": turn, "quote": first_words(said)}

    def number(self, schema, path, kind):
        least = schema.get("minimum", schema.get("exclusiveMinimum", 0))
        most = schema.get("maximum", schema.get("exclusiveMaximum", least + 10))
        step = schema.get("multipleOf", 1 if kind == "integer" else None)
        if self.asked_for:
            return most if self.behaviour == "echo-inside" else most + 1000
        if step is None:
            return round(least + (most - least) * (1 + crc(self.prompt.seed, path) % 98) / 100, 3)
        first = math.ceil(least / step) + ("exclusiveMinimum" in schema and least % step == 0)
        last = math.floor(most / step) - ("exclusiveMaximum" in schema and most % step == 0)
        return (first + crc(self.prompt.seed, path) % max(1, last - first + 1)) * step

    def string(self, schema, path):
        seed = crc(self.prompt.seed, path)
        text = " ".join(WORDS[(seed >> shift) % len(WORDS)] for shift in (0, 5, 10, 15))
        pattern = schema.get("pattern")
        if pattern:
            fitting = ["a", "A1", "0", "2026-11-28", "12:30", "2026-11-28T12:30:00Z", "en", "EN",
                       "a@example.com", f"{seed:08x}" * 4, text]
            return next((one for one in fitting if re.search(pattern, one)), text)
        if self.behaviour == "html":
            link = f"http://127.0.0.1:{self.port}/fetched"
            text = (f'<script>fetch("{link}")</script><img src="{link}" onerror="alert(1)"> '
                    f"![x]({link}) [click]({link}) {link}")
        if self.asked_for:
            text = self.asked_for
        text = text[:schema.get("maxLength", len(text))]
        return text + "x" * (schema.get("minLength", 0) - len(text))


def python_like(value):
    """JSON as a careless model writes it: repairable."""
    text = json.dumps(value, ensure_ascii=False)
    keys = re.sub(r'"([a-z_]+)": ', r"'\1': ", text)
    return re.sub(r'(["\d\]}le])\}', r"\1,}", keys)


# ---- What the account may. ----------------------------------------------------------------------

class Bucket:
    """So many a minute, refilled continuously, a minute's worth at most."""

    def __init__(self, per_minute):
        self.limit, self.left, self.at = per_minute, per_minute, time.monotonic()

    def refill(self):
        now = time.monotonic()
        self.left = min(self.limit, self.left + (now - self.at) * self.limit / 60)
        self.at = now

    def wait_for(self, amount):
        return max(0.0, (min(amount, self.limit) - self.left) * 60 / self.limit)

    def reset(self):
        return (self.limit - self.left) * 60 / self.limit


def go_duration(seconds):
    if seconds < 1:
        return f"{math.ceil(seconds * 1000)}ms"
    minutes, seconds = divmod(seconds, 60)
    return (f"{int(minutes)}m" if minutes else "") + f"{round(seconds, 3):g}s"


class PromptCache:
    """Remembers prompts by the hash of each beginning of a multiple of 512 bytes (128 tokens)."""
    BLOCK, BLOCKS_MAX = 512, 200_000

    def __init__(self):
        self.seen = {}

    def cached_bytes(self, text):
        chain, known, is_known = 0, 0, True
        for end in range(self.BLOCK, len(text) + 1, self.BLOCK):
            chain = hash((chain, text[end - self.BLOCK:end]))
            is_known = is_known and chain in self.seen
            known += self.BLOCK * is_known
            self.seen.pop(chain, None)
            self.seen[chain] = True
        while len(self.seen) > self.BLOCKS_MAX:
            del self.seen[next(iter(self.seen))]
        return known


class Server:
    def __init__(self, options):
        self.options = options
        self.port = 0
        self.requests_bucket = Bucket(options.rpm) if options.rpm else None
        self.tokens_bucket = Bucket(options.tpm) if options.tpm else None
        self.scripts = {}
        self.asked = collections.Counter()
        self.nonces_seen = set()
        self.last_answers = collections.deque(maxlen=16)  # (nonce, text)
        self.answered = {}  # By Idempotency-Key: (digest of the request, text, finish, usage).
        self.wait_begin = self.wait_end = 0.0
        self.running = 0
        self.cache = PromptCache()
        self.files, self.batches, self.schemas = {}, {}, {}
        self.log = open(options.log, "a", encoding="utf-8", buffering=1) if options.log else None
        self.reset_stats()

    def reset_stats(self):
        self.stats = collections.Counter()
        self.by_model = collections.Counter()
        self.by_status = collections.Counter()
        self.max_concurrent = 0

    # -- Counting.

    def note_arrival(self):
        now = time.monotonic()
        if self.wait_begin <= now < self.wait_end:
            late = now - self.wait_begin > self.options.grace_ms / 1000
            self.stats["in_retry_after" if late else "in_retry_after_grace"] += 1

    def tell_to_wait(self, seconds):
        now = time.monotonic()
        if now >= self.wait_end:
            self.wait_begin = now
        self.wait_end = max(self.wait_end, now + seconds)

    def all_stats(self):
        names = ("requests", "answered", "tokens_in", "tokens_cached", "tokens_out",
                 "batch_tokens_in", "batch_tokens_out", "in_retry_after", "in_retry_after_grace",
                 "idempotency_keys_repeated", "idempotency_keys_misused", "fetched", "batches")
        return {**{name: self.stats[name] for name in names}, "by_model": dict(self.by_model),
                "by_status": {str(status): n for status, n in self.by_status.items()},
                "max_concurrent": self.max_concurrent, "concurrent": self.running}

    def behaviour(self, model):
        script = self.scripts.get(model, model)
        name, _, times = script.partition(":")
        self.asked[model, script] += 1
        return "ok" if times and self.asked[model, script] > int(times) else name

    def count_tokens(self, body, schema):
        told = b""
        if schema:
            known = marshal.dumps(schema)
            told = self.schemas.get(known)
            if told is None:
                told = json.dumps(schema, separators=(",", ":")).encode()
                self.schemas[known] = told
        text = "\n".join(f"{message.get('role')}\n{message.get('content')}"
                         for message in body.get("messages") or []).encode("utf-8", "replace")
        text = told + text if self.options.schema_first else text + told
        return math.ceil(len(text) / 4), self.cache.cached_bytes(text) // 4

    def limits(self):
        headers = []
        for name, bucket in (("requests", self.requests_bucket), ("tokens", self.tokens_bucket)):
            if bucket:
                headers += [(f"x-ratelimit-limit-{name}", str(bucket.limit)),
                            (f"x-ratelimit-remaining-{name}", str(int(max(0, bucket.left)))),
                            (f"x-ratelimit-reset-{name}", go_duration(bucket.reset()))]
        return headers

    def over_limit(self, tokens):
        """Seconds to wait, or 0 and the request is booked."""
        wanted = [(bucket, amount) for bucket, amount in
                  ((self.requests_bucket, 1), (self.tokens_bucket, tokens)) if bucket]
        for bucket, _ in wanted:
            bucket.refill()
        wait = max((bucket.wait_for(amount) for bucket, amount in wanted), default=0)
        if wait <= 0:
            for bucket, amount in wanted:
                bucket.left -= amount
        return wait

    # -- What is said.

    def compose(self, behaviour, prompt, max_tokens):
        """(text, finish_reason, refusal)."""
        value = Writer(prompt, behaviour, self.port).write()
        if behaviour == "no-nonce" and isinstance(value, dict):
            value.pop("nonce", None)
        if behaviour == "wrong-schema":
            value = {"nonce": prompt.nonce, "answer": 42, "items": [None]}
        text = ENCODE(value)
        if behaviour == "swapped":
            others = [said for nonce, said in self.last_answers if nonce != prompt.nonce]
            text = others[-1] if others else json.dumps({"nonce": "0" * 32, "other": True})
        self.last_answers.append((prompt.nonce, text))
        if behaviour == "prose":
            text = f"Sure! Here is what I found:\n\n```json\n{text}\n```\n\nAnything else?"
        if behaviour == "broken-json":
            text = python_like(value)
        if behaviour == "content-filter":
            return "", "content_filter", None
        if behaviour == "refusal":
            return None, "stop", "I cannot help with that."
        first_time = prompt.nonce not in self.nonces_seen
        self.nonces_seen.add(prompt.nonce)
        if behaviour == "length" or (behaviour == "length-once" and first_time):
            return text[:min(len(text) // 2, max_tokens * 4)], "length", None
        if math.ceil(len(text.encode()) / 4) > max_tokens:
            return text.encode()[:max_tokens * 4].decode(errors="ignore"), "length", None
        return text, "stop", None

    def usage(self, tokens_in, cached, text, finish, max_tokens):
        out = max_tokens if finish == "length" else math.ceil(len((text or "").encode()) / 4)
        return {"prompt_tokens": tokens_in, "completion_tokens": out,
                "total_tokens": tokens_in + out,
                "prompt_tokens_details": {"cached_tokens": cached}}

    def completion(self, model, text, finish, refusal, usage):
        message = {"role": "assistant", "content": text, "refusal": refusal}
        return {"id": f"chatcmpl-{self.stats['requests']}", "object": "chat.completion",
                "created": int(time.time()), "model": model,
                "choices": [{"index": 0, "message": message, "finish_reason": finish}],
                "usage": usage}


class Connection(asyncio.Protocol):
    """Reads requests and answers them in their order. A protocol, not a stream, and no task where
    nothing is waited for: so it is fast enough to measure others with."""

    def __init__(self, server):
        self.server, self.received, self.task = server, bytearray(), None
        self.closed = asyncio.get_running_loop().create_future()
        self.may_write = asyncio.Event()
        self.may_write.set()

    def connection_made(self, transport):
        self.transport = transport

    def connection_lost(self, _):
        self.closed.set_result(None)
        self.may_write.set()

    def pause_writing(self):
        self.may_write.clear()

    def resume_writing(self):
        self.may_write.set()

    def data_received(self, data):
        self.received += data
        while self.task is None and self.serve_one():
            pass

    def serve_one(self):
        """True if there was a whole request and the next one may follow."""
        end = self.received.find(b"\r\n\r\n")
        if end < 0:
            return False
        first, *lines = self.received[:end].decode("latin-1").split("\r\n")
        headers = {}
        for line in lines:
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        length = int(headers.get("content-length", 0))
        if length > BODY_BYTES_MAX:
            self.transport.close()
            return False
        if len(self.received) < end + 4 + length:
            return False
        body = bytes(self.received[end + 4:end + 4 + length])
        del self.received[:end + 4 + length]
        method, path, _ = first.split(" ", 2)
        waiting = Exchange(self, headers).answer(method, path, body)
        if waiting:
            self.task = asyncio.get_running_loop().create_task(waiting)
            self.task.add_done_callback(self.waited)
        return self.task is None

    def waited(self, task):
        self.task = None
        if not self.closed.done():
            task.result()
            self.data_received(b"")

    def reset(self):
        self.transport.get_extra_info("socket").setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()


class Exchange:
    """One request and its answer."""

    def __init__(self, connection, headers):
        self.connection, self.server, self.headers = connection, connection.server, headers

    def send(self, status, body, headers=(), kind="application/json"):
        self.server.by_status[status] += 1
        lines = [f"HTTP/1.1 {status} {STATUS.get(status, 'Status')}", f"Content-Type: {kind}",
                 f"Content-Length: {len(body)}", *(f"{name}: {value}" for name, value in headers)]
        self.connection.transport.write("\r\n".join(lines).encode() + b"\r\n\r\n" + body)

    def send_json(self, value, status=200, headers=()):
        self.send(status, json.dumps(value).encode(), headers)

    def refuse(self, status, said="", kind="invalid_request_error", code=None, headers=()):
        # As providers do, it quotes what it was sent: nobody may log this.
        self.send_json({"error": {"message": f"scripted {status}; you sent: {said[:300]}",
                                  "type": kind, "param": None, "code": code}}, status, headers)

    def answer(self, method, path, body):
        """Answers, or returns what will."""
        server = self.server
        path, _, query = path.partition("?")
        routes = {("POST", "/v1/chat/completions"): self.chat, ("POST", "/v1/files"): self.upload,
                  ("POST", "/v1/batches"): self.start_batch, ("GET", "/v1/batches"): self.batches}
        if (method, path) in routes:
            if server.log and path != "/v1/files":
                self.log(path, body)
            return routes[method, path](body, query)
        if (method, path) == ("GET", "/stats"):
            return self.send_json(server.all_stats())
        if (method, path) == ("POST", "/reset"):
            server.reset_stats()
            return self.send_json({})
        if (method, path) == ("POST", "/script"):
            script = json.loads(body)
            server.scripts.pop(script["model"], None)
            if script["behaviour"] is not None:
                server.scripts[script["model"]] = script["behaviour"]
                server.asked.pop((script["model"], script["behaviour"]), None)
            return self.send_json({})
        if path == "/fetched":
            server.stats["fetched"] += 1
            return self.send_json({})
        parts = path.split("/")
        if method == "GET" and path.startswith("/v1/files/") and path.endswith("/content"):
            content = server.files.get(parts[3])
            return (self.refuse(404, path) if content is None else
                    self.send(200, content, kind="application/jsonl"))
        if path.startswith("/v1/batches/"):
            return self.batch(method, parts)
        self.refuse(404, path)

    def log(self, path, body):
        try:
            sent = json.loads(body) if body else None
        except ValueError:
            sent = None
        self.server.log.write(json.dumps({
            "time": time.time(), "path": path,
            "idempotency_key": self.headers.get("idempotency-key"), "body": sent},
            ensure_ascii=False) + "\n")

    # -- Chat.

    WAITING = {"hang", "silent", "reset-stream", "endless", "drip"}

    def chat(self, raw, _):
        server = self.server
        server.note_arrival()
        server.stats["requests"] += 1
        try:
            body = json.loads(raw)
            prompt = Prompt(body)
        except (ValueError, AttributeError):
            return self.refuse(400, "no JSON")
        model = body.get("model") or ""
        server.by_model[model] += 1
        key, digest = self.headers.get("idempotency-key"), hashlib.sha256(raw).digest()
        known = server.answered.get(key) if key else None
        if known and known[0] != digest:
            server.stats["idempotency_keys_misused"] += 1
            return self.refuse(409, prompt.last, code="idempotency_key_misused")
        if known:
            server.stats["idempotency_keys_repeated"] += 1
            return self.say(body, "ok", model, *known[1:])

        max_tokens = body.get("max_completion_tokens") or body.get("max_tokens") or 4096
        tokens_in, cached = server.count_tokens(body, prompt.schema)
        wait = server.over_limit(tokens_in + max_tokens)
        if wait > 0:
            return self.throttle(429, math.ceil(wait), prompt.last)
        behaviour = server.behaviour(model)
        chat = (behaviour, body, prompt, max_tokens, tokens_in, cached, key, digest)
        if server.options.latency_ms or behaviour in self.WAITING:
            return self.chat_later(*chat)
        return self.chat_now(*chat)

    async def chat_later(self, behaviour, *chat):
        server = self.server
        server.running += 1
        server.max_concurrent = max(server.max_concurrent, server.running)
        try:
            await asyncio.sleep(server.options.latency_ms / 1000)
            if behaviour == "hang":
                await self.connection.closed
            elif behaviour in ("endless", "drip"):
                await self.go_on_for_ever(behaviour)
            else:
                waiting = self.chat_now(behaviour, *chat)
                if waiting:
                    await waiting
        finally:
            server.running -= 1

    def chat_now(self, behaviour, body, prompt, max_tokens, tokens_in, cached, key, digest):
        server = self.server
        if self.misbehave(behaviour, prompt, body.get("stream")):
            return None
        text, finish, refusal = server.compose(behaviour, prompt, max_tokens)
        usage = server.usage(tokens_in, cached, text, finish, max_tokens)
        server.stats["tokens_in"] += tokens_in
        server.stats["tokens_cached"] += cached
        server.stats["tokens_out"] += usage["completion_tokens"]
        if behaviour == "no-usage":
            usage = None
        if key and behaviour not in ("reset-stream", "silent", "half-json", "half-stream"):
            server.answered[key] = (digest, text, finish, refusal, usage)
            while len(server.answered) > 100_000:
                del server.answered[next(iter(server.answered))]
        named = "gpt-other" if behaviour == "other-model" else body.get("model") or ""
        return self.say(body, behaviour, named, text, finish, refusal, usage)

    def throttle(self, status, seconds, said, as_date=False):
        self.server.tell_to_wait(seconds)
        value = email.utils.formatdate(time.time() + seconds, usegmt=True) if as_date else seconds
        self.refuse(status, said, "rate_limit_error", "rate_limit_exceeded",
                    [("Retry-After", value), *self.server.limits()])

    def misbehave(self, behaviour, prompt, is_stream):
        """True if there is no answer to be made any more."""
        wait = self.server.options.retry_after
        if behaviour.isdigit():
            kind = "server_error" if int(behaviour) >= 500 else "invalid_request_error"
            self.refuse(int(behaviour), prompt.last, kind, headers=self.server.limits())
        elif behaviour in ("429-wait", "503-wait"):
            self.throttle(int(behaviour[:3]), wait, prompt.last)
        elif behaviour == "429-date":
            self.throttle(429, wait, prompt.last, as_date=True)
        elif behaviour == "200-error" and is_stream:
            error = {"error": {"message": f"you sent {prompt.last[:300]}", "code": 502}}
            self.send(200, b"data: " + json.dumps(error).encode() + b"\n\n",
                      kind="text/event-stream")
        elif behaviour == "200-error":
            self.refuse(200, prompt.last, "server_error", "overloaded")
        elif behaviour == "reset":
            self.connection.reset()
        elif behaviour == "huge":
            start = b'{"choices":[{"message":{"content":"'
            self.send(200, start + b"x" * 100_000_000 + b'"}}]}')
        elif behaviour == "not-json":
            self.send(200, b"<html><body>502 Bad Gateway</body></html>", kind="text/html")
        else:
            return False
        return True

    async def go_on_for_ever(self, behaviour):
        connection = self.connection
        connection.transport.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
                                   b"Transfer-Encoding: chunked\r\n\r\n")
        event = self.event("gpt", {"content": "and so on "}, None)
        piece = event if behaviour == "drip" else event * 200
        while not connection.closed.done():
            connection.transport.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            await asyncio.sleep(0.1 if behaviour == "drip" else 0)
            await connection.may_write.wait()

    async def send_half(self, behaviour, kind, sent):
        head = f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {len(sent)}\r\n\r\n"
        self.connection.transport.write(head.encode() + sent[:len(sent) // 2])
        if behaviour == "silent":
            return await self.connection.closed
        await asyncio.sleep(0.01)  # So that the half arrives before the reset discards it.
        self.connection.reset()

    def say(self, body, behaviour, model, text, finish, refusal, usage):
        self.server.stats["answered"] += 1
        headers = self.server.limits()
        if body.get("stream"):
            include_usage = (body.get("stream_options") or {}).get("include_usage")
            sent = self.stream(behaviour, model, text, finish, refusal,
                               usage if include_usage else None)
            kind = "text/event-stream"
        else:
            if behaviour == "half-stream":
                text = (text or "")[:len(text or "") // 2]
            value = self.server.completion(model, text, finish, refusal, usage)
            if behaviour == "empty-choices":
                value["choices"] = []
            if usage is None:
                del value["usage"]
            sent, kind = ENCODE(value).encode(), "application/json"
        if behaviour == "utf8":
            sent = sent.replace(b"nonce", b"non\xff\xfece")
        if behaviour == "half-json":
            sent = sent[:len(sent) // 2]
        if behaviour in ("reset-stream", "silent"):
            return self.send_half(behaviour, kind, sent)
        return self.send(200, sent, headers, kind)

    def stream(self, behaviour, model, text, finish, refusal, usage):
        if behaviour == "empty-choices":
            return b"data: [DONE]\n\n"
        pieces = [(text or "")[at:at + 24] for at in range(0, len(text or ""), 24)]
        events = [self.event(model, {"role": "assistant", "content": ""}, None)]
        events += [self.event(model, {"content": piece}, None) for piece in pieces]
        if refusal:
            events.append(self.event(model, {"refusal": refusal}, None))
        if behaviour == "half-stream":
            return b"".join(events[:1 + len(events) // 2])
        events.append(self.event(model, {}, finish))
        if usage:
            events.append(b"data: " + json.dumps({
                "object": "chat.completion.chunk", "model": model, "choices": [],
                "usage": usage}).encode() + b"\n\n")
        return b"".join([b": scripted\n\n", *events, b"data: [DONE]\n\n"])

    @staticmethod
    def event(model, delta, finish):
        return b"data: " + json.dumps({
            "object": "chat.completion.chunk", "model": model,
            "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]},
            ensure_ascii=False).encode() + b"\n\n"

    # -- Files and batches.

    def upload(self, body, _):
        boundary = re.search(r'boundary="?([^";]+)', self.headers.get("content-type", ""))
        fields = {}
        for part in body.split(b"--" + boundary[1].encode()) if boundary else []:
            head, _, content = part.partition(b"\r\n\r\n")
            name = re.search(rb'name="([^"]*)"', head)
            if name:
                fields[name[1].decode()] = content[:-2]
        if fields.get("purpose") != b"batch" or "file" not in fields:
            return self.refuse(400, "a file and purpose=batch are needed")
        file = f"file-{len(self.server.files) + 1}"
        self.server.files[file] = fields["file"]
        self.send_json({"id": file, "object": "file", "purpose": "batch",
                        "bytes": len(fields["file"])})

    def start_batch(self, body, _):
        server, sent = self.server, json.loads(body)
        lines = server.files.get(sent.get("input_file_id"))
        if lines is None:
            return self.refuse(400, "no such file")
        requests = [json.loads(line) for line in lines.splitlines() if line.strip()]
        batch = {"id": f"batch_{len(server.batches) + 1}", "object": "batch",
                 "endpoint": sent.get("endpoint"), "input_file_id": sent["input_file_id"],
                 "metadata": sent.get("metadata"), "status": "in_progress",
                 "output_file_id": None, "error_file_id": None, "errors": None,
                 "created_at": int(time.time()),
                 "request_counts": {"total": len(requests), "completed": 0, "failed": 0}}
        server.stats["batches"] += 1
        server.batches[batch["id"]] = (batch, requests,
                                       time.monotonic() + server.options.batch_seconds)
        self.send_json(batch)

    def batches(self, _, query):
        limit = int(dict(pair.split("=") for pair in query.split("&") if pair).get("limit", 20))
        newest_first = reversed(self.server.batches.values())
        self.send_json({"object": "list",
                        "data": [batch for batch, _, _ in newest_first][:limit]})

    def batch(self, method, parts):
        batch, requests, due = self.server.batches.get(parts[3], (None, None, None))
        if batch is None:
            return self.refuse(404, parts[3])
        if batch["status"] == "in_progress":
            names = [self.server.scripts.get(request["body"].get("model"),
                                             request["body"].get("model")) for request in requests]
            if method == "POST" and parts[-1] == "cancel":
                batch["status"] = "cancelled"
            elif "batch-fail" in names:
                batch["status"] = "failed"
                batch["errors"] = {"object": "list", "data": [
                    {"code": "invalid_json_line", "line": 3,
                     "message": f"you sent {requests[0]}"}]}
            elif time.monotonic() >= due and "hang" not in names:
                self.complete(batch, requests)
        self.send_json(batch)

    def complete(self, batch, requests):
        server, lines, errors = self.server, [], []
        for request in requests:
            body = request["body"]
            behaviour, prompt = server.behaviour(body.get("model") or ""), Prompt(body)
            line = {"id": f"batch_req_{crc(request['custom_id'])}",
                    "custom_id": request["custom_id"], "error": None}
            if behaviour.isdigit():
                said = {"error": {"message": f"you sent {prompt.last[:300]}",
                                  "type": "server_error", "code": None}}
                line["response"] = {"status_code": int(behaviour), "body": said}
                errors.append(line)
                continue
            max_tokens = body.get("max_completion_tokens") or body.get("max_tokens") or 4096
            tokens_in, cached = server.count_tokens(body, prompt.schema)
            text, finish, refusal = server.compose(behaviour, prompt, max_tokens)
            usage = server.usage(tokens_in, cached, text, finish, max_tokens)
            server.stats["batch_tokens_in"] += tokens_in
            server.stats["batch_tokens_out"] += usage["completion_tokens"]
            line["response"] = {"status_code": 200, "request_id": "r", "body": server.completion(
                body.get("model"), text, finish, refusal, usage)}
            lines.append(line)
            if behaviour == "batch-odd":
                lines += [line, {**line, "custom_id": "nobody's"}, "no object"]
        chance = random.Random(batch["id"])
        for name, some in (("output_file_id", lines), ("error_file_id", errors)):
            if some:
                chance.shuffle(some)
                batch[name] = f"file-{len(server.files) + 1}"
                server.files[batch[name]] = "".join(
                    json.dumps(line, ensure_ascii=False) + "\n" for line in some).encode()
        batch["status"] = "completed"
        batch["request_counts"].update(completed=len(lines), failed=len(errors))


async def run(options):
    server = Server(options)
    listening = await asyncio.get_running_loop().create_server(
        lambda: Connection(server), "127.0.0.1", options.port, backlog=1024)
    server.port = listening.sockets[0].getsockname()[1]
    if options.announce:
        with open(options.announce, "w", encoding="ascii") as file:
            file.write(f"{server.port}\n")
    else:
        print(f"http://127.0.0.1:{server.port}/v1", flush=True)
    async with listening:
        await listening.serve_forever()


def main():
    arguments = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    arguments.add_argument("--port", type=int, required=True)
    arguments.add_argument("--announce")
    arguments.add_argument("--latency-ms", type=float, default=0)
    arguments.add_argument("--rpm", type=int, default=0)
    arguments.add_argument("--tpm", type=int, default=0)
    arguments.add_argument("--retry-after", type=int, default=1)
    arguments.add_argument("--grace-ms", type=float, default=50)
    arguments.add_argument("--batch-seconds", type=float, default=0)
    arguments.add_argument("--schema-first", action="store_true")
    arguments.add_argument("--log")
    try:
        asyncio.run(run(arguments.parse_args()))
    except KeyboardInterrupt:
        os._exit(0)


if __name__ == "__main__":
    main()
