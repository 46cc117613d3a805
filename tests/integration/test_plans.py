"""How PostgreSQL runs what a server asks of it, where the tables are not small.

Goal:   no statement of the main job reads a table with companies' rows from end to end, and each walks the index that
        docs/formats/postgres-v1.md says.
Method: a store is filled, auto_explain (of PostgreSQL's own contrib) is switched on for the server's user, and a server does
        everything once. The log then has the plan of each statement that it really sent. The table in that document is the
        expectation."""
import collections
import fnmatch
import http.client
import json
import os
import re
import unittest

from postgres_server import Postgres
from samtale import Company, Server, conversation, wait_for

DOCUMENT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "docs", "formats", "postgres-v1.md")
COMPANIES, CONVERSATIONS, ROWS = 3, 60, 5000
COPIES = 60
COPIED = "conversations", "chunks", "events", "analyses", "analysis_labels", "changes", "embeddings"
GRAPH = "embeddings_near"  # Each large company has one of its own.
# What counts all rows of a partition, once in a while: there is nothing to walk.
COUNTS = "SELECT kind, count(*)*", "SELECT held, (SELECT count(*) FROM jobs)*"


def documented():
    """Of the rows `statement` | `index`, `index`: a pattern and the indexes."""
    with open(DOCUMENT) as file:
        section = file.read().split("## Which index", 1)[1].split("\n## ", 1)[0]
    for row in re.findall(r"^\| `(.+?)` \|(.+)\|$", section, re.M):
        yield row[0].replace("…", "*"), set(re.findall(r"`(\w+)`", row[1]))


def ended(name, *texts):
    return conversation(name, *texts) | {"status": "ended"}


def matches(statement, pattern):
    return fnmatch.fnmatchcase(statement, pattern.replace("[", "[[]"))


class PlansTest(unittest.TestCase):
    """Each statement is planned for its values."""
    backend = "pgvector"
    empty = set()

    @classmethod
    def setUpClass(cls):
        cls.postgres = Postgres().__enter__()
        cls.addClassCleanup(cls.postgres.__exit__)
        cls.postgres.sql("CREATE EXTENSION vector")
        flags = (*cls.postgres.settings(), "--set", "store.hash_partitions=2", "--set", "store.partitions=1",
                 "--set", "search.backend=" + cls.backend, "--set", f"search.graph_from={CONVERSATIONS}", "--set", "search.candidates=10")
        cls.fill(flags)
        cls.postgres.sql("ALTER ROLE samtale SET session_preload_libraries = 'auto_explain'")
        for name, value in (("log_min_duration", "0"), ("log_format", "json"), ("log_nested_statements", "on")):
            cls.postgres.sql(f"ALTER ROLE samtale SET auto_explain.{name} = '{value}'")
        with Server(*flags) as server:
            cls.do_everything(server)
        cls.scans = cls.read_log()

    @classmethod
    def fill(cls, flags):
        with Server(*flags) as server:
            for i in range(COMPANIES):
                company = server.company(f"filler{i}")
                lines = [json.dumps(ended(f"c{k}", f"parcel {k} never came", f"it is at depot {k % 30}")
                                    | {"channel": "chat" if k % 10 else "voice"})
                         for k in range(CONVERSATIONS)]
                cls.send(company, "\n".join(lines) + "\n")
                wait_for("the analyses of all", lambda company=company: cls.is_done(server, company))
            server.stop()
        for table in COPIED:
            cls.multiply(table)
        # Work that nobody takes, and what the main job does not leave.
        for row in ("jobs(company, partition, id, kind, key, priority, due_us, leased, attempts, expiries, fence, enqueued_us, "
                    "payload) SELECT 1 + n % 3, 0, 1000000000 + n, 'other', n::text::bytea, 1, 1::bigint << 61, false, 0, 0, 0, 0, ''",
                    "dead_letters(company, partition, id, kind, key, priority, attempts, fence, enqueued_us, given_up_us, cause, "
                    "payload) SELECT 1 + n % 3, 0, n, 'other', n::text::bytea, 1, 0, 0, 0, 0, '', ''",
                    "lm_results SELECT 1 + n % 3, sha256(n::text::bytea), sha256((n / 4)::text::bytea), 0, ''",
                    "overrides SELECT 1 + n % 3, sha256(n::text::bytea), 'topics', '', 0, 1, '', ''",
                    "tombstones SELECT 1 + n % 3, sha256(n::text::bytea)",
                    "company_counts SELECT 1000 + n, 0, 0, 0, 0, 0",
                    "job_counts SELECT 1000 + n, 0"):
            cls.postgres.sql(f"INSERT INTO samtale.{row} FROM generate_series(1, {ROWS}) AS n")
        cls.postgres.sql("ANALYZE")

    @classmethod
    def multiply(cls, table):
        """Rows of companies that no server knows, in the same tables."""
        columns = cls.postgres.sql("SELECT attname FROM pg_attribute WHERE attnum > 0 AND NOT attisdropped "
                                   f"AND attrelid = 'samtale.{table}'::regclass ORDER BY attnum").split("\n")
        changed = {"company": "company + 100", "partition": "5", "sequence": "sequence * 1000 + n",
                   "external_id": "external_id || n::text::bytea"}
        changed |= {name: f"sha256({name} || n::text::bytea)" for name in ("id", "conversation", "key")}
        cls.postgres.sql(f"INSERT INTO samtale.{table} SELECT {', '.join(changed.get(name, name) for name in columns)} "
                         f"FROM samtale.{table}, generate_series(1, {COPIES}) AS n WHERE company < 100")

    @staticmethod
    def send(company, lines):
        peer = http.client.HTTPConnection("127.0.0.1", company.server.port, timeout=60)
        peer.request("POST", "/v1/conversations", lines,
                     {"Authorization": "Bearer " + company.key, "Content-Type": "application/x-ndjson"})
        answer = peer.getresponse()
        assert answer.status == 200, answer.read()
        answer.read()  # All of it is there when this ends.
        peer.close()

    @classmethod
    def is_done(cls, server, company):
        status = company.call("GET", "/v1/status")[1]
        return (status.get("index", {}).get("conversations") == CONVERSATIONS and status["chunks_without_vector"] == 0
                and status["index"]["vectors"] == status["chunks"]
                and len(cls.postgres.sql("SELECT id FROM samtale.jobs LIMIT 1")) == 0)

    @classmethod
    def do_everything(cls, server):
        acme = server.company("acme")
        acme.endpoint()
        acme.send(ended("c1", "the lamp came broken", "we send another"))
        hit = acme.find("lamp")[0]
        wait_for("its vector", lambda: acme.search("lamp", "vector"))
        wait_for("its analyses", lambda: acme.call("GET", "/v1/conversations/" + hit["id"])[1].get("analyses"))
        filler = Company(server, "filler0")
        # Of the few that pass, each is looked up.
        assert filler.search("parcel", "vector", filters={"channel": "voice"}, exact=True)
        if cls.backend == "pgvector":
            wait_for("its graph", lambda: not filler.call("POST", "/v1/search", {"query": "parcel", "mode": "vector", "limit": 1})[
                1]["exact"])
        acme.send(ended("c1", "the lamp came broken", "we send another", "thank you"))
        wait_for("the change", lambda: acme.call("GET", "/v1/conversations/" + hit["id"])[1]["revision"] > 1)
        for path in ("/v1/conversations", "/v1/conversations?channel=chat", "/v1/conversations?source=api",
                     "/v1/conversations?external_id=c1", "/v1/analyses?analyzer=topics",
                     "/v1/analyses?analyzer=sentiment&label=negative", "/v1/analyses/trends?analyzer=sentiment",
                     "/v1/dead-letters", "/v1/jobs", "/v1/status", "/v1/usage", f"/v1/conversations/{hit['id']}/analyses"):
            acme.call("GET", path)
        assert acme.call("DELETE", "/v1/conversations/" + hit["id"])[0] == 200
        wait_for("the erasure", lambda: cls.postgres.sql(
            "SELECT count(*) FROM samtale.jobs WHERE kind LIKE 'erase%'") == "0")
        server.stop()

    @classmethod
    def read_log(cls):
        """Of each statement: what it scanned, by kind, table and index; PostgreSQL's partitions by their table."""
        parents = dict(line.split("|") for line in cls.postgres.sql(
            "SELECT c.relname, p.relname FROM pg_inherits JOIN pg_class AS c ON c.oid = inhrelid "
            "JOIN pg_class AS p ON p.oid = inhparent").split("\n"))

        def top(name):
            if name.startswith(GRAPH):
                return GRAPH
            while name in parents:
                name = parents[name]
            return name

        def walk(node):
            if "Relation Name" in node or "Index Name" in node:
                yield (node["Node Type"], top(node.get("Relation Name", "")), top(node.get("Index Name", "")),
                       node.get("Index Cond", ""))
            for child in node.get("Plans", ()):
                yield from walk(child)

        scans = collections.defaultdict(set)
        with open(cls.postgres.folder + "/log") as file:
            log = file.read()
        for text in re.findall(r"duration: .* plan:\n((?:\t.*\n)+)", log):
            plan = json.loads(text)
            scans[" ".join(plan["Query Text"].split())].update(walk(plan["Plan"]))
        return scans

    def test_no_table_with_companies_is_read_from_end_to_end(self):
        company_tables = set(self.postgres.sql(
            "SELECT relname FROM pg_class JOIN pg_attribute ON attrelid = pg_class.oid WHERE attname = 'company' "
            "AND relnamespace = 'samtale'::regnamespace AND relkind IN ('r', 'p')").split("\n"))
        # The registry is read whole, into memory.
        company_tables -= {"keys", "endpoints", "endpoint_secrets", "analyzers", "subscriptions", "subscription_secrets",
                           "lm_settings"}
        company_tables -= self.empty

        read_whole = {(statement, table) for statement, scans in self.scans.items() for kind, table, *_ in scans
                      if kind == "Seq Scan" and table in company_tables
                      and not any(matches(statement, count) for count in COUNTS)}

        self.assertGreater(len(self.scans), 40)
        self.assertEqual(read_whole, set())

    def test_rows_that_are_named_are_looked_up_and_not_looked_for_in_all_of_the_company(self):
        looked_for = {(statement, index) for statement, scans in self.scans.items() if "unnest(" in statement
                      for _, table, index, condition in scans
                      if table not in self.empty and re.fullmatch(r"\((\w+\.)?company = \S+\)", condition)}

        self.assertEqual(looked_for, set())

    def test_each_statement_walks_the_index_that_is_documented(self):
        for pattern, indexes in documented():
            if any(index.startswith(table) for index in indexes for table in self.empty):
                continue
            with self.subTest(pattern):
                found = [index for statement, scans in self.scans.items() if matches(statement, pattern)
                         for _, table, index, _ in scans if index and table != "partitions"]  # It has a few rows.
                self.assertEqual(set(found), indexes)


class NamedPlansTest(PlansTest):
    """Each statement is planned once, for all values."""
    backend = "native"
    empty = {"embeddings"}


if __name__ == "__main__":
    unittest.main()
