#!/usr/bin/env python3
"""A provider in trouble, for a while: 429s and 503s with Retry-After, resets, cuts and silence come and go, and
conversations go on ending.

    bench/lm_storm.py [--minutes 10] [--seed 1] [--json]

Runs build/release/bin/samtale against the scripted language model server of the tests. What must hold: no request
comes while a Retry-After is running (but those on their way when it was given out), every conversation is analysed
in the end, the bill is the provider's own, and memory is flat."""
import argparse
import json
import os
import random
import sys
import time

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
sys.path.insert(0, os.path.join(ROOT, "tests", "integration"))
os.environ.setdefault("SAMTALE_BIN", os.path.join(ROOT, "build", "release", "bin", "samtale"))
import samtale as harness
from lm_server import LmServer, by_model
from samtale import Server, conversation

harness.DEADLINE_S = 900
TROUBLES = ("429-wait", "503-wait", "429", "500", "reset", "half-json", "length-once", "ok", "ok", "ok", "ok")


def resident_mib(process):
    with open(f"/proc/{process.pid}/status", encoding="ascii") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmRSS")) // 1024


def main():
    options = argparse.ArgumentParser(description=__doc__,
                                      formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--minutes", type=float, default=10)
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--json", action="store_true")
    options = options.parse_args()
    chance, ids, memory = random.Random(options.seed), [], []
    end = time.monotonic() + options.minutes * 60
    with LmServer("--latency-ms", "20", "--retry-after", "2", "--grace-ms", "100") as lm, \
            Server(*lm.settings()) as server:
        company = server.company("storm")
        while time.monotonic() < end:
            lm.script("ok", chance.choice(TROUBLES))
            calm = time.monotonic() + chance.uniform(0.5, 4)
            while time.monotonic() < calm:
                ids.append(company.send({
                    **conversation(f"c{len(ids)}", "My parcel never came", "I am sorry",
                                   f"It is order {len(ids)}, please look"), "status": "ended"}))
                time.sleep(0.1)
            memory.append(resident_mib(server.process))
        lm.script("ok", None)
        for one in ids:
            by_model(company, one)
        days = company.call("GET", "/v1/analyses/usage")[1]["days"]
        stats = lm.stats()
    result = {"minutes": options.minutes, "conversations": len(ids), "requests": stats["requests"],
              "in_retry_after": stats["in_retry_after"],
              "on_their_way": stats["in_retry_after_grace"], "by_status": stats["by_status"],
              "billed_by_provider": stats["tokens_in"] + stats["tokens_out"],
              "booked": sum(day["tokens"] for day in days),
              "resident_mib": [memory[len(memory) // 4], memory[-1]]}
    print(json.dumps(result) if options.json else
          "\n".join(f"{name:20} {value}" for name, value in result.items()))
    return 0 if result["in_retry_after"] == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
