#!/usr/bin/env python3
"""What companies notice of one that does a hundred times as much.

    bench/noisy_neighbour.py [--companies 20] [--rate .25] [--times 100] [--before 50] [--giant 50] [--seconds 60]
                             [--rounds 3] [--warm-up 15] [--profile one|postgres|cluster] [--json]

Runs build/release/bin/samtale: one server on SQLite (one), the same on PostgreSQL (postgres), or gateway, indexer and
searcher (cluster). Each of --companies sends a conversation and makes a search --rate times a second, at fixed times
whatever the answers take (open loop). Each has --before conversations at the start, and --giant that other company, which,
in every other phase of --seconds, does both --times as often. Of
--rounds of both kinds of phases, after one of --warm-up seconds that does not count; percentiles are of all requests of a
kind of phase, and the ratio is the noisy phases' to the quiet ones'.

accept    one conversation of six turns, to its 202
found     the same, to a search by a word of its own finding it; looked for every 50 ms
search    by words and meaning, ten hits

The clients run on the same machine: their share of it is in the figures."""
import argparse
import contextlib
import http.client
import json
import os
import random
import statistics
import sys
import threading
import time

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
sys.path.insert(0, os.path.join(ROOT, "tests", "integration"))
os.environ.setdefault("SAMTALE_BIN", os.path.join(ROOT, "build", "release", "bin", "samtale"))
import samtale as harness
from postgres_server import Postgres
from samtale import Server, conversation, wait_for

harness.DEADLINE_S = 600
ROLES = {"one": ["all"], "postgres": ["all"], "cluster": ["gateway", "indexer", "searcher"]}
LOOK_EVERY_S = 0.05  # Oftener, and the looking is a load of its own.
TURNS = 6  # Of each conversation.
WORDS = [a + b for a in ("par", "lam", "ket", "bil", "rou", "ord", "pho", "tic", "chai", "win")
         for b in ("cel", "per", "tle", "ling", "ter", "der", "ne", "ket", "rs", "dow")]


def made(name, chance):
    return conversation(name, *(" ".join(chance.choices(WORDS, k=14)) for _ in range(TURNS - 1)),
                        "my own word is " + name)


class Client(threading.Thread):
    """Does something `rate` times a second, at fixed times; asks late rather than less."""

    def __init__(self, company, rate, seconds, seed, looks_for_it):
        super().__init__()
        self.company, self.rate, self.count = company, rate, int(rate * seconds)
        self.looks_for_it = looks_for_it
        self.chance = random.Random(seed)
        self.took = {"accept": [], "found": [], "search": []}
        self.error = None

    def run(self):
        try:
            self.work()
        except Exception as error:  # Told by whoever joins.
            self.error = error

    def work(self):
        peer = http.client.HTTPConnection("127.0.0.1", self.company.server.port, timeout=60)
        begin = time.monotonic() + self.chance.random() / self.rate
        for i in range(self.count):
            due = begin + i / self.rate
            time.sleep(max(due - time.monotonic(), 0))
            name = f"w{self.chance.getrandbits(60):x}"
            status, answer, _ = self.company.call("POST", "/v1/conversations",
                                                  made(name, self.chance), connection=peer)
            assert status == 202, answer
            accepted = time.monotonic()
            self.took["accept"].append(accepted - due)
            query = {"query": " ".join(self.chance.choices(WORDS, k=4))}
            status, answer, _ = self.company.call("POST", "/v1/search", query, connection=peer)
            assert status == 200, answer
            self.took["search"].append(time.monotonic() - accepted)
            if not self.looks_for_it:
                continue
            while not self.company.call("POST", "/v1/search", {"query": name, "mode": "keyword", "limit": 1},
                                        connection=peer)[1]["hits"]:
                time.sleep(LOOK_EVERY_S)
            self.took["found"].append(time.monotonic() - due)


def phase(companies, noisy, seconds, options, seed):
    """Of each kind of request, how many milliseconds each took."""
    clients = [Client(company, options.rate, seconds, seed + i, True) for i, company in enumerate(companies)]
    # Of several connections, as a company with so much has.
    loud = [Client(noisy, options.rate * options.times / 8, seconds, seed - 1 - i, False)
            for i in range(8)] if noisy else []
    for client in clients + loud:
        client.start()
    for client in clients + loud:
        client.join()
        if client.error:
            raise client.error
    return {what: [one * 1e3 for client in clients for one in client.took[what]] for what in clients[0].took}


def percentiles(times):
    quantiles = statistics.quantiles(times, n=100)
    return {"p50_ms": quantiles[49], "p99_ms": quantiles[98], "requests": len(times)}


def main():
    options = argparse.ArgumentParser(description=__doc__,
                                      formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--companies", type=int, default=20)
    options.add_argument("--rate", type=float, default=0.25)
    options.add_argument("--times", type=float, default=100)
    options.add_argument("--before", type=int, default=50)
    options.add_argument("--giant", type=int, default=50)
    options.add_argument("--seconds", type=float, default=60)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--warm-up", type=float, default=15)
    options.add_argument("--profile", choices=ROLES, default="one")
    options.add_argument("--json", action="store_true")
    parser, options = options, options.parse_args()
    if options.rate * options.seconds < 1:
        parser.error("--rate times --seconds is how often each company does something: at least once")
    with contextlib.ExitStack() as stack:
        flags = []
        if options.profile != "one":
            flags = stack.enter_context(Postgres(fsync=True)).settings()
        servers = [stack.enter_context(Server(*(["--role", role] if role != "all" else []), *flags))
                   for role in ROLES[options.profile]]
        chance = random.Random(1)
        companies = [servers[0].company(f"small-{i}") for i in range(options.companies)]
        noisy = servers[0].company("noisy")
        had = {company: options.giant if company is noisy else options.before for company in [*companies, noisy]}
        for company, count in had.items():
            peer = http.client.HTTPConnection("127.0.0.1", company.server.port, timeout=60)
            for i in range(count):
                document = made(f"before{i}", chance)
                wait_for("it to be taken", lambda: company.call(
                    "POST", "/v1/conversations", document, connection=peer)[0] == 202)
        for company, count in had.items():
            print(f"waiting for {count} of {company.name}", file=sys.stderr, flush=True)
            wait_for("all to be found", lambda: company.call(
                "GET", "/v1/status")[1].get("index", {}).get("vectors", 0) >= count)
            wait_for("its jobs to be done", lambda company=company: not sum(
                kind["ready"] + kind["leased"] for kind in company.call("GET", "/v1/status")[1]["queue"]))
        phase(companies, noisy, options.warm_up, options, -1000)
        rounds = {"quiet": [], "noisy": []}
        for number in range(options.rounds):
            for kind, other in (("quiet", None), ("noisy", noisy)):
                print(f"round {number + 1} of {options.rounds}: {kind}", file=sys.stderr, flush=True)
                rounds[kind].append(phase(companies, other, options.seconds, options, 1000 * number))
    found = {kind: {what: percentiles([one for some in phases for one in some[what]]) for what in phases[0]}
             for kind, phases in rounds.items()}
    if options.json:
        return print(json.dumps({**vars(options), **found}))
    print(f"{'':8}{'':>8}{'quiet':>10}{'noisy':>10}{'ratio':>8}")
    for what, quiet in found["quiet"].items():
        for at in ("p50_ms", "p99_ms"):
            one, other = quiet[at], found["noisy"][what][at]
            print(f"{what:8}{at[:3]:>8}{one:10.1f}{other:10.1f}{other / one:8.2f}")


main()
