"""On PostgreSQL: the same main job and the same deaths, also through a pooler in transaction mode;
several servers on one store; and a database that is away or stands still."""
import json
import threading
import time
import unittest
import urllib.request

import test_kill
import test_main_job
from postgres_server import PgBouncer, Postgres
from samtale import Server, conversation, sign, wait_for

POSTGRES = None


def setUpModule():
    global POSTGRES
    POSTGRES = Postgres().__enter__()


def tearDownModule():
    POSTGRES.__exit__()


def metric(server, name):
    url = f"http://127.0.0.1:{server.port}/metrics"
    with urllib.request.urlopen(url, timeout=30) as answer:
        lines = answer.read().decode().split("\n")
    return next(float(line.split()[-1]) for line in lines if line.startswith(name + " "))


def webhook(company, endpoint, name, *texts):
    body = json.dumps(conversation(name, *texts)).encode()
    return company.call("POST", "/v1/webhooks/" + endpoint["id"], body,
                        sign(endpoint["secret"], "msg_" + name, body))


def schema(name, *flags):
    return (*POSTGRES.settings(), "--set", "store.schema=" + name, *flags)


class MainJobOnPostgresTest(test_main_job.MainJobTest):
    @classmethod
    def setUpClass(cls):
        cls.flags = schema("main_job")
        super().setUpClass()


class MainJobThroughPoolerTest(test_main_job.MainJobTest):
    """Each transaction may be another session's: nothing may be kept in one."""

    @classmethod
    def setUpClass(cls):
        cls.pooler = PgBouncer(POSTGRES).__enter__()
        cls.addClassCleanup(cls.pooler.__exit__)
        cls.flags = (*POSTGRES.settings(cls.pooler.port), "--set", "store.schema=pooled")
        super().setUpClass()


class KillOnPostgresTest(test_kill.KillTest):
    cycles = test_kill.CYCLES // 4

    def setUp(self):
        self.flags = schema("kill")

    def between_cycles(self, chance):
        if chance.randrange(2):
            POSTGRES.kill()
            POSTGRES.start()


class AwayTest(unittest.TestCase):
    def setUp(self):
        self.server = Server(*schema("away_" + self._testMethodName[-12:],
                                     "--set", "store.statement_timeout_ms=8000")).__enter__()
        self.addCleanup(self.server.__exit__)
        self.acme = self.server.company("acme")
        self.endpoint = self.acme.endpoint()
        self.acme.send(conversation("before", "a lamp was sent"))
        self.acme.find("lamp")

    def webhook(self, name, *texts):
        return webhook(self.acme, self.endpoint, name, *texts)

    def test_events_are_accepted_while_the_database_is_away_and_take_effect_when_it_is_back(self):
        POSTGRES.kill()
        try:
            for i in range(20):
                self.assertEqual(self.webhook(f"w{i}", f"accepted{i} meanwhile")[0], 202)
            status, answer, _ = self.acme.call("GET", "/v1/conversations")
            self.assertEqual(status, 503, answer)
            self.assertTrue(answer["retryable"])
            self.assertGreater(metric(self.server, "samtale_accept_backlog_bytes"), 0)
        finally:
            POSTGRES.start()

        for i in range(20):
            self.assertEqual(self.acme.find(f"accepted{i}")[0]["external_id"], f"w{i}")
        self.assertEqual(self.acme.call("GET", "/v1/dead-letters")[1]["dead_letters"], [])

    def test_a_database_that_stands_still_holds_nobody_longer_than_its_timeout(self):
        # A quota cannot be looked up meanwhile, and readers wait for what does not come.
        self.acme = self.server.company("limited", "--conversations-max", "100")
        self.endpoint = self.acme.endpoint()
        POSTGRES.stand_still()
        readers = [threading.Thread(target=self.acme.call, args=("GET", "/v1/conversations"))
                   for _ in range(6)]
        try:
            for reader in readers:
                reader.start()
            time.sleep(0.2)  # Until they are held; more time would change nothing.
            begin = time.monotonic()
            self.assertEqual(self.webhook("s1", "accepted while it stood still")[0], 202)
            self.assertLess(time.monotonic() - begin, 5)
            status, answer, _ = self.acme.call("GET", "/v1/conversations")
            self.assertEqual(status, 503, answer)
            self.assertLess(time.monotonic() - begin, 40)
        finally:
            POSTGRES.go_on()
            for reader in readers:
                reader.join()

        self.assertEqual(self.acme.find("stood")[0]["external_id"], "s1")


class SeveralServersTest(unittest.TestCase):
    def setUp(self):
        self.flags = schema("several_" + self._testMethodName[-12:])
        self.one, self.two = (Server(*self.flags).__enter__() for _ in range(2))
        self.addCleanup(self.one.__exit__)
        self.addCleanup(self.two.__exit__)
        self.acme = self.one.company("acme")
        self.at_two = self.acme.at(self.two)

    def test_what_came_in_at_one_is_found_read_and_deleted_at_the_other(self):
        canary = "zxcanary7 was said at the first"
        self.acme.send(conversation("c1", canary))
        hit = self.at_two.find("zxcanary7")[0]
        self.assertEqual(hit["external_id"], "c1")
        status, read, _ = self.at_two.call("GET", "/v1/conversations/" + hit["id"])
        self.assertEqual((status, read["turns"][0]["text"]), (200, canary))

        self.assertEqual(self.at_two.call("DELETE", "/v1/conversations/" + hit["id"])[0], 200)

        wait_for("the first to forget it", lambda: not self.acme.search("zxcanary7", "keyword"))
        self.assertEqual(self.acme.call("GET", "/v1/conversations/" + hit["id"])[0], 404)
        for server in (self.one, self.two):
            wait_for("the raw event to leave the disk", lambda: not any(
                b"zxcanary7" in data for _, data in server.bytes_of_all_files()))

    def test_a_key_of_one_is_known_at_the_other_and_revoked_there_soon(self):
        self.assertEqual(self.at_two.call("GET", "/v1/status")[0], 200)
        listed = self.one.cli("key", "list", "--company", "acme")
        key = next(iter(listed["keys"]))["id"]

        self.one.cli("key", "revoke", key, "--company", "acme")

        wait_for("the key's end", lambda: self.at_two.call("GET", "/v1/status")[0] == 401)

    def test_the_same_event_at_both_takes_effect_once(self):
        endpoint = self.acme.endpoint()
        for company in (self.acme, self.at_two):
            self.assertEqual(webhook(company, endpoint, "twice", "twiceword")[0], 202)

        self.acme.find("twiceword")
        wait_for("both to be applied", lambda: not any(
            metric(server, "samtale_accept_backlog_bytes") for server in (self.one, self.two)))
        found = self.acme.call("GET", "/v1/conversations?external_id=twice")[1]["conversations"]
        self.assertEqual([one["revision"] for one in found], [1])

    def test_what_one_has_left_undone_at_its_death_the_other_does(self):
        for i in range(200):
            self.acme.send(conversation(f"d{i}", f"deathword{i}"))
        self.one.kill()
        self.at_two.send(conversation("later", "laterword"))
        self.at_two.find("laterword")

        self.one.start()

        for i in range(0, 200, 20):
            self.assertEqual(self.at_two.find(f"deathword{i}")[0]["external_id"], f"d{i}")
        wait_for("all", lambda: self.at_two.call("GET", "/v1/status")[1]["conversations"] == 201)
        wait_for("all vectors", lambda: self.at_two.call("GET", "/v1/status")[1]
                 ["chunks_without_vector"] == 0)


if __name__ == "__main__":
    unittest.main()
