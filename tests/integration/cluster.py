"""Starts a cluster of a test's own: servers of different roles on one PostgreSQL, behind HAProxy; on request
with a RabbitMQ and a Redis, too. Or a gateway on all three, for what is done to one server."""
import contextlib
import itertools
import json
import os
import shutil
import subprocess
import tempfile

from postgres_server import Postgres, free_port
from rabbit_server import Rabbit
from redis_server import Redis
from samtale import BIN, ENVIRONMENT, Server, wait_for

ROLES = {"gateway1": "gateway", "gateway2": "gateway", "indexer1": "indexer",
         "indexer2": "indexer", "searcher1": "searcher", "searcher2": "searcher",
         "keeper1": "analyst,keeper", "keeper2": "analyst,keeper"}


class HAProxy:
    """Sends each request to one of the gateways that say they are ready."""

    def __init__(self, gateways, port=0):
        self.gateways = gateways
        self.port = port or free_port()

    def __enter__(self):
        self.folder = tempfile.mkdtemp(prefix="samtale-haproxy-")
        servers = "\n".join(f"  server {name} 127.0.0.1:{server.asked_port} check inter 200ms"
                            for name, server in self.gateways.items())
        with open(self.folder + "/cfg", "w") as file:
            file.write(f"""defaults
  mode http
  timeout connect 2s
  timeout client 60s
  timeout server 60s
frontend all
  bind 127.0.0.1:{self.port}
  default_backend gateways
backend gateways
  balance leastconn
  option httpchk GET /readyz
  option redispatch 1
  retries 2
{servers}
""")
        program = shutil.which("haproxy", path=os.environ["PATH"] + ":/usr/sbin")
        with open(self.folder + "/log", "wb") as log:
            self.process = subprocess.Popen([program, "-db", "-f", self.folder + "/cfg"],
                                            stdout=log, stderr=log)
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        shutil.rmtree(self.folder)


class Engines:
    """A PostgreSQL, a RabbitMQ and a Redis, on which each gateway has data of its own."""

    def __init__(self, postgres=None, rabbit=None):
        self.postgres, self.rabbit, self.redis = postgres or Postgres(), rabbit or Rabbit(), Redis()
        self.numbers = itertools.count()

    def __enter__(self):
        with contextlib.ExitStack() as stack:
            for one in (self.postgres, self.rabbit, self.redis):
                stack.enter_context(one)
            self.stack = stack.pop_all()
        return self

    def __exit__(self, *_):
        self.stack.close()

    def gateway(self, *flags):
        settings = [word for one in (self.postgres, self.rabbit, self.redis) for word in one.settings()]
        return Gateway(self.rabbit, *settings, "--set", f"store.schema=gateway{next(self.numbers)}", *flags)


class Gateway(Server):
    """A gateway, and a server behind it that does all other work."""

    def __init__(self, rabbit, *flags):
        super().__init__("--role", "gateway", *flags, "--set", "accept.ack=replicated")
        self.rabbit, self.settings = rabbit, flags
        self.worker = Server("--role", "indexer,searcher,analyst,keeper", *flags)

    def start(self, *prefix):
        if not self.worker.process:
            make_queues(self.rabbit, self.settings)
            self.worker.start()
        super().start(*prefix)

    def __exit__(self, *_):
        self.worker.__exit__()
        super().__exit__()

    def company(self, name, *flags):
        made = super().company(name, *flags)
        wait_for("a searcher", lambda: made.call("POST", "/v1/search", {"query": "x"})[0] == 200)
        return made


def make_queues(rabbit, flags):
    made = subprocess.run([BIN, "topology", "check", "--fix", "--json", *flags], check=True,
                          capture_output=True, env=ENVIRONMENT)
    rabbit.wait_until_kept(*(one["name"] for one in json.loads(made.stdout)["queues"]))


class Cluster:
    def __init__(self, *flags, port=0, all_engines=False):
        self.more_flags, self.asked_port, self.all_engines = list(flags), port, all_engines

    def __enter__(self):
        with contextlib.ExitStack() as stack:
            self.postgres = stack.enter_context(Postgres())
            if self.all_engines:
                self.rabbit, self.redis = (stack.enter_context(one) for one in (Rabbit(), Redis()))
                self.more_flags += [*self.rabbit.settings(), *self.redis.settings(),
                                    "--set", "accept.ack=replicated"]
                make_queues(self.rabbit, self.flags())
            self.nodes = {}
            for name, roles in ROLES.items():
                # A gateway keeps its port over restarts: the proxy knows it by that.
                self.nodes[name] = Server("--role", roles, *self.flags(),
                                          port=free_port() if roles == "gateway" else 0)
                stack.enter_context(self.nodes[name])
            gateways = {name: self.nodes[name] for name in ("gateway1", "gateway2")}
            self.proxy = stack.enter_context(HAProxy(gateways, self.asked_port))
            self.gateway = self.nodes["gateway1"]
            wait_for("the searchers", lambda: self.ready_copies() == [2, 2, 2, 2])
            probe = self.gateway.company("probe")
            for probe.server in gateways.values():
                wait_for("a gateway to know them", lambda: probe.call(
                    "POST", "/v1/search", {"query": "x", "mode": "keyword"})[0] == 200)
            self.stack = stack.pop_all()
        return self

    def __exit__(self, *_):
        self.stack.close()

    def flags(self):
        return (*self.postgres.settings(), *self.more_flags)

    def members(self):
        return self.gateway.cli("cluster", "status")["nodes"]

    def ready_copies(self):
        """How many searchers have loaded each partition's index."""
        members = self.members()
        return [sum(i in one["partitions"] for one in members) for i in range(4)]

    def node_id(self, name):
        with open(os.path.join(self.nodes[name].data, "node.id")) as file:
            return file.read()
