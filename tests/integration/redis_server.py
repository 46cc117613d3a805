"""Starts a redis-server of a test's own."""
import os
import subprocess
import tempfile

from samtale import wait_for


class Redis:
    def __enter__(self):
        self.folder = tempfile.TemporaryDirectory(prefix="samtale-redis-")
        self.socket = os.path.join(self.folder.name, "socket")
        self.process = subprocess.Popen(
            ["redis-server", "--port", "0", "--unixsocket", self.socket, "--save", "", "--dir",
             self.folder.name], stdout=subprocess.DEVNULL)
        wait_for("the start of Redis", lambda: os.path.exists(self.socket))
        return self

    def __exit__(self, *_):
        self.kill()
        self.folder.cleanup()

    def kill(self):
        self.process.kill()
        self.process.wait()

    def command(self, *words):
        return subprocess.run(["redis-cli", "-s", self.socket, *words], check=True,
                              capture_output=True, text=True).stdout.split("\n")[:-1]

    def settings(self):
        return ["--set", f"cache.redis_url=unix://{self.socket}"]
