#!/usr/bin/env python3
"""What six analyses of real conversations cost in tokens, against one request an analysis.

    bench/lm_cost.py FOLDER [--per-corpus N] [--json]

FOLDER holds *.jsonl.zst of conversations ({"id","channel","language","turns":[{"speaker","text"}]}). Runs
build/release/bin/samtale against the scripted language model server of the tests (tokens are bytes / 4, 20 ms an
answer) and reads what was sent. Naive is, of the same conversation and analyzer, the same system text, the whole
transcript, the analyzer's own task and its own schema: one request each.

1. Conversations that have ended, of each corpus: tokens sent against naive.
2. A conversation of 200 turns that goes on, and one turn more: tokens sent for that turn against naive."""
import argparse
import json
import os
import statistics
import subprocess
import sys

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
sys.path.insert(0, os.path.join(ROOT, "tests", "integration"))
os.environ.setdefault("SAMTALE_BIN", os.path.join(ROOT, "build", "release", "bin", "samtale"))
import samtale as harness
from lm_server import LmServer, QUOTED, by_model, naive_tokens, sent_tokens
from samtale import Server, wait_for

harness.DEADLINE_S = 600
CORPORA = ("mts", "star", "multidogo", "irc", "dast", "qmsum")


def read(folder, corpus, count, turns_min=4):
    text = subprocess.run(["zstd", "-dc", os.path.join(folder, corpus + ".jsonl.zst")],
                          capture_output=True, check=True).stdout
    found = []
    for line in text.splitlines():
        talk = json.loads(line)
        if len(talk["turns"]) >= turns_min:
            found.append({"id": talk["id"], "channel": talk["channel"], "status": "ended",
                          "language": talk.get("language", ""),
                          "turns": [{"speaker": turn["speaker"], "text": turn["text"]}
                                    for turn in talk["turns"]]})
        if len(found) == count:
            break
    return found


def transcript_of(talk):
    return "".join(f"[{i}] {turn['speaker']}: {' '.join(turn['text'].split())}\n"
                   for i, turn in enumerate(talk["turns"]))


def ended(folder, corpus, count):
    talks = read(folder, corpus, count)
    with LmServer("--latency-ms", "20") as lm, Server(*lm.settings()) as server:
        company = server.company("bench")
        for one in [company.send(talk) for talk in talks]:
            by_model(company, one)
        requests = lm.requests()
        stats = lm.stats()
    combined = next(request for request in requests if "## " in request["messages"][-1]["content"])
    naive = sum(naive_tokens(transcript_of(talk), combined) for talk in talks)
    sent = sum(map(sent_tokens, requests))
    return {"corpus": corpus, "conversations": len(talks), "requests": len(requests),
            "sent_per_conversation": round(sent / len(talks)),
            "naive_per_conversation": round(naive / len(talks)), "ratio": round(sent / naive, 3),
            "cached_share": round(stats["tokens_cached"] / max(1, stats["tokens_in"]), 3)}


def one_turn_more(folder, corpus, samples):
    """Each conversation with its first 200 turns, then with one more; and one more again."""
    ratios, own = [], []
    talks = read(folder, corpus, samples, 203)
    with LmServer("--latency-ms", "20") as lm, Server(*lm.settings()) as server:
        company = server.company("bench")
        for name in QUOTED:
            company.call("PUT", "/v1/analyzers/" + name, {"trigger": {"on": "turn", "quiet_s": 0}})
        for talk in talks:
            first = 0
            for turns in (200, 201, 202):
                before = len(lm.requests())
                part = {**talk, "status": "open", "turns": talk["turns"][:turns]}
                one = company.send(part)
                wait_for("its requests", lambda: len(lm.requests()) > before)
                wait_for("its revision", lambda: company.call(
                    "GET", "/v1/conversations/" + one)[1].get("revision") == turns - 199)
                by_model(company, one)
                sent = sum(map(sent_tokens, lm.requests()[before:]))
                if turns == 200:
                    first = sent
                    continue
                naive = naive_tokens(transcript_of(part), lm.requests()[-1])
                ratios.append(sent / naive)
                own.append(sent / first)
    return {"corpus": corpus, "turns_added": len(ratios),
            "ratio_to_naive": round(statistics.median(ratios), 3),
            "worst": round(max(ratios), 3),
            "ratio_to_own_first": round(statistics.median(own), 3)}


def main():
    options = argparse.ArgumentParser(description=__doc__,
                                      formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("folder")
    options.add_argument("--per-corpus", type=int, default=50)
    options.add_argument("--json", action="store_true")
    options = options.parse_args()
    rows = [ended(options.folder, corpus, options.per_corpus) for corpus in CORPORA
            if os.path.exists(os.path.join(options.folder, corpus + ".jsonl.zst"))]
    more = one_turn_more(options.folder, "qmsum", 10)
    if options.json:
        return print(json.dumps({"ended": rows, "one_turn_more": more}))
    print(f"{'corpus':10} {'talks':>6} {'requests':>9} {'sent':>8} {'naive':>8} {'ratio':>6} {'cached':>7}")
    for row in rows:
        print(f"{row['corpus']:10} {row['conversations']:6} {row['requests']:9} "
              f"{row['sent_per_conversation']:8} {row['naive_per_conversation']:8} {row['ratio']:6.3f} "
              f"{row['cached_share']:7.3f}")
    print(f"one turn more after 200 ({more['corpus']}, {more['turns_added']} turns): {more['ratio_to_naive']:.3f} of "
          f"naive (worst {more['worst']:.3f}), {more['ratio_to_own_first']:.3f} of its own first reading")


if __name__ == "__main__":
    main()
