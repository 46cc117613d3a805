"""A name server of a test's own, and a server that asks it: what is mounted over a file is so for that
process alone. Needs root."""
import os
import random
import socket
import struct
import tempfile
import threading

CAN_MOUNT = os.geteuid() == 0
A, AAAA, NAME_ERROR = 1, 28, 3


def with_files(files):
    """A prefix for Server.start: the program sees each path's replacement."""
    mounts = "".join(f"mount --bind '{replacement}' '{os.path.realpath(path)}' && "
                     for path, replacement in files.items())
    return ["unshare", "--mount", "sh", "-c", mounts + 'exec "$@"', "sh"]


class NameServer:
    """`names` has the addresses of each; who is not in it does not exist. While it is `silent` it answers
    nothing, and who asks waits for half a minute."""

    def __init__(self, **names):
        self.names = {name.replace("_", "."): addresses for name, addresses in names.items()}
        self.silent = False
        self.asked = []

    def __enter__(self):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        while True:
            address = "127.%d.%d.%d" % tuple(random.randrange(1, 255) for _ in range(3))
            try:
                self.socket.bind((address, 53))
                break
            except OSError:
                continue
        self.file = tempfile.NamedTemporaryFile("w", prefix="samtale-resolv-")
        self.file.write(f"nameserver {address}\noptions timeout:30 attempts:1\n")
        self.file.flush()
        os.chmod(self.file.name, 0o644)
        self.thread = threading.Thread(target=self.serve)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.socket.sendto(b"", self.socket.getsockname())
        self.thread.join()
        self.socket.close()
        self.file.close()

    def prefix(self, **more):
        return with_files({"/etc/resolv.conf": self.file.name, **more})

    def serve(self):
        while True:
            try:
                question, peer = self.socket.recvfrom(4096)
            except OSError:
                return
            if not question:
                return
            labels, at = [], 12
            while question[at]:
                labels.append(question[at + 1:at + 1 + question[at]].decode())
                at += 1 + question[at]
            name, kind = ".".join(labels).lower(), struct.unpack(">H", question[at + 1:at + 3])[0]
            self.asked.append(name)
            if self.silent:
                continue
            known = self.names.get(name)
            found = known if known and kind == A else []
            code = 0 if known is not None else NAME_ERROR
            answer = question[:2] + struct.pack(">HHHHH", 0x8180 | code, 1, len(found), 0, 0)
            answer += question[12:at + 5]
            for ip in found:
                answer += struct.pack(">HHHLH", 0xC00C, A, 1, 0, 4) + socket.inet_aton(ip)
            self.socket.sendto(answer, peer)
