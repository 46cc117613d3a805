#!/usr/bin/env python3
"""How much goes through servers that share a PostgreSQL, beside one server alone, in the same run; and how fast one of
them searches, beside pgvector in the same database.

    bench/cluster.py [--conversations 3000] [--vectors 20000 | --base X.fbin --queries Q.fbin] [--rounds 3] [--json]

Runs build/release/bin/samtale: alone on SQLite (one), and on a PostgreSQL of its own that syncs to disk, as one server with
all roles (postgres), and as gateway, indexer and searcher, one of each (cluster 1) and two of each (cluster 2). Each is
sent --conversations of six turns as NDJSON by four clients. "broker" is cluster 1 with a RabbitMQ that hands out
jobs, "replicated" the same, which also confirms each event before its 202. In turn, --rounds times; medians.

accepted/s  from the first byte to the last 202
through/s   from the first byte to all being found with their vectors
jobs/s      that the broker has handed out by then, each taken and confirmed
search      one client, by words and meaning, at the gateway (cluster: one hop more), p50 and p99
again       the same searches once more: what was found and what is shown of it are kept, and asked for whether they
            are still so

Then what a kept search takes in process (src/search/search_bench.cc): a plain look-up, the same with the proof that it
is fresh, brought up to date after so many changes, and made anew.

With --vectors, about so many chunks of long conversations are searched by four clients, beside pgvector
(bench/pgvector_peer.py). 0 leaves a part out.

All of it on this one machine: what it shows is what the parts cost, not what more machines give."""
import argparse
import contextlib
import http.client
import json
import os
import random
import statistics
import subprocess
import sys
import threading
import time

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
sys.path.insert(0, os.path.join(ROOT, "tests", "integration"))
os.environ.setdefault("SAMTALE_BIN", os.path.join(ROOT, "build", "release", "bin", "samtale"))
import pgvector_peer
import samtale as harness
from postgres_server import Postgres
from rabbit_server import Rabbit
from samtale import Server, conversation, wait_for

harness.DEADLINE_S = 3600
CLIENTS, TURNS, SEARCHES = 4, 6, 300
WORDS = [a + b for a in ("par", "lam", "ket", "bil", "rou", "ord", "pho", "tic", "chai", "win")
         for b in ("cel", "per", "tle", "ling", "ter", "der", "ne", "ket", "rs", "dow")]
SETUPS = {"one": [("all", 1)], "postgres": [("all", 1)],
          "cluster 1": [("gateway", 1), ("indexer", 1), ("searcher", 1)],
          "broker": [("gateway", 1), ("indexer", 1), ("searcher", 1)],
          "replicated": [("gateway", 1), ("indexer", 1), ("searcher", 1)],
          "cluster 2": [("gateway", 2), ("indexer", 2), ("searcher", 2)]}


def made(count, seed=1, turns=TURNS):
    chance = random.Random(seed)
    return [conversation(f"c{i}", *(" ".join(chance.choices(WORDS, k=14)) for _ in range(turns)))
            for i in range(count)]


def send(company, server, lines):
    peer = http.client.HTTPConnection("127.0.0.1", server.port, timeout=600)
    peer.request("POST", "/v1/conversations", "\n".join(lines) + "\n",
                 {"Authorization": "Bearer " + company.key, "Content-Type": "application/x-ndjson"})
    answer = peer.getresponse()
    text = answer.read().decode()
    assert answer.status == 200, text[:500]
    refused = [line for line in text.split("\n") if line and '"error"' in line]
    assert not refused, refused[0]


def measure(name, conversations):
    with contextlib.ExitStack() as stack:
        flags = []
        if name != "one":
            flags = stack.enter_context(Postgres(fsync=True)).settings()
        if name in ("broker", "replicated"):
            flags = (*flags, *stack.enter_context(Rabbit()).settings())
            flags += ("--set", "accept.ack=replicated") if name == "replicated" else ()
            subprocess.run([harness.BIN, "topology", "check", "--fix", *flags], check=True,
                           stdout=subprocess.DEVNULL, env=harness.ENVIRONMENT)
        servers = [stack.enter_context(Server(*(["--role", role] if role != "all" else []), *flags))
                   for role, count in SETUPS[name] for _ in range(count)]
        gateways = servers[:SETUPS[name][0][1]]
        company = gateways[0].company("acme")
        for one in map(company.at, gateways):
            wait_for("a searcher", lambda one=one: one.call("POST", "/v1/search", {"query": "x"})[0] == 200)
        lines = [json.dumps(one) for one in conversations]
        begin = time.monotonic()
        clients = [threading.Thread(target=send, args=(company, gateways[i % len(gateways)],
                                                       lines[i::CLIENTS])) for i in range(CLIENTS)]
        for client in clients:
            client.start()
        for client in clients:
            client.join()
        accepted = time.monotonic() - begin
        if name == "replicated":
            assert harness.metric(gateways[0], "samtale_accept_kept_here") == 0, "the broker has all"

        def is_through():
            status = company.call("GET", "/v1/status")[1]
            time.sleep(0.05)
            open_jobs = sum(kind["ready"] + kind["delayed"] + kind["leased"] for kind in status["queue"]
                            if kind["kind"] in ("chunk", "embed"))
            return (status.get("index", {}).get("conversations") == len(lines) <= status["chunks"]
                    and open_jobs == 0 and status["chunks_without_vector"] == 0
                    and status["index"]["vectors"] == status["chunks"])

        wait_for("all to be found", is_through)
        through = time.monotonic() - begin
        jobs = sum(harness.metric(server, "samtale_broker_delivered") for server in servers
                   if name in ("broker", "replicated"))
        chance = random.Random(2)
        queries = [" ".join(chance.choices(WORDS, k=4)) for _ in range(SEARCHES)]
        first, again = searched(company, queries), searched(company, queries)
    return {"accepted_per_s": len(lines) / accepted, "through_per_s": len(lines) / through,
            "jobs_per_s": jobs / through, "search_p50_ms": first[49], "search_p99_ms": first[98],
            "again_p50_ms": again[49], "again_p99_ms": again[98]}


def searched(company, queries):
    """Percentiles, in milliseconds."""
    peer = http.client.HTTPConnection("127.0.0.1", company.server.port, timeout=60)
    took = []
    for query in queries:
        before = time.monotonic()
        assert company.call("POST", "/v1/search", {"query": query}, connection=peer)[0] == 200
        took.append((time.monotonic() - before) * 1e3)
    return statistics.quantiles(took, n=100)


def freshness():
    """Microseconds of CPU that a kept search takes, in process: see src/search/search_bench.cc."""
    done = subprocess.run([os.path.join(ROOT, "build", "release", "src", "search", "search_bench"),
                           "--benchmark_format=json"], check=True, stdout=subprocess.PIPE)
    return {one["name"].removeprefix("BM_").removesuffix("/iterations:100"): one["cpu_time"]
            for one in json.loads(done.stdout)["benchmarks"]}


def main():
    options = argparse.ArgumentParser(description=__doc__,
                                      formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--conversations", type=int, default=3000)
    options.add_argument("--vectors", type=int, default=20000)
    options.add_argument("--base", help="FBIN: vectors to search instead, --vectors or not (bench/make_vectors.py)")
    options.add_argument("--queries", help="FBIN: what is asked of --base; 300 of them")
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--json", action="store_true")
    options = options.parse_args()
    if bool(options.base) != bool(options.queries):
        sys.exit("--base and --queries go together")
    setups = SETUPS if options.conversations else {}
    conversations = made(options.conversations)
    rounds = {name: [] for name in setups}
    for number in range(options.rounds):
        for name in setups:
            print(f"round {number + 1} of {options.rounds}: {name}", file=sys.stderr, flush=True)
            rounds[name].append(measure(name, conversations))
    medians = {name: {key: statistics.median(one[key] for one in some) for key in some[0]}
               for name, some in rounds.items()}
    beside = None
    if options.vectors or options.base:
        beside = pgvector_peer.compare(send, made, options.vectors, options.rounds, options.base, options.queries)
    kept = freshness() if options.conversations else {}
    if options.json:
        return print(json.dumps({"conversations": options.conversations, "rounds": rounds,
                                 "medians": medians, "kept_us": kept, "pgvector": beside}))
    if medians:
        print(f"{'':12}{'accepted/s':>12}{'through/s':>12}{'to one':>8}{'jobs/s':>8}{'p50 ms':>9}{'p99 ms':>9}"
              f"{'again p50':>11}{'again p99':>11}")
    for name, one in medians.items():
        ratio = one["through_per_s"] / medians["one"]["through_per_s"]
        print(f"{name:12}{one['accepted_per_s']:12.0f}{one['through_per_s']:12.0f}{ratio:8.2f}{one['jobs_per_s']:8.0f}"
              f"{one['search_p50_ms']:9.1f}{one['search_p99_ms']:9.1f}"
              f"{one['again_p50_ms']:11.1f}{one['again_p99_ms']:11.1f}")
    if kept:
        print("\na kept search, us of CPU: " + ", ".join(f"{name} {us:.1f}" for name, us in kept.items()))
    if beside:
        pgvector_peer.print_table(beside)


main()
