"""The files that large companies' graphs are kept in: found after a restart, gone with what was
erased, made again when damaged, and never a reason for another answer."""
import json
import os
import unittest
import urllib.request

from samtale import Server, conversation, wait_for

MANY = 2600
GRAPH_FROM = 2000  # So that there is one graph, and none after it.
# A walk that would see a sixteenth of a graph gives way to the scan, and of the vectors twenty times
# as many are asked for: few, so that the smallest graph there can be is walked.
LIMIT = 2
WORDS = ("lamp parcel refund invoice courier broken late blue green mirror window delivery address "
         "password account order voucher summer winter kitchen garden bicycle engine").split()


def text_of(number):
    picked = [WORDS[(number * step + step) % len(WORDS)] for step in (1, 3, 5, 7, 11)]
    return " ".join(picked) + f" number{number}"


def metric(server, name):
    with urllib.request.urlopen(f"http://127.0.0.1:{server.port}/metrics") as answer:
        for line in answer.read().decode().splitlines():
            if line.startswith(f"samtale_index_{name} "):
                return float(line.split()[1])
    raise AssertionError(f"there is no metric {name}")


class IndexFilesTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server("--set", f"search.graph_from={GRAPH_FROM}", "--set", "http.metrics=open",
                            # So that walks are short against all there is.
                            "--set", "search.recall_target=0.5", "--set", "search.candidates=20",
                            "--set", "store.partitions=1")
        cls.server.start()
        cls.acme = cls.server.company("acme")
        path = os.path.join(cls.server.folder, "many.jsonl")
        with open(path, "w") as file:
            for number in range(MANY):
                file.write(json.dumps(conversation(f"c{number}", text_of(number))) + "\n")
        cls.server.cli("import", path, "--company", "acme")
        wait_for("all vectors", lambda: metric(cls.server, "vectors") >= MANY)
        wait_for("a graph", lambda: metric(cls.server, "graph_vectors") >= GRAPH_FROM)

    @classmethod
    def tearDownClass(cls):
        cls.server.__exit__()

    def restart(self):
        self.assertEqual(self.server.stop(), 0)
        self.server.start()

    def file(self):
        folder = os.path.join(self.server.data, "index")
        names = os.listdir(folder) if os.path.isdir(folder) else []
        return next((os.path.join(folder, name) for name in names if name.endswith(".seg")), None)

    def answers(self):
        found = []
        for number in range(0, MANY, 80):
            status, answer, _ = self.acme.call("POST", "/v1/search", {
                "query": text_of(number), "mode": "vector", "limit": LIMIT})
            self.assertEqual(status, 200)
            found.append((answer["exact"], [(hit["id"], hit["score"]) for hit in answer["hits"]]))
        return found

    def test_a_graph_is_found_again_erased_from_and_made_again(self):
        server = self.server
        wait_for("a file", self.file)
        before = self.answers()
        self.assertFalse(any(exact for exact, _ in before), "by the graph")

        with self.subTest("found after a restart, with the same answers"):
            self.restart()
            wait_for("the file's graph", lambda: metric(server, "segments_loaded") == 1)
            self.assertEqual(self.answers(), before)
            self.assertEqual(metric(server, "segments_written"), 0)

        with self.subTest("verified beside the server"):
            told = server.cli("index", "verify", "--company", "acme")
            self.assertTrue(told["ok"])
            self.assertEqual(told["files"][0]["company"], "acme")
            self.assertEqual(told["files"][0]["bytes"], os.path.getsize(self.file()))

        with self.subTest("gone with what was erased"):
            oldest = server.cli("search", text_of(0), "--company", "acme", "--exact")["hits"][0]
            gone = self.file()
            server.cli("delete", oldest["id"], "--yes", "--company", "acme")
            wait_for("the file's removal", lambda: not os.path.exists(gone))

        with self.subTest("made again when there is none, and when it is damaged"):
            self.restart()
            wait_for("a new file", lambda: metric(server, "segments_written") == 1)
            self.assertEqual(server.stop(), 0)
            with open(self.file(), "r+b") as file:
                file.seek(os.path.getsize(self.file()) // 2)
                byte = file.read(1)
                file.seek(-1, os.SEEK_CUR)
                file.write(bytes([byte[0] ^ 1]))
            done = server.cli("index", "verify", check=False)
            self.assertEqual(done.returncode, 1)
            self.assertIn("damaged", done.stdout)
            server.start()
            wait_for("a new file", lambda: metric(server, "segments_written") == 1)
            self.assertEqual(metric(server, "segments_refused"), 1)
            self.assertIn("index.segment_refused", server.read_log())
            self.assertTrue(server.cli("index", "verify")["ok"])

        with self.subTest("killed while it is written"):
            for _ in range(3):
                os.remove(self.file())
                self.restart()
                wait_for("a writing", lambda: os.path.isdir(os.path.join(server.data, "index")) and
                         os.listdir(os.path.join(server.data, "index")))
                server.kill()
                server.start()
                wait_for("the graph", lambda: metric(server, "graph_vectors") > 0)
                wait_for("a file", self.file)
                self.assertTrue(server.cli("index", "verify")["ok"])


if __name__ == "__main__":
    unittest.main()
