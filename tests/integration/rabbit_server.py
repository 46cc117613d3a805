"""Starts a RabbitMQ broker of a test's own, with a port mapper (epmd) that is nobody else's."""
import contextlib
import os
import re
import shutil
import socket
import subprocess
import tempfile

from postgres_server import free_port
from samtale import wait_for
from small_disk import SmallDisk, end_with_us

BROKER = "/usr/lib/rabbitmq/bin/rabbitmq-server"
CONTROL = "/usr/lib/rabbitmq/bin/rabbitmqctl"


def settings(port):
    return ["--set", "queue.kind=rabbitmq", "--set", f"queue.url=amqp://127.0.0.1:{port}"]


def answers(port):
    """Whether it begins the handshake of AMQP 0-9-1."""
    with contextlib.suppress(OSError), \
            socket.create_connection(("127.0.0.1", port), timeout=10) as peer:
        peer.sendall(b"AMQP\0\0\x09\x01")
        return len(peer.recv(1)) == 1


def start_mapper(port, environment):
    return subprocess.Popen(["/usr/bin/epmd", "-address", "127.0.0.1", "-port", str(port)], cwd="/",
                            env=environment, preexec_fn=end_with_us)


class Rabbit:
    """What it has confirmed survives kill(), once wait_until_kept() has said so of its queues."""

    def __init__(self, cluster=None, certificate=None, disk_bytes=None):
        self.cluster = cluster  # A RabbitCluster, whose port mapper and cookie it shares.
        self.certificate = certificate  # And its key: then it listens at tls_port, too.
        self.disk_bytes = disk_bytes    # Of the disk that its data is on, if not the machine's.
        self.port, self.between_nodes_port, self.tls_port = free_port(), free_port(), free_port()
        self.mapper_port = cluster.mapper_port if cluster else free_port()
        self.node = f"samtale{self.port}@localhost"

    def __enter__(self):
        self.folder = tempfile.mkdtemp(prefix="samtale-rabbit-")
        with open(self.folder + "/rabbitmq.conf", "w") as file:
            file.write(f"listeners.tcp.1 = 127.0.0.1:{self.port}\n"
                       "log.console = true\nlog.file = false\nlog.connection.level = error\n")
            if self.certificate:
                file.write(f"listeners.ssl.1 = 127.0.0.1:{self.tls_port}\n"
                           f"ssl_options.certfile = {self.certificate[0]}\n"
                           f"ssl_options.keyfile = {self.certificate[1]}\n")
            if self.cluster:
                file.write("cluster_formation.peer_discovery_backend = classic_config\n"
                           "cluster_partition_handling = pause_minority\n")
                for i, other in enumerate(self.cluster.nodes):
                    file.write(f"cluster_formation.classic_config.nodes.{i} = {other.node}\n")
        with open(self.folder + "/plugins", "w") as file:
            file.write("[].")
        self.environment = {
            "PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8",
            "HOME": self.cluster.folder if self.cluster else self.folder,
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
        self.disk = None
        if self.disk_bytes:
            os.mkdir(self.folder + "/mnesia")
            self.disk = SmallDisk(self.folder + "/mnesia", self.disk_bytes).__enter__()
        self.mapper = None if self.cluster else start_mapper(self.mapper_port, self.environment)
        self.start()
        return self

    def __exit__(self, *_):
        self.kill()
        if self.mapper:
            self.mapper.kill()
            self.mapper.wait()
        if self.disk:
            self.disk.__exit__()
        shutil.rmtree(self.folder, ignore_errors=True)

    def start(self, *prefix):
        """`prefix` is a program that goes on as the broker: strace -D."""
        where = self.disk.prefix if self.disk else []
        with open(self.folder + "/output", "ab") as output:
            self.process = subprocess.Popen([*where, *prefix, BROKER], cwd="/", env=self.environment, stdout=output,
                                            stderr=output, preexec_fn=end_with_us)
        # What it logs may be late, or be left out where it has much to say.
        wait_for("the start of RabbitMQ", lambda: answers(self.port))

    def kill(self):
        """SIGKILL: nothing is written that was not."""
        self.process.kill()
        self.process.wait()

    def wait_until_kept(self, *queues):
        """3.10 forgets a quorum queue that is killed within half a second of its declaration."""
        folder = self.disk.path if self.disk else self.folder + "/mnesia"
        path = f"{folder}/{self.node}/quorum/{self.node}/names.dets"

        def are_kept():
            with open(path, "rb") as file:
                names = file.read()
            return all(b"%2F_" + queue.encode() in names for queue in queues)

        wait_for("queues on disk", are_kept)

    def settings(self, port=None):
        return settings(port or self.port)

    def evaluate(self, expression):
        """In the node, which may be paused."""
        done = subprocess.run([CONTROL, "--node", self.node, "eval", expression + "."], check=True, cwd="/",
                              env=self.environment, capture_output=True, text=True, timeout=120)
        return done.stdout.strip()

    def cut_off(self):
        """From the others of its cluster, whoever of them tries to connect; clients still reach it."""
        self.evaluate(f"[begin erlang:set_cookie(N, wrong), erlang:disconnect_node(N) end || N <- {self.others()}]")

    def join_again(self):
        self.evaluate(f"[begin erlang:set_cookie(N, erlang:get_cookie()), net_adm:ping(N) end || N <- {self.others()}]")

    def others(self):
        return "[" + ",".join(f"'{one.node}'" for one in self.cluster.nodes if one is not self) + "]"


class RabbitCluster:
    """Three nodes, and a proxy that sends each connection to one that is there."""

    def __enter__(self):
        with contextlib.ExitStack() as stack:
            self.folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="samtale-rabbits-"))
            self.mapper_port = free_port()
            self.nodes = [Rabbit(self) for _ in range(3)]
            mapper = start_mapper(self.mapper_port, {
                "ERL_EPMD_ADDRESS": "127.0.0.1", "ERL_EPMD_PORT": str(self.mapper_port)})
            stack.callback(mapper.wait)
            stack.callback(mapper.kill)
            for node in self.nodes:
                stack.enter_context(node)
            self.port = free_port()
            servers = "\n".join(f"  server {i} 127.0.0.1:{node.port} check inter 200ms "
                                "on-marked-down shutdown-sessions"
                                for i, node in enumerate(self.nodes))
            with open(self.folder + "/haproxy", "w") as file:
                file.write(f"""defaults
  mode tcp
  timeout connect 1s
  timeout client 60s
  timeout server 60s
listen all
  bind 127.0.0.1:{self.port}
  option redispatch 1
  retries 2
{servers}
""")
            program = shutil.which("haproxy", path=os.environ["PATH"] + ":/usr/sbin")
            proxy = subprocess.Popen([program, "-db", "-f", self.folder + "/haproxy"],
                                     stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            stack.callback(proxy.wait)
            stack.callback(proxy.kill)
            wait_for("the proxy", lambda: answers(self.port))
            self.stack = stack.pop_all()
        return self

    def __exit__(self, *_):
        self.stack.close()

    def settings(self):
        return settings(self.port)

    def replace(self, dead, there):
        """By a new node, which gets a copy of each queue; the dead one's are given up. Returns the new one."""
        self.nodes.remove(dead)
        new = self.stack.enter_context(Rabbit(self))
        there.evaluate(f"rabbit_quorum_queue:shrink_all('{dead.node}')")
        there.evaluate(f"rabbit_mnesia:forget_cluster_node('{dead.node}', false)")
        there.evaluate(f"rabbit_quorum_queue:grow('{new.node}', <<\"/\">>, <<\".*\">>, all)")
        self.nodes.append(new)
        return new

    def leader_of(self, queue):
        found = self.about(queue, "{_, N} = amqqueue:get_pid(Q), N")
        return next(one for one in self.nodes if one.node in found)

    def nodes_of(self, queue):
        """The names of those that have a copy."""
        return re.findall(r"samtale\d+@localhost", self.about(queue, "maps:get(nodes, amqqueue:get_type_state(Q))"))

    def about(self, queue, expression):
        there = next(one for one in self.nodes if one.process.poll() is None)
        return there.evaluate("{ok, Q} = rabbit_amqqueue:lookup(rabbit_misc:r(<<\"/\">>, queue, <<\"" + queue
                              + "\">>)), " + expression)
