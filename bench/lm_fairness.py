#!/usr/bin/env python3
"""What small companies wait for a language model beside one that has all its history analysed.

    bench/lm_fairness.py [--bulk 100000] [--rounds 10] [--critical 300] [--rpm 0] [--json]

Runs build/release/bin/samtale against the scripted language model server of the tests (20 ms an answer). One company
has all its analyzers at priority bulk and as many jobs waiting as --bulk says: its conversations are imported while
the provider hangs, and then the server is started anew with one that answers. (Jobs of a back-fill have the same
priority, but come 200 at a time; this is the worse case.) In --rounds, 20 companies have one conversation each that
ends; after them one company whose analyzers are critical has one that ends ten times a second. The same was measured
before the bulk.

start    from the job's being there (the time of the analyses by rules, stored in the same transaction) to when the
         provider sees the request
stored   from the conversation's being sent to its analysis being stored

--rpm: what the provider allows a minute, told in its headers; 0: as much as it can. Exits with 1 if the bulk came to
its end before the measurement did."""
import argparse
import datetime
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
sys.path.insert(0, os.path.join(ROOT, "tests", "integration"))
os.environ.setdefault("SAMTALE_BIN", os.path.join(ROOT, "build", "release", "bin", "samtale"))
import samtale as harness
from lm_server import LmServer, QUOTED, by_model
from samtale import Server, conversation, wait_for

harness.DEADLINE_S = 3600
SMALL, LATENCY_MS, CRITICAL_EVERY_S = 20, 20, 0.1


def ended(name):
    return {**conversation(name, f"My parcel never came, it is case {name}", "I am sorry, I look into it",
                           "Thank you, please be quick"), "status": "ended"}


def seconds(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def set_priority(company, priority):
    for name in QUOTED:
        status, answer, _ = company.call("PUT", "/v1/analyzers/" + name, {"priority": priority})
        assert status in (200, 201), answer


def bulk_waiting(company):
    return sum(kind["ready"] + kind["delayed"] + kind["leased"]
               for kind in company.call("GET", "/v1/jobs")[1]["kinds"] if kind["kind"] == "lm_bulk")


def seen_at(lm):
    """When the provider first saw each case."""
    times = {}
    with open(lm.log, encoding="utf-8") as file:
        for line in file:
            case, at = re.search(r"case (\w+)", line), re.match(r'\{"time": ([0-9.]+)', line)
            if case and at:
                times.setdefault(case[1], float(at[1]))
    return times


def send_all(cases, pause_s):
    """Each (name, company) in turn; when each was sent, and its id."""
    sent = []
    for name, company in cases:
        began = time.monotonic()
        at = time.time()
        sent.append((name, company, at, company.send(ended(name))))
        time.sleep(max(0.0, began + pause_s - time.monotonic()))
    return sent


def milliseconds(values):
    values = sorted(1e3 * value for value in values)
    return {"p50_ms": round(statistics.median(values), 1),
            "p95_ms": round(values[int(len(values) * 0.95)], 1),
            "p99_ms": round(values[int(len(values) * 0.99)], 1)}


def waits(lm, sent):
    made = {}
    for name, company, _, one in sent:
        by_model(company, one)
        analyses = company.call("GET", "/v1/conversations/" + one)[1]["analyses"]
        made[name] = {analysis["analyzer"]: seconds(analysis["created_at"]) for analysis in analyses}
    seen = seen_at(lm)
    return {"start": milliseconds(seen[name] - made[name]["pii"] for name, _, _, _ in sent),
            "stored": milliseconds(made[name]["summary"] - at for name, _, at, _ in sent)}


def measure(lm, small, urgent, options, tag):
    sent = []
    for i in range(options.rounds):
        some = send_all([(f"{tag}s{n}x{i}", company) for n, company in enumerate(small)], 0)
        for _, company, _, one in some:
            by_model(company, one)
        sent += some
    critical = send_all([(f"{tag}u{i}", urgent) for i in range(options.critical)], CRITICAL_EVERY_S)
    return {"small": waits(lm, sent), "critical": waits(lm, critical)}


def import_bulk(server, lm, company, count):
    """Leaves so many jobs of the company waiting for a provider that hangs."""
    lm.script("ok", "hang")
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl", dir=server.folder) as file:
        for i in range(count):
            file.write(json.dumps(ended(f"b{i}")) + "\n")
        file.flush()
        subprocess.run([harness.BIN, "import", file.name, "--company", company.name, "--data", server.data],
                               check=True, capture_output=True, env=harness.ENVIRONMENT)
    wait_for("the jobs", lambda: time.sleep(1) or bulk_waiting(company) >= count)
    server.kill()
    lm.script("ok", None)
    server.start()


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--bulk", type=int, default=100_000)
    options.add_argument("--rounds", type=int, default=10)
    options.add_argument("--critical", type=int, default=300)
    options.add_argument("--rpm", type=int, default=0)
    options.add_argument("--json", action="store_true")
    options = options.parse_args()
    with LmServer("--latency-ms", str(LATENCY_MS), "--rpm", str(options.rpm)) as lm, \
            Server(*lm.settings(**{"analyze.request_timeout_ms": 3_600_000})) as server:
        small = [server.company(f"small{i}") for i in range(SMALL)]
        bulk, urgent = server.company("bulk"), server.company("urgent")
        set_priority(bulk, "bulk")
        set_priority(urgent, "critical")
        measure(lm, small, urgent, argparse.Namespace(rounds=1, critical=5), "w")  # Warm up.
        unloaded = measure(lm, small, urgent, options, "a")
        import_bulk(server, lm, bulk, options.bulk)
        answered = lm.stats()["answered"]
        wait_for("bulk work", lambda: lm.stats()["answered"] >= answered + 200)
        began, answered = time.monotonic(), lm.stats()["answered"]
        loaded = measure(lm, small, urgent, options, "b")
        rate = (lm.stats()["answered"] - answered) / (time.monotonic() - began)
        left = bulk_waiting(bulk)
    result = {"bulk": options.bulk, "bulk_left": left, "requests_per_s": round(rate),
              "unloaded": unloaded, "loaded": loaded,
              "small_start_ratio_p50": round(loaded["small"]["start"]["p50_ms"] /
                                             unloaded["small"]["start"]["p50_ms"], 2),
              "small_stored_ratio_p50": round(loaded["small"]["stored"]["p50_ms"] /
                                              unloaded["small"]["stored"]["p50_ms"], 2)}
    if options.json:
        print(json.dumps(result))
    else:
        print(f"{'':10}{'':10}{'':10}{'p50 ms':>10}{'p95 ms':>10}{'p99 ms':>10}")
        for load in ("unloaded", "loaded"):
            for who, kinds in result[load].items():
                for what, times in kinds.items():
                    print(f"{load:10}{who:10}{what:10}" + "".join(f"{time_ms:10}" for time_ms in times.values()))
        for name in ("small_start_ratio_p50", "small_stored_ratio_p50", "bulk_left", "requests_per_s"):
            print(f"{name:30}{result[name]:>10}")
    if left == 0:
        print("the bulk came to its end too soon: more --bulk", file=sys.stderr)
    return 0 if left > 0 else 1


if __name__ == "__main__":
    sys.exit(main())
