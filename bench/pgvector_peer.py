"""Searches beside pgvector: the same vectors, by what a careful user would build with them.

One company's conversations come in through a server on PostgreSQL; their vectors, as the server stored them, are copied
into a table with a partition of its own for the company and pgvector's HNSW index on it (m=16, ef_construction=200). The
queries are the vectors of conversations of another company. Both sides are asked for the ten nearest by the same number
of clients over connections that stay: POST /v1/search with the vector, and a prepared statement that answers with id and
text. Ours is asked three times: with the same queries again and again, whose answers it keeps; with "new queries", none of
which was ever asked, so that it searches each time, while it keeps what it shows of conversations; and with "no caches",
where it also reads that anew each time. Ours answers with ten conversations, each by its
nearest chunk; pgvector with ten chunks. What is nearest, of either, an exact scan by pgvector itself says.

With vectors of one's own (the files of bench/make_vectors.py) each row is a conversation of one turn, whose vector an
embedding server made of the file gives, and the queries are those of the other file."""
import array
import contextlib
import http.server
import json
import os
import struct
import statistics
import subprocess
import sys
import tempfile
import threading
import time

from postgres_server import Postgres
from samtale import Server, wait_for

LOAD = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "build", "release", "bin", "search_load")
CLIENTS, QUERIES, NEAREST, SECONDS = 4, 300, 10, 6
EF_SEARCH = (10, 20, 40, 80, 120, 200, 400, 700, 1000)  # pgvector takes 1 to 1000; 40 is its default.
DEFAULT_EF = 40
# Half the bytes to walk through; all are of unit length, so the inner product orders them.
QUERY = ("SELECT id, text FROM peer WHERE company = {company} "
         "ORDER BY embedding::halfvec({dimension}) <#> $1::vector({dimension})::halfvec({dimension}) LIMIT 10")
NEAREST_CHUNKS = ("SELECT id, text FROM peer WHERE company = {company} "
                  "ORDER BY embedding <#> $1::vector({dimension}) LIMIT 10")
NEAREST_CONVERSATIONS = ("SELECT split_part(id, '/', 1) AS conversation FROM peer WHERE company = {company} "
                         "GROUP BY conversation ORDER BY min(embedding <#> $1::vector({dimension})) LIMIT 10")
CHUNKS_OF_CONVERSATION = 5  # Of TURNS turns, about.
TURNS = 60
ROW = "Row "
BATCH = 5_000  # Conversations in a request.
NO_CACHES = "--set", "cache.searches_bytes=0", "--set", "cache.shown_bytes=0"


def say(text):
    print(text, file=sys.stderr, flush=True)


def copied(postgres, statement, data=None):
    """What COPY gives or takes, as bytes."""
    return subprocess.run(["psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-p", str(postgres.port),
                           "-U", "admin", "-d", "postgres", "-c", statement],
                          input=data, check=True, stdout=subprocess.PIPE).stdout


class Rows:
    """A file of bench/make_vectors.py."""

    def __init__(self, path):
        with open(path, "rb") as file:
            data = file.read()
        self.count, self.dimension = struct.unpack_from("<ii", data)
        self.floats = memoryview(data)[8:8 + 4 * self.count * self.dimension]

    def row(self, number):
        return self.floats[4 * self.dimension * number:4 * self.dimension * (number + 1)]

    def conversations(self):
        return [{"id": f"r{i}", "channel": "chat", "turns": [{"speaker": "customer", "text": f"{ROW}{i} of the file"}]}
                for i in range(self.count)]


class EmbeddingServer(http.server.ThreadingHTTPServer):
    """Embeds the conversations of `rows`, as an OpenAI-compatible server does."""

    def __init__(self, rows):
        class Answers(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                data = [{"index": i, "embedding": rows.row(int(text.split(ROW)[1].split()[0])).cast("f").tolist()}
                        for i, text in enumerate(asked["input"])]
                body = json.dumps({"data": data}).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        super().__init__(("127.0.0.1", 0), Answers)
        self.settings = ["--set", "embed.kind=openai", "--set", f"embed.url=http://127.0.0.1:{self.server_port}/v1",
                         "--set", "embed.model=rows", "--set", f"embed.dimension={rows.dimension}"]

    def __enter__(self):
        threading.Thread(target=self.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.shutdown()
        self.server_close()


def stored_vectors(postgres, company):
    """Of each chunk: the conversation's id, the first and last turn, and its vector's little-endian floats."""
    data = copied(postgres, "COPY (SELECT c.external_id, k.first_turn, k.last_turn, k.vector FROM samtale.chunks AS k "
                            "JOIN samtale.conversations AS c ON c.company = k.company AND c.id = k.conversation "
                            f"WHERE k.company = {company} ORDER BY c.external_id, k.ordinal) TO STDOUT (FORMAT binary)")
    at, rows = 19, []  # After the signature, the flags and the length of what follows them.
    while struct.unpack_from(">h", data, at)[0] == 4:
        at += 2
        fields = []
        for _ in range(4):
            length, = struct.unpack_from(">i", data, at)
            fields.append(data[at + 4:at + 4 + length])
            at += 4 + length
        rows.append((fields[0].decode(), *struct.unpack(">qq", fields[1] + fields[2]), fields[3]))
    return rows


def fill_peer(postgres, company, rows, turns):
    dimension = len(rows[0][3]) // 4
    parts = [b"PGCOPY\n\xff\r\n\0" + struct.pack(">ii", 0, 0)]
    for name, first, last, vector in rows:
        floats = array.array("f", vector)
        floats.byteswap()
        text = "\n".join(turn["text"] for turn in turns[name][first:last + 1])
        for i, field in enumerate((struct.pack(">q", company), f"{name}/{first}".encode(), text.encode(),
                                   struct.pack(">hh", dimension, 0) + floats.tobytes())):
            parts.append((struct.pack(">h", 4) if i == 0 else b"") + struct.pack(">i", len(field)) + field)
    parts.append(struct.pack(">h", -1))
    postgres.sql("CREATE EXTENSION vector")
    postgres.sql("CREATE TABLE peer(company bigint NOT NULL, id text NOT NULL, text text NOT NULL, "
                 f"embedding vector({dimension}) NOT NULL) PARTITION BY LIST (company)")
    postgres.sql("ALTER TABLE peer ALTER embedding SET STORAGE PLAIN")
    postgres.sql(f"CREATE TABLE peer_giant PARTITION OF peer FOR VALUES IN ({company})")
    postgres.sql("CREATE TABLE peer_others PARTITION OF peer DEFAULT")
    copied(postgres, "COPY peer FROM STDIN (FORMAT binary)", b"".join(parts))
    postgres.sql("SET maintenance_work_mem = '2GB'; SET max_parallel_maintenance_workers = 2; "
                 f"CREATE INDEX ON peer USING hnsw ((embedding::halfvec({dimension})) halfvec_ip_ops) "
                 "WITH (m = 16, ef_construction = 200)")
    postgres.sql("VACUUM ANALYZE peer")
    return dimension


class Comparison:
    def __init__(self, postgres, company, queries):
        self.url = f"host=127.0.0.1 port={postgres.port} user=admin dbname=postgres"
        self.company, self.queries = company, queries

    def load(self, *words, seconds, nearest=None):
        done = subprocess.run([LOAD, *words, self.queries, str(self.dimension), str(CLIENTS), str(seconds)],
                              check=True, stdout=subprocess.PIPE)
        found = json.loads(done.stdout)
        answers = found.pop("answers")
        if nearest:
            found["recall"] = statistics.mean(len(set(some) & set(best)) / NEAREST
                                              for some, best in zip(answers, nearest))
        return found, answers

    def pgvector(self, ef, seconds):
        return self.load("postgres", self.url, QUERY.format(**self.names),
                         f"SET jit = off; SET hnsw.ef_search = {ef}; SET random_page_cost = 1.1", seconds=seconds,
                         nearest=self.chunks)[0]

    def samtale(self, server, seconds, how="http"):
        return self.load(how, str(server.port), self.company.key, seconds=seconds,
                         nearest=self.conversations)[0]

    def find_nearest(self):
        self.chunks, self.conversations = (
            self.load("postgres", self.url, sql.format(**self.names), "SET jit = off; SET enable_indexscan = off",
                      seconds=0)[1] for sql in (NEAREST_CHUNKS, NEAREST_CONVERSATIONS))

    def plan_of_pgvector(self, postgres):
        zeros = f"array_fill(1, ARRAY[{self.dimension}])"
        return postgres.sql("SET jit = off; SET random_page_cost = 1.1; EXPLAIN " + QUERY.format(**self.names)
                            .replace("$1", zeros))


def wait_until_idle(*servers):
    """Graphs are made and measured in the background."""
    def ticks():
        return [sum(int(number) for number in open(f"/proc/{server.process.pid}/stat").read().split()[13:15])
                for server in servers]
    before = ticks()
    while True:
        time.sleep(3)
        now = ticks()
        if sum(now) - sum(before) < 0.1 * 3 * os.sysconf("SC_CLK_TCK"):
            return
        before = now


def compare(send, made, vectors, rounds, base=None, queries=None):
    """`send(company, server, lines)` sends conversations; `made(count, seed)` makes them. base, queries: files."""
    with contextlib.ExitStack() as stack:
        given = Rows(base) if base else None
        settings = stack.enter_context(EmbeddingServer(given)).settings if given else []
        postgres = stack.enter_context(Postgres(shared_buffers="1GB"))
        server, uncached = (stack.enter_context(Server(*postgres.settings(), *settings, *more)) for more in ((), NO_CACHES))
        file = stack.enter_context(tempfile.NamedTemporaryFile())
        giant, others = server.company("giant"), server.company("others")
        conversations = given.conversations() if given else made(vectors // CHUNKS_OF_CONVERSATION, 3, TURNS)
        say(f"pgvector: {len(conversations)} conversations through the server")
        for company, some in ([] if given else [(others, made(QUERIES, 4))]) + [(giant, conversations)]:
            for at in range(0, len(some), BATCH):
                send(company, server, [json.dumps(one) for one in some[at:at + BATCH]])
            for one in (server, uncached):
                wait_for("all to be found", lambda at=company.at(one), some=some: at.is_whole(len(some)))
        numbers = dict(line.split("|") for line in postgres.sql("SELECT name, id FROM samtale.companies").split("\n"))
        rows = stored_vectors(postgres, int(numbers["giant"]))
        say(f"pgvector: copies and indexes {len(rows)} vectors")
        turns = {one["id"]: one["turns"] for one in conversations}
        asked = Rows(queries) if given else stored_vectors(postgres, int(numbers["others"]))
        file.write(b"".join(asked.row(i) if given else asked[i][-1] for i in range(QUERIES)))
        file.flush()
        comparison = Comparison(postgres, giant, file.name)
        comparison.dimension = fill_peer(postgres, int(numbers["giant"]), rows, turns)
        comparison.names = {"company": numbers["giant"], "dimension": comparison.dimension}
        plan = comparison.plan_of_pgvector(postgres)
        assert "Index Scan using peer_giant" in plan, plan
        comparison.find_nearest()
        say("pgvector: waits for graphs, and for samtale's measuring of its own by what was asked")
        wait_until_idle(server, uncached)
        for one in (server, uncached):
            comparison.samtale(one, 4, "http-new")
        wait_until_idle(server, uncached)
        index = giant.at(server).call("GET", "/v1/status")[1]["index"]
        say(f"pgvector: {index}")
        wanted = comparison.samtale(server, 0)["recall"]
        curve = {ef: comparison.pgvector(ef, 2) for ef in EF_SEARCH}
        reach = next((ef for ef in EF_SEARCH if curve[ef]["recall"] >= wanted - 0.005), EF_SEARCH[-1])
        peers = {"samtale": lambda seconds: comparison.samtale(server, seconds),
                 "samtale, new queries": lambda seconds: comparison.samtale(server, seconds, "http-new"),
                 "samtale, no caches": lambda seconds: comparison.samtale(uncached, seconds),
                 f"pgvector ef={reach}": lambda seconds: comparison.pgvector(reach, seconds),
                 f"pgvector ef={DEFAULT_EF}": lambda seconds: comparison.pgvector(DEFAULT_EF, seconds)}
        found = {name: [] for name in peers}
        for number in range(rounds):
            for name, ask in peers.items():
                say(f"pgvector: round {number + 1} of {rounds}: {name}")
                found[name].append(ask(SECONDS))
    medians = {name: {key: statistics.median(one[key] for one in some) for key in some[0]}
               for name, some in found.items()}
    return {"vectors": len(rows), "index": index, "dimension": comparison.dimension, "clients": CLIENTS, "curve": curve, "rounds": found,
            "medians": medians}


def print_table(result):
    print(f"\nthe 10 nearest of {result['vectors']} vectors of {result['dimension']} numbers, {result['clients']} clients")
    print(f"{'':22}{'queries/s':>10}{'p50 ms':>9}{'p99 ms':>9}{'recall':>8}{'samtale to it':>15}{'new':>9}{'no caches':>11}")
    ours = [result["medians"]["samtale" + how]["queries_per_s"] for how in ("", ", new queries", ", no caches")]
    for name, one in result["medians"].items():
        to_it = [queries / one["queries_per_s"] for queries in ours]
        print(f"{name:22}{one['queries_per_s']:10.0f}{one['p50_ms']:9.2f}{one['p99_ms']:9.2f}{one['recall']:8.3f}"
              f"{to_it[0]:15.2f}{to_it[1]:9.2f}{to_it[2]:11.2f}")
