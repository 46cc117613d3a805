"""D17 of the catalogue of faults: whoever shows a certificate that is expired, another host's, or signed by nobody
who is trusted, gets nothing from us, and the reason is named; PostgreSQL, the broker, and what is reached by HTTPS
(an embedding server, an identity provider's keys, a company's webhook)."""
import json
import http.server
import re
import ssl
import subprocess
import threading
import unittest

from certificates import Certificates
from name_server import CAN_MOUNT, with_files
from postgres_server import Postgres, unprivileged
from rabbit_server import Rabbit
from samtale import BIN, ENVIRONMENT, Ended, Server, conversation, metric, wait_for

BAD = ("expired", "other_host", "self_signed")


class DatabaseCertificateTest(unittest.TestCase):
    def test_a_database_is_taken_for_itself_by_a_good_certificate_only(self):
        postgres = self.enterContext(Postgres())
        owner = unprivileged()
        made = self.enterContext(Certificates({"user": owner["user"], "group": owner["group"]} if owner else None))
        postgres.sql("ALTER SYSTEM SET ssl = on")
        flags = ("--set", "store.kind=postgres", "--set",
                 f"store.url=postgresql://samtale@localhost:{postgres.port}/postgres?sslmode=verify-full"
                 f"&sslrootcert={made.authority}")

        def show(certificate):
            postgres.sql(f"ALTER SYSTEM SET ssl_cert_file = '{certificate[0]}'")
            postgres.sql(f"ALTER SYSTEM SET ssl_key_file = '{certificate[1]}'")
            postgres.sql("SELECT pg_reload_conf()")
            wait_for("the certificate to be shown", lambda: postgres.sql(
                "SELECT current_setting('ssl') || current_setting('ssl_cert_file')") == "on" + certificate[0])

        for name, reason in (("expired", "certificate verify failed"), ("self_signed", "certificate verify failed"),
                             ("other_host", "does not match host name")):
            with self.subTest(certificate=name):
                show(getattr(made, name))
                server = Server(*flags)
                with self.assertRaisesRegex(Ended, reason):
                    server.start()
                server.__exit__()
        show(made.good)
        server = self.enterContext(Server(*flags))
        acme = server.company("acme")
        acme.send(conversation("a", "the kettle leaks"))
        acme.find("kettle")
        self.assertEqual(postgres.sql("SELECT bool_and(ssl) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) "
                                      "WHERE usename = 'samtale'"), "t")
        # One that goes bad while all is in use: nothing is read from it, and accepting goes on.
        show(made.expired)
        postgres.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'samtale'")
        acme.send(conversation("b", "the toaster burns"))
        wait_for("being told", lambda: "certificate verify failed" in server.read_log())
        show(made.good)
        acme.find("toaster")


class BrokerCertificateTest(unittest.TestCase):
    def test_a_broker_is_taken_for_itself_by_a_good_certificate_only(self):
        postgres, made = self.enterContext(Postgres()), self.enterContext(Certificates())
        for name, reason in (("expired", "SSL"), ("self_signed", "SSL"), ("other_host", "SSL"), ("good", "")):
            with self.subTest(certificate=name):
                with Rabbit(certificate=getattr(made, name)) as rabbit:
                    flags = (*postgres.settings(), "--set", "queue.kind=rabbitmq", "--set", "queue.url=amqps://localhost:"
                             f"{rabbit.tls_port}?cacertfile={made.authority}", "--set", "accept.ack=replicated")
                    checked = subprocess.run([BIN, "topology", "check", "--fix", *flags[:-2]], timeout=120,
                                             capture_output=True, text=True, env=ENVIRONMENT)
                    if reason:
                        self.assertNotEqual(checked.returncode, 0)
                        self.assertIn(reason, checked.stderr)
                        continue
                    self.assertEqual(checked.returncode, 0, checked.stderr)
                    with Server(*flags) as server:
                        acme = server.company("acme")
                        status, answer, _ = acme.call("POST", "/v1/conversations", conversation("c", "the kettle leaks"))
                        self.assertEqual((status, answer["ack"]), (202, "replicated"))
                        acme.find("kettle")
                        wait_for("jobs by the broker", lambda: metric(server, "samtale_broker_delivered") > 0)


class HttpsServer:
    """Answers every request as an embedding server, an identity provider and a receiver of webhooks would."""

    def __enter__(self):
        outer = self
        self.answered = 0

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                asked = self.rfile.read(int(self.headers["Content-Length"]))
                texts = json.loads(asked).get("input", [])
                outer.answer(self, {"object": "list", "model": "m", "data": [
                    {"object": "embedding", "index": i, "embedding": [1.0] + [0.0] * 7} for i in range(len(texts))]})

            def do_GET(self):
                outer.answer(self, {"keys": []})

            def log_message(self, *_):
                pass

        class Quiet(http.server.ThreadingHTTPServer):
            def handle_error(self, *_):
                pass  # Of a handshake that the other side has broken off.

        self.server = Quiet(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        self.context = None
        return self

    def serve(self, certificate):
        """From the next connection on."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
        # Who has seen a good one goes on with that, and is shown no other.
        context.options |= ssl.OP_NO_TICKET
        context.num_tickets = 0
        if self.context is None:
            self.context = context
            self.context.sni_callback = self.choose
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True,
                                                     do_handshake_on_connect=False)
            threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.shown = context

    def choose(self, connection, *_):
        connection.context = self.shown

    def answer(self, handler, body):
        self.answered += 1
        text = json.dumps(body).encode()
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(text)))
        handler.send_header("Connection", "close")
        handler.end_headers()
        handler.wfile.write(text)

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


@unittest.skipUnless(CAN_MOUNT, "needs root: another authority is mounted for the process")
class HttpsCertificateTest(unittest.TestCase):
    REASONS = {"expired": "certificate has expired", "self_signed": "self.signed certificate",
               "other_host": "no alternative certificate subject name matches target host name 'localhost'"}

    def setUp(self):
        self.made = self.enterContext(Certificates())
        self.peer = self.enterContext(HttpsServer())
        self.prefix = with_files({"/etc/ssl/certs/ca-certificates.crt": self.made.authority})
        self.url = f"https://localhost:{self.peer.port}"

    def start(self, *settings):
        server = Server(*(word for one in settings for word in ("--set", one)))
        self.addCleanup(server.__exit__)
        server.start(*self.prefix)
        return server

    def test_an_embedding_server(self):
        self.peer.serve(self.made.expired)
        server = self.start("embed.kind=openai", f"embed.url={self.url}/v1", "embed.model=m", "embed.dimension=8",
                            "queue.retry_base_ms=100", "queue.retry_longest_ms=200", "queue.retry_attempts=100")
        acme = server.company("acme")
        for name, reason in self.REASONS.items():
            self.peer.serve(getattr(self.made, name))
            acme.send(conversation(name, f"the kettle of {name} leaks"))
            acme.find(name)  # By its words.
            self.assertEqual(acme.call("POST", "/v1/search", {"query": name, "mode": "vector"})[0], 503)
            wait_for(reason, lambda: re.search(reason, server.read_log()))
            self.assertEqual(self.peer.answered, 0)
        self.peer.serve(self.made.good)
        wait_for("vectors", lambda: acme.call("GET", "/v1/status")[1].get("chunks_without_vector") == 0)

    def test_an_identity_providers_keys(self):
        for name, reason in self.REASONS.items():
            self.peer.serve(getattr(self.made, name))
            server = self.start(f"auth.jwks_url={self.url}/keys", "auth.jwt_audience=a")
            wait_for(reason, lambda: re.search(reason, server.read_log()))
        self.assertEqual(self.peer.answered, 0)
        self.peer.serve(self.made.good)
        server = self.start(f"auth.jwks_url={self.url}/keys", "auth.jwt_audience=a")
        wait_for("the keys to be asked for", lambda: self.peer.answered == 1)

    def test_a_companys_webhook(self):
        self.peer.serve(self.made.good)
        server = self.start("notify.allow_private=127.0.0.1/32 ::1/128", f"notify.ports={self.peer.port}")
        acme = server.company("acme")
        made = acme.call("POST", "/v1/subscriptions", {"url": self.url + "/hook"})[1]

        def told():
            return acme.call("POST", f"/v1/subscriptions/{made['id']}/test")[1]

        self.assertTrue(told()["delivered"])
        had = self.peer.answered
        for name, reason in self.REASONS.items():
            self.peer.serve(getattr(self.made, name))
            self.assertRegex(told()["cause"], reason)
        self.assertEqual(self.peer.answered, had)


if __name__ == "__main__":
    unittest.main()
