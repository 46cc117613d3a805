"""An authority of a test's own, and certificates of servers on this machine."""
import os
import shutil
import subprocess
import tempfile


def openssl(*words, given=None):
    subprocess.run(["openssl", *words], check=True, capture_output=True, input=given)


NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")


class Certificates:
    """`good` is for localhost; `expired` was; `other_host` is for another; nobody knows who signed
    `self_signed`. Each is (certificate, key), owned by `owner`."""

    def __init__(self, owner=None):
        self.owner = owner

    def __enter__(self):
        self.folder = tempfile.mkdtemp(prefix="samtale-certificates-")
        os.chmod(self.folder, 0o755)
        self.authority = self.folder + "/authority.pem"
        self.openssl_files = self.folder + "/authority.key"
        openssl("req", "-x509", *NEW_KEY, "-days", "2", "-subj", "/CN=Authority of a test", "-keyout",
                self.openssl_files, "-out", self.authority)
        self.good = self.make("good", "localhost", 2)
        self.expired = self.make("expired", "localhost", -1)
        self.other_host = self.make("other_host", "elsewhere.example", 2)
        self.self_signed = self.names("self_signed")
        openssl("req", "-x509", *NEW_KEY, "-days", "2", "-subj", "/CN=localhost", "-addext",
                "subjectAltName=DNS:localhost", "-keyout", self.self_signed[1], "-out", self.self_signed[0])
        for name in os.listdir(self.folder):
            path = os.path.join(self.folder, name)
            os.chmod(path, 0o600 if name.endswith(".key") else 0o644)
            if self.owner and path != self.openssl_files:
                shutil.chown(path, **self.owner)
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.folder)

    def names(self, name):
        return f"{self.folder}/{name}.pem", f"{self.folder}/{name}.key"

    def make(self, name, host, days):
        certificate, key = self.names(name)
        request, extensions = f"{self.folder}/{name}.csr", f"{self.folder}/{name}.ext"
        with open(extensions, "w", encoding="utf-8") as file:
            file.write(f"subjectAltName=DNS:{host}\n")
        openssl("req", *NEW_KEY, "-subj", "/CN=" + host, "-keyout", key, "-out", request)
        openssl("x509", "-req", "-in", request, "-CA", self.authority, "-CAkey", self.openssl_files,
                "-CAcreateserial", "-days", str(days), "-extfile", extensions, "-out", certificate)
        return certificate, key
