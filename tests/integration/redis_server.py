"""Starts a redis-server of a test's own."""
import contextlib
import os
import subprocess
import tempfile

from postgres_server import free_port
from samtale import wait_for


class Redis:
    def __enter__(self):
        self.folder = tempfile.TemporaryDirectory(prefix="samtale-redis-")
        self.socket = os.path.join(self.folder.name, "socket")
        self.port = free_port()
        self.start()
        return self

    def __exit__(self, *_):
        self.kill()
        self.folder.cleanup()

    def start(self):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.socket)  # Of one that was killed.
        self.process = subprocess.Popen(
            ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--unixsocket",
             self.socket, "--save", "", "--dir", self.folder.name], stdout=subprocess.DEVNULL)
        wait_for("the start of Redis", lambda: os.path.exists(self.socket))

    def kill(self):
        self.process.kill()
        self.process.wait()

    def command(self, *words):
        return subprocess.run(["redis-cli", "-s", self.socket, *words], check=True,
                              capture_output=True, text=True).stdout.split("\n")[:-1]

    def settings(self, port=None):
        """By its socket, or by a port, of a proxy before it say."""
        place = f"redis://127.0.0.1:{port}" if port else f"unix://{self.socket}"
        return ["--set", "cache.redis_url=" + place]
