#!/usr/bin/env python3
"""How good the extractive analyses are, on conversations with labels.

  python3 bench/analysis_quality.py FOLDER [--json]

FOLDER has mts.jsonl.zst, qmsum.jsonl.zst and casino.jsonl.zst (MTS-Dialog, QMSum and CaSiNo, one
conversation a line with the corpus's labels). Starts a server of build/release of its own, sends the
conversations without their labels, and reads the analyses back.

Prints ROUGE-L (Lin 2004, F1 over words in lower case; of several references the best) of the summary,
of the first three sentences (lead-3) and of three sentences by chance, and Spearman's rank correlation
of a negotiator's sentiment with how satisfied they said they were.
"""
import argparse
import json
import pathlib
import random
import re
import signal
import statistics
import subprocess
import tempfile
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent
BIN = ROOT / "build/release/bin/samtale"
SATISFACTION = ["Extremely dissatisfied", "Slightly dissatisfied", "Undecided", "Slightly satisfied",
                "Extremely satisfied"]
SENTENCE = re.compile(r"[^.!?]+[.!?]*")


def words(text):
    return re.findall(r"[\w']+", text.lower())


def rouge_l(candidate, reference):
    a, b = words(candidate), words(reference)
    row = [0] * (len(b) + 1)
    for x in a:
        diagonal = 0
        for j, y in enumerate(b, 1):
            diagonal, row[j] = row[j], diagonal + 1 if x == y else max(row[j], row[j - 1])
    common = row[-1]
    return 2 * common / (len(a) + len(b)) if common else 0.0


def spearman(pairs):
    def ranks(values):
        order = sorted(values)
        first = {v: order.index(v) for v in set(values)}
        return [first[v] + (order.count(v) - 1) / 2 for v in values]
    return statistics.correlation(ranks([a for a, _ in pairs]), ranks([b for _, b in pairs]))


def read(folder, name):
    path = pathlib.Path(folder) / f"{name}.jsonl.zst"
    text = subprocess.run(["zstd", "-dc", path], capture_output=True, check=True).stdout
    return [json.loads(line) for line in text.splitlines()]


class Server:
    def __init__(self, folder):
        self.folder, ready = folder, folder / "ready"
        self.process = subprocess.Popen([BIN, "serve", "--data", folder / "data", "--port", "0",
                                         "--ready-file", ready, "--set", "log.level=warn"])
        while not ready.exists():
            time.sleep(0.05)
        self.url = json.loads(ready.read_text())["url"]

    def samtale(self, *arguments):
        done = subprocess.run([BIN, *arguments, "--data", self.folder / "data"], check=True,
                              capture_output=True, text=True)
        return done.stdout

    def get(self, path, key):
        request = urllib.request.Request(self.url + path, headers={"Authorization": f"Bearer {key}"})
        return json.load(urllib.request.urlopen(request, timeout=60))

    def analyses(self, company, analyzer, count):
        key = json.loads(self.samtale("key", "create", "--company", company, "--scope", "read",
                                      "--json"))["key"]
        while True:
            found, cursor = {}, ""
            while cursor is not None:
                page = self.get(f"/v1/analyses?analyzer={analyzer}&limit=200&cursor={cursor}", key)
                for one in page["analyses"]:
                    found[one["conversation_id"]] = one["result"]
                cursor = page["next_cursor"]
            if len(found) >= count:
                break
            time.sleep(0.5)
        cursor, by_name = "", {}
        while cursor is not None:
            page = self.get(f"/v1/conversations?limit=200&cursor={cursor}", key)
            for one in page["conversations"]:
                by_name[one["external_id"]] = found[one["id"]]
            cursor = page["next_cursor"]
        return by_name


def plain(conversation, company):
    turns = [{"speaker": t["speaker"], "text": t["text"]} for t in conversation["turns"]]
    return {"id": conversation["id"], "company_id": company, "status": "ended",
            "language": conversation["language"], "turns": turns}


def summaries(server, name, conversations):
    found = server.analyses(name, "summary", len(conversations))
    chance = random.Random(1)
    ours, lead, any_three = [], [], []
    for c in conversations:
        references = [r for r in c["labels"].get("summaries", []) if words(r)]
        if not references:
            continue
        sentences = [s.strip() for t in c["turns"] for s in SENTENCE.findall(t["text"]) if s.strip()]
        texts = (" ".join(s["quote"] for s in found[c["id"]]["sentences"]), " ".join(sentences[:3]),
                 " ".join(chance.sample(sentences, min(3, len(sentences)))))
        for scores, text in zip((ours, lead, any_three), texts):
            scores.append(max(rouge_l(text, r) for r in references))
    return {"conversations": len(ours), "extractive": statistics.mean(ours),
            "lead_3": statistics.mean(lead), "chance": statistics.mean(any_three)}


def satisfaction(server, conversations):
    found = server.analyses("casino", "sentiment", len(conversations))
    pairs = []
    for c in conversations:
        sides = {side["role"]: side["score"] for side in found[c["id"]]["sides"]}
        for number, outcome in c["labels"].get("outcomes", {}).items():
            if f"participant_{number}" in sides and outcome["satisfaction"] in SATISFACTION:
                pairs.append((sides[f"participant_{number}"],
                              SATISFACTION.index(outcome["satisfaction"])))
    return {"negotiators": len(pairs), "spearman": spearman(pairs)}


def main():
    arguments = argparse.ArgumentParser(description=__doc__,
                                        formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("folder")
    arguments.add_argument("--json", action="store_true")
    given = arguments.parse_args()
    data = {name: read(given.folder, name) for name in ("mts", "qmsum", "casino")}
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary)
        server = Server(folder)
        try:
            with open(folder / "all.jsonl", "w", encoding="utf-8") as out:
                for name, conversations in data.items():
                    out.writelines(json.dumps(plain(c, name)) + "\n" for c in conversations)
            server.samtale("import", folder / "all.jsonl", "--create-companies")
            result = {name: summaries(server, name, data[name]) for name in ("mts", "qmsum")}
            result["casino"] = satisfaction(server, data["casino"])
        finally:
            server.process.send_signal(signal.SIGTERM)
            server.process.wait()
    if given.json:
        return print(json.dumps(result))
    for name in ("mts", "qmsum"):
        r = result[name]
        print(f"{name:8} {r['conversations']:5} conversations  ROUGE-L: extractive "
              f"{r['extractive']:.3f}, lead-3 {r['lead_3']:.3f}, chance {r['chance']:.3f}")
    r = result["casino"]
    print(f"casino   {r['negotiators']:5} negotiators    Spearman's rho of sentiment and satisfaction "
          f"{r['spearman']:.3f}")


if __name__ == "__main__":
    main()
