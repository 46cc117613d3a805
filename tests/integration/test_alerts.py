"""The alerting rules are of metrics that the server exports, with labels that it gives them."""
import os
import re
import unittest
import urllib.request

from lm_server import LmServer
from postgres_server import Postgres
from rabbit_server import Rabbit
from samtale import Server, conversation, metric, wait_for

RULES = os.path.join(os.path.dirname(__file__), "..", "..", "packaging", "prometheus-alerts.yml")
SELECTOR = re.compile(r"(samtale_\w+)(?:\{([^}]*)\})?")
MATCHER = re.compile(r'(\w+)(=~|!~|!=|=)"([^"]*)"')


def selectors():
    with open(RULES, encoding="utf-8") as file:
        expressions = re.findall(r"^ *expr: (.*)$", file.read(), re.MULTILINE)
    return [found for expression in expressions for found in SELECTOR.findall(expression)]


def of_a_cluster(selector):
    return selector[0].startswith(("samtale_broker", "samtale_accept_repl", "samtale_accept_kept",
                                   "samtale_replicated", "samtale_store", "samtale_index_lag"))


class AlertsTest(unittest.TestCase):
    def exported(self, server):
        url = f"http://127.0.0.1:{server.port}/metrics"
        text = urllib.request.urlopen(url).read().decode()
        return re.findall(r"^(samtale_\w+)(?:\{(.*)\})? ", text, re.MULTILINE)

    def check(self, server, wanted):
        series = {}
        for name, labels in self.exported(server):
            series.setdefault(name, []).append(dict(re.findall(r'(\w+)="([^"]*)"', labels)))
        for name, matchers in wanted:
            self.assertIn(name, series)
            for label, operator, value in MATCHER.findall(matchers):
                given = {labels[label] for labels in series[name] if label in labels}
                self.assertTrue(given, f"{name} has no label {label}")
                if label == "status" or operator in ("!~", "!="):
                    continue  # None may have been answered so yet.
                for word in value.split("|") if operator == "=~" else [value]:
                    self.assertIn(word, given, f"{name}{{{label}}}")

    def test_every_rule_is_of_what_the_server_exports(self):
        lm = self.enterContext(LmServer())
        server = self.enterContext(Server(*lm.settings()))
        acme = server.company("acme")
        acme.send({**conversation("a", "My parcel never came", "I am sorry"), "status": "ended"})
        # A kind of job is there with its first one.
        wait_for("an analysis", lambda: 'kind="lm"' in str(self.exported(server)))

        wanted = [one for one in selectors() if not of_a_cluster(one)]
        self.assertGreater(len(wanted), 15)
        self.check(server, wanted)

    def test_those_about_database_and_broker_are_of_what_a_server_with_them_exports(self):
        postgres, rabbit = self.enterContext(Postgres()), self.enterContext(Rabbit())
        server = self.enterContext(Server(*postgres.settings(), *rabbit.settings(),
                                          "--set", "accept.ack=replicated"))
        wanted = [one for one in selectors() if of_a_cluster(one)]
        self.assertGreater(len(wanted), 7)
        self.check(server, wanted)
        # D10: its fsync is off, for speed.
        wait_for("being told", lambda: "store.not_durable" in server.read_log())
        self.assertIn("fsync = off", server.read_log())
        self.assertEqual(metric(server, "samtale_store_durable"), 0)
        with Postgres(fsync=True) as durable, Server(*durable.settings()) as safe:
            safe.company("acme").send(conversation("a", "the kettle leaks"))
            wait_for("a look at the database", lambda: metric(safe, "samtale_store_durable") == 1)
            self.assertNotIn("store.not_durable", safe.read_log())


if __name__ == "__main__":
    unittest.main()
