"""A disk of a test's own, so small that it is soon full."""
import ctypes
import os
import signal
import subprocess

PR_SET_PDEATHSIG = 1


def end_with_us():
    """For what a test starts: whatever ends the test, it ends, too."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def own_mounts(*words):
    """Runs a program where what it mounts is seen by no other."""
    return ["unshare", "-m" if os.geteuid() == 0 else "-rm", *words]


def why_no_mounts():
    done = subprocess.run(own_mounts("mount", "-t", "tmpfs", "tmpfs", "/mnt"), capture_output=True)
    return "no tmpfs may be mounted here: " + done.stderr.decode() if done.returncode else None


class SmallDisk:
    """Lies over a folder for those programs that `prefix` starts; for others at `path`."""

    def __init__(self, folder, size, options="mode=0700"):
        self.folder, self.size, self.options = folder, size, options

    def __enter__(self):
        script = 'mount -t tmpfs -o "$1" tmpfs "$0" && echo mounted && exec sleep infinity'
        self.holder = subprocess.Popen(
            own_mounts("sh", "-c", script, self.folder, f"size={self.size},{self.options}"),
            stdout=subprocess.PIPE, preexec_fn=end_with_us)
        self.path = f"/proc/{self.holder.pid}/root{self.folder}"
        if self.holder.stdout.readline() != b"mounted\n":
            self.__exit__()
            raise OSError("no tmpfs at " + self.folder)
        user = [] if os.geteuid() == 0 else ["--user", "--preserve-credentials"]
        self.prefix = ["nsenter", "--target", str(self.holder.pid), "--mount", *user]
        return self

    def __exit__(self, *_):
        self.holder.kill()
        self.holder.wait()
        self.holder.stdout.close()

    @property
    def filler(self):
        return os.path.join(self.path, "filler")

    def fill(self):
        """Until nothing more fits."""
        try:
            with open(self.filler, "wb", buffering=0) as file:
                while True:
                    file.write(bytes(65536))
        except OSError:
            pass

    def empty(self):
        os.remove(self.filler)

    def free(self):
        return os.statvfs(self.path).f_bavail
