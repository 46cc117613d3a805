"""Starts a RabbitMQ broker of a test's own, with a port mapper (epmd) that is nobody else's."""
import ctypes
import os
import shutil
import signal
import subprocess
import tempfile

from postgres_server import free_port
from samtale import wait_for

BROKER = "/usr/lib/rabbitmq/bin/rabbitmq-server"
PR_SET_PDEATHSIG = 1


def end_with_us():
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Rabbit:
    """What it has confirmed survives kill(), once wait_until_kept() has said so of its queues."""

    def __enter__(self):
        self.folder = tempfile.mkdtemp(prefix="samtale-rabbit-")
        self.port, self.mapper_port, self.between_nodes_port = free_port(), free_port(), free_port()
        self.node = f"samtale{self.port}@localhost"
        with open(self.folder + "/rabbitmq.conf", "w") as file:
            file.write(f"listeners.tcp.1 = 127.0.0.1:{self.port}\n"
                       "log.console = true\nlog.file = false\nlog.connection.level = error\n")
        with open(self.folder + "/plugins", "w") as file:
            file.write("[].")
        self.environment = {
            "PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": self.folder, "LANG": "C.UTF-8",
            "ERL_EPMD_ADDRESS": "127.0.0.1", "ERL_EPMD_PORT": str(self.mapper_port),
            # Runs the machine in place of the script, so that it is our child, and reads nothing.
            "RABBITMQ_ALLOW_INPUT": "1", "RABBITMQ_SERVER_START_ARGS": "-noinput",
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS":
                "-kernel inet_dist_use_interface {127,0,0,1} +S 2:2 +sbwt none +sbwtdcpu none "
                "+sbwtdio none",
            "RABBITMQ_NODENAME": self.node, "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(self.between_nodes_port),
            "RABBITMQ_CONF_ENV_FILE": self.folder + "/none",
            "RABBITMQ_CONFIG_FILE": self.folder + "/rabbitmq.conf",
            "RABBITMQ_ENABLED_PLUGINS_FILE": self.folder + "/plugins",
            "RABBITMQ_MNESIA_BASE": self.folder + "/mnesia",
            "RABBITMQ_LOG_BASE": self.folder + "/log", "RABBITMQ_LOGS": "-",
            "RABBITMQ_PID_FILE": self.folder + "/pid"}
        self.mapper = subprocess.Popen(
            ["/usr/bin/epmd", "-address", "127.0.0.1", "-port", str(self.mapper_port)], cwd="/",
            env=self.environment, preexec_fn=end_with_us)
        self.start()
        return self

    def __exit__(self, *_):
        self.kill()
        self.mapper.kill()
        self.mapper.wait()
        shutil.rmtree(self.folder)

    def start(self):
        path = self.folder + "/output"
        with open(path, "wb") as output:
            self.process = subprocess.Popen([BROKER], cwd="/", env=self.environment, stdout=output,
                                            stderr=output, preexec_fn=end_with_us)

        def is_up():
            with open(path) as said:
                return "Server startup complete" in said.read()

        wait_for("the start of RabbitMQ", is_up)

    def kill(self):
        """SIGKILL: nothing is written that was not."""
        self.process.kill()
        self.process.wait()

    def wait_until_kept(self, *queues):
        """3.10 forgets a quorum queue that is killed within half a second of its declaration."""
        path = f"{self.folder}/mnesia/{self.node}/quorum/{self.node}/names.dets"

        def are_kept():
            with open(path, "rb") as file:
                names = file.read()
            return all(b"%2F_" + queue.encode() in names for queue in queues)

        wait_for("queues on disk", are_kept)

    def settings(self, port=None):
        return ["--set", "queue.kind=rabbitmq", "--set",
                f"queue.url=amqp://127.0.0.1:{port or self.port}"]
