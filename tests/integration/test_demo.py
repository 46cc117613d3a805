"""./dev demo --once, on one server and on a cluster: what a newcomer does first finds what it should."""
import os
import re
import subprocess
import sys
import unittest

from postgres_server import free_port
from samtale import ENVIRONMENT

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")


class DemoTest(unittest.TestCase):
    def demo(self, *words):
        done = subprocess.run([sys.executable, "tools/demo.py", "--once", "--port", str(free_port()), *words], cwd=ROOT,
                              env=ENVIRONMENT, capture_output=True, text=True, timeout=300)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        found = re.search(r"(\d+) of (\d+) searches found what they should", done.stdout)
        self.assertEqual(found[1], found[2], done.stdout)
        self.assertGreater(int(found[1]), 5)

    def test_one_server(self):
        self.demo("--embedder", "builtin")

    def test_a_cluster(self):
        self.demo("--profile", "cluster")


if __name__ == "__main__":
    unittest.main()
