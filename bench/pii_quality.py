#!/usr/bin/env python3
"""How much personal data find_pii finds, and how much of what it finds is some.

  cmake --build build/release --target pii_spans
  python3 bench/pii_quality.py FOLDER [--bin FILE] [--show KIND CORPUS]

FOLDER has conversations one a line, CORPUS.jsonl.zst. Those of multidogo (MultiDoGO) have labels:
recall is how many of the labelled values are covered by one span of their kind, and how many are
masked whatever the kind; precision is how many spans of a kind touch a label of that kind. Names
are looked for by the list of the conversation's own labels. Labels that no finder can know by
themselves (the last four digits of a card) are counted apart, by `well_formed`.

For all corpora it prints how much was found. --show prints all that was found of a kind in a
corpus, with what stands around it, to be judged by eye.
"""
import argparse
import json
import pathlib
import re
import subprocess
from collections import Counter

ROOT = pathlib.Path(__file__).resolve().parent.parent
LABELS = {"email_address": "EMAIL", "phone_number": "PHONE", "phonenumber": "PHONE",
          "card_number": "CARD", "name": "NAME"}
KINDS = ["EMAIL", "PHONE", "CARD", "CPR", "IBAN", "NAME"]


def luhn(digits):
    doubled = [int(d) * 2 for d in digits[-2::-2]]
    return (sum(int(d) for d in digits[::-2]) + sum(d - 9 * (d > 9) for d in doubled)) % 10 == 0


def well_formed(kind, text):
    digits = re.sub(r"\D", "", text)
    if kind == "EMAIL":
        return "@" in text
    if kind == "PHONE":
        return len(digits) in (8, 10) and not re.search("[a-z]", text)
    if kind == "CARD":
        return 13 <= len(digits) <= 19 and luhn(digits) and not re.search("[a-z]", text)
    return len(text) > 1


def read(path):
    text = subprocess.run(["zstd", "-dc", path], capture_output=True, check=True).stdout
    return [json.loads(line) for line in text.splitlines()]


def entities(conversation):
    labels = conversation["labels"].get("entities", [])
    return {(LABELS.get(e["type"], ""), e["text"]) for e in labels if e["text"]}


def find(binary, conversations, with_names):
    """Yields (conversation, turn's bytes, spans)."""
    turns, lines = [], []
    for c in conversations:
        names = [text for kind, text in entities(c) if kind == "NAME"] if with_names else []
        for turn in c["turns"]:
            turns.append((c, turn["text"].encode()))
            lines.append(json.dumps({"text": turn["text"], "names": names}))
    out = subprocess.run([binary], input="\n".join(lines).encode(), capture_output=True, check=True)
    return [(c, text, json.loads(spans))
            for (c, text), spans in zip(turns, out.stdout.splitlines(), strict=True)]


def places(text, value):
    return [m.span() for m in re.finditer(rb"(?<!\w)" + re.escape(value.encode()) + rb"(?!\w)", text)]


def measure(turns):
    count = {kind: Counter() for kind in KINDS}
    seen = {}
    for c, text, spans in turns:
        touched = set()
        for kind, value in entities(c):
            for begin, end in places(text, value):
                overlap = [i for i, (_, b, e) in enumerate(spans) if b < end and begin < e]
                touched |= {(i, kind) for i in overlap}
                if not kind:
                    continue
                whole = any(spans[i][0] == kind and spans[i][1] <= begin and end <= spans[i][2]
                            for i in overlap)
                hidden = set().union(*(range(spans[i][1], spans[i][2]) for i in overlap))
                masked = all(at in hidden or text[at:at + 1] == b" " for at in range(begin, end))
                key = (c["id"], kind, value)
                # What a finder leaves once has left the machine.
                seen[key] = [a and b for a, b in zip(seen.get(key, (True, True)), (whole, masked))]
        for i, (kind, _, _) in enumerate(spans):
            count[kind]["found"] += 1
            count[kind]["right"] += (i, kind) in touched
            count[kind]["other label"] += (i, kind) not in touched and any(t[0] == i for t in touched)
    for (_, kind, value), (whole, masked) in seen.items():
        for group in ["all"] + ["well-formed"] * well_formed(kind, value):
            count[kind][group] += 1
            count[kind][group + " whole"] += whole
            count[kind][group + " masked"] += masked
    return count


def share(part, of):
    return f"{part / of:6.3f}" if of else "     -"


def show(turns, kind):
    for _, text, spans in turns:
        for found, begin, end in spans:
            if found == kind:
                parts = (text[max(0, begin - 30):begin], text[begin:end], text[end:end + 20])
                print("{}⟦{}⟧{}".format(*(p.decode(errors="replace").replace("\n", " ")
                                          for p in parts)))


def main():
    arguments = argparse.ArgumentParser(description=__doc__,
                                        formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("folder", type=pathlib.Path)
    arguments.add_argument("--bin", default=ROOT / "build/release/bin/pii_spans")
    arguments.add_argument("--show", nargs=2, metavar=("KIND", "CORPUS"))
    given = arguments.parse_args()
    if given.show:
        kind, corpus = given.show
        return show(find(given.bin, read(given.folder / f"{corpus}.jsonl.zst"), False), kind)
    for path in sorted(given.folder.glob("*.jsonl.zst")):
        turns = find(given.bin, read(path), False)
        found = Counter(kind for _, _, spans in turns for kind, _, _ in spans)
        print(f"{path.name.split('.')[0]:10}", len(turns), "turns, found", dict(found))
    labelled = given.folder / "multidogo.jsonl.zst"
    if not labelled.exists():
        return
    print("\nmultidogo     labels  recall  masked | well-formed  recall  masked |  found  precision  "
          "of another label")
    for kind, c in measure(find(given.bin, read(labelled), True)).items():
        print(f"{kind:12} {c['all']:7}  {share(c['all whole'], c['all'])}  "
              f"{share(c['all masked'], c['all'])} | {c['well-formed']:11}  "
              f"{share(c['well-formed whole'], c['well-formed'])}  "
              f"{share(c['well-formed masked'], c['well-formed'])} | {c['found']:6}  "
              f"   {share(c['right'], c['found'])}            {share(c['other label'], c['found'])}")


if __name__ == "__main__":
    main()
