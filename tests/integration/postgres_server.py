"""Starts a PostgreSQL of a test's own, and PgBouncer before it."""
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile

from samtale import wait_for
from small_disk import SmallDisk

BIN = "/usr/lib/postgresql/15/bin"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def unprivileged():
    """Neither PostgreSQL nor PgBouncer runs as root."""
    if os.geteuid() != 0:
        return {}
    user = pwd.getpwnam("postgres")
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


class Postgres:
    """What it has acknowledged survives kill(); a loss of power only if it syncs, which is slow."""

    def __init__(self, fsync=False, shared_buffers="64MB", disk_bytes=None):
        self.fsync = "on" if fsync else "off"
        self.shared_buffers = shared_buffers
        self.disk_bytes = disk_bytes  # Of the disk that its data is on, if not the machine's.
        self.prefix, self.disk = [], None

    def __enter__(self):
        self.folder = tempfile.mkdtemp(prefix="samtale-postgres-")
        self.as_user = unprivileged()
        if self.as_user:
            os.chown(self.folder, self.as_user["user"], self.as_user["group"])
        if self.disk_bytes:
            self.mount_disk()
        self.port = free_port()
        subprocess.run([*self.prefix, BIN + "/initdb", "--pgdata", self.folder + "/data", "--auth=trust",
                        "--no-sync", "--username=admin", "--encoding=UTF8", "--locale=C"],
                       check=True, stdout=subprocess.DEVNULL, cwd="/", **self.as_user)
        self.start()
        self.sql("CREATE ROLE samtale LOGIN")
        self.sql("GRANT CREATE ON DATABASE postgres TO samtale")
        return self

    def __exit__(self, *_):
        self.kill()
        if self.disk:
            self.disk.__exit__()
        shutil.rmtree(self.folder)

    def mount_disk(self):
        """Only root can do that for another user."""
        user, group = (str(self.as_user[which]) for which in ("user", "group"))
        os.mkdir(self.folder + "/data")
        self.disk = SmallDisk(self.folder + "/data", self.disk_bytes,
                              f"mode=0700,uid={user},gid={group}").__enter__()
        self.prefix = [*self.disk.prefix, "--setuid", user, "--setgid", group]
        self.as_user = {}

    def start(self, *prefix):
        """`prefix` is a program that goes on as the server: strace -D."""
        with open(self.folder + "/log", "ab") as log:
            self.process = subprocess.Popen(
                [*self.prefix, *prefix, BIN + "/postgres", "-D", self.folder + "/data", "-k", self.folder,
                 "-p", str(self.port), "-c", "listen_addresses=127.0.0.1", "-c", "fsync=" + self.fsync,
                 "-c", "shared_buffers=" + self.shared_buffers, "-c", "max_connections=300"],
                stdout=log, stderr=log, cwd="/", **self.as_user)
        wait_for("the start of PostgreSQL", lambda: subprocess.run(
            [BIN + "/pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port)]).returncode == 0)

    def log(self):
        with open(self.folder + "/log", errors="replace") as file:
            return file.read()

    def kill(self):
        """As a crash: nothing is written that was not."""
        self.process.send_signal(signal.SIGQUIT)
        self.process.wait()

    def stand_still(self):
        """It answers nobody, and nobody's connection ends."""
        self.signal_all(signal.SIGSTOP)

    def go_on(self):
        self.signal_all(signal.SIGCONT)

    def signal_all(self, which):
        with open(f"/proc/{self.process.pid}/task/{self.process.pid}/children") as children:
            for child in children.read().split():
                os.kill(int(child), which)
        self.process.send_signal(which)

    def sql(self, statement, user="admin"):
        done = subprocess.run(["psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-h",
                               "127.0.0.1", "-p", str(self.port), "-U", user, "-d", "postgres", "-c",
                               statement], check=True, capture_output=True, text=True)
        return done.stdout.strip()

    def settings(self, port=None):
        url = f"postgresql://samtale@127.0.0.1:{port or self.port}/postgres"
        return ["--set", "store.kind=postgres", "--set", f"store.url={url}"]


class Standby(Postgres):
    """Follows a primary, at that port where something stands between them, until it is promoted."""

    def __init__(self, primary, port=None, synchronous=True):
        super().__init__()
        self.primary, self.primary_port, self.synchronous = primary, port or primary.port, synchronous

    def __enter__(self):
        self.folder = tempfile.mkdtemp(prefix="samtale-standby-")
        self.as_user = unprivileged()
        if self.as_user:
            shutil.chown(self.folder, self.as_user["user"], self.as_user["group"])
        self.port = free_port()
        subprocess.run([BIN + "/pg_basebackup", "--pgdata", self.folder + "/data", "--no-sync",
                        "--checkpoint=fast", "--write-recovery-conf", "--dbname",
                        f"host=127.0.0.1 port={self.primary_port} user=admin application_name=standby"],
                       check=True, cwd="/", **self.as_user)
        self.start()
        if self.synchronous:
            self.primary.sql("ALTER SYSTEM SET synchronous_standby_names = 'standby'")
            self.primary.sql("SELECT pg_reload_conf()")
        wait_for("the standby to follow", lambda: self.primary.sql(
            "SELECT sync_state FROM pg_stat_replication") == ("sync" if self.synchronous else "async"))
        return self

    def promote(self):
        self.sql("SELECT pg_promote()")


class PgBouncer:
    """In transaction mode, with fewer connections to the server than its clients want."""

    def __init__(self, postgres):
        self.postgres = postgres

    def __enter__(self):
        self.folder = tempfile.mkdtemp(prefix="samtale-pgbouncer-")
        self.port = free_port()
        users, ini = self.folder + "/users", self.folder + "/ini"
        with open(users, "w") as file:
            file.write('"samtale" ""\n')
        with open(ini, "w") as file:
            file.write(f"""[databases]
postgres = host=127.0.0.1 port={self.postgres.port}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {self.port}
unix_socket_dir =
auth_type = trust
auth_file = {users}
pool_mode = transaction
default_pool_size = 4
server_round_robin = 1
""")
        as_user = unprivileged()
        if as_user:
            for path in (self.folder, users, ini):
                os.chown(path, as_user["user"], as_user["group"])
        with open(self.folder + "/log", "wb") as log:
            self.process = subprocess.Popen([shutil.which("pgbouncer", path=os.environ["PATH"] + ":/usr/sbin"), ini], stdout=log,
                                            stderr=log, cwd="/", **as_user)
        wait_for("the start of PgBouncer", self.answers)
        return self

    def answers(self):
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            return True
        except OSError:
            return False

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        shutil.rmtree(self.folder)
