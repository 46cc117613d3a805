"""Analyses by a language model, on the real binary and a real server that plays each fault."""
import json
import os
import random
import re
import threading
import time
import unittest
import urllib.request

from lm_server import LmServer, QUOTED, by_model, citations, naive_tokens, sent_tokens
from redis_server import Redis
from samtale import Server, conversation, wait_for

TALK = ["My parcel never came and I am very angry", "I am sorry, which order is it?",
        "Order 4711, I ordered it two weeks ago", "I send you a new one today",
        "Fine, thank you, when will it be here?", "On Monday, you get a mail from us"]


def ended(name, *texts, status="ended"):
    return {**conversation(name, *texts), "status": status}


def part_of_rate(server):
    with urllib.request.urlopen(f"http://127.0.0.1:{server.port}/metrics") as answer:
        found = re.search(r"^samtale_lm_rate_part\{.*\} (\S+)$", answer.read().decode(), re.MULTILINE)
    return float(found[1])


class AnalysesTest(unittest.TestCase):
    def test_six_analyses_are_one_request_and_cite_what_was_said(self):
        with LmServer() as lm, Server(*lm.settings()) as server:
            acme = server.company("acme")
            made = by_model(acme, acme.send(ended("c1", *TALK)))

            self.assertEqual(len(lm.requests()), 1)
            for name, analysis in made.items():
                cited = list(citations(analysis["result"]))
                self.assertTrue(cited, name)
                for citation in cited:
                    self.assertIn(citation["quote"], TALK[citation["turn"]])
            sent = sent_tokens(lm.requests()[0])
            naive = naive_tokens(lm.requests()[0]["messages"][1]["content"], lm.requests()[0])
            self.assertLess(sent, 0.4 * naive)

    def test_a_turn_more_in_a_long_conversation_does_not_send_it_again(self):
        settings = {"analyze.segment_tokens": 600}
        talk = [f"{text}, and this is the turn with number {i} of all"
                for i, text in zip(range(200), TALK * 40)]
        with LmServer() as lm, Server(*lm.settings(**settings)) as server:
            acme = server.company("acme")
            for name in QUOTED:
                acme.call("PUT", "/v1/analyzers/" + name, {"trigger": {"on": "turn", "quiet_s": 0}})
            c1 = acme.send(ended("c1", *talk, status="open"))
            by_model(acme, c1)
            before = len(lm.requests())

            acme.send(ended("c1", *talk, "Thank you, this was the last of it", status="open"))
            wait_for("the second revision", lambda: len(lm.requests()) > before)
            by_model(acme, c1)

            more = lm.requests()[before:]
            whole = "\n".join(f"[{i}] customer: {text}" for i, text in enumerate(talk))
            naive = naive_tokens(whole, more[-1])
            self.assertLess(sum(map(sent_tokens, more)), 0.1 * naive)

    def test_the_extractive_analyses_stand_while_the_model_is_away(self):
        with LmServer() as lm, Server(*lm.settings(model="503")) as server:
            acme = server.company("acme")
            c1 = acme.send(ended("c1", *TALK))
            made = wait_for("the extractive analyses", lambda: [
                one for one in acme.call("GET", "/v1/conversations/" + c1)[1].get("analyses", [])])
            self.assertEqual({one["method"] for one in made}, {"extractive", "rules"})
            wait_for("a try", lambda: lm.stats()["requests"] >= 1)
            self.assertEqual(acme.call("GET", "/v1/dead-letters")[1]["dead_letters"], [])

            lm.script("503", "ok")

            by_model(acme, c1)

    def test_an_answer_that_stays_wrong_is_never_a_result(self):
        for behaviour in ("wrong-schema", "no-nonce", "foreign-quote", "length", "content-filter"):
            with self.subTest(behaviour), LmServer() as lm, \
                    Server(*lm.settings(model=behaviour)) as server:
                acme = server.company("acme")
                c1 = acme.send(ended("c1", *TALK))

                letters = wait_for("dead letters", lambda: acme.call(
                    "GET", "/v1/dead-letters?limit=10")[1]["dead_letters"])

                self.assertTrue(all(letter["kind"] == "lm" for letter in letters))
                self.assertNotIn("parcel", json.dumps(letters))
                answer = acme.call("GET", "/v1/conversations/" + c1)[1]
                self.assertNotIn("lm", {one["method"] for one in answer["analyses"]})

    def test_an_answer_that_can_be_repaired_is(self):
        for behaviour in ("prose", "broken-json", "length-once", "wrong-schema:1", "500:1",
                          "reset:1", "swapped:1"):
            with self.subTest(behaviour), LmServer() as lm, \
                    Server(*lm.settings(model=behaviour)) as server:
                acme = server.company("acme")

                by_model(acme, acme.send(ended("c1", *TALK)))

    def test_a_spent_budget_stops_all_and_says_so(self):
        with LmServer() as lm, Server(*lm.settings(**{"analyze.tokens_per_day": 12_000})) as server:
            acme, other = server.company("acme"), server.company("other")
            for i in range(40):
                acme.send(ended(f"c{i}", *TALK, f"And this is number {i}"))

            stopped = wait_for("the end of the budget", lambda: acme.call(
                "GET", "/v1/analyses/usage")[1]["stopped"])
            self.assertIn("budget for language models of 12000 tokens a day", stopped[0])

            def budget():
                return acme.call("GET", "/v1/analyses/usage")[1]["budgets"][0]
            # What was held for requests that cost less is spent by those that waited for it.
            wait_for("a budget half spent", lambda: budget()["spent_tokens"] > 6_000)
            wait_for("jobs that wait", lambda: any(
                kind["kind"] == "lm" and kind["delayed"] > 0
                for kind in acme.call("GET", "/v1/jobs")[1]["kinds"]))

            stats = lm.stats()
            self.assertLessEqual(stats["tokens_in"] + stats["tokens_out"], 12_000)
            self.assertLessEqual(budget()["spent_tokens"], 12_000)
            by_model(other, other.send(ended("c1", *TALK)))  # Others go on.
            self.assertEqual(other.call("GET", "/v1/analyses/usage")[1]["stopped"], [])

    def test_kill_9_in_the_middle_leads_past_no_budget(self):
        chance = random.Random(os.environ.get("SAMTALE_SEED", "1"))
        limit, count, kills = 200_000, 240, 2
        with LmServer("--latency-ms", "50") as lm, \
                Server(*lm.settings(**{"analyze.tokens_per_day": limit})) as server:
            acme = server.company("acme")

            def send(first):
                for i in range(first, count, 8):
                    acme.send(ended(f"c{i}", *TALK, f"And this is number {i}"))
            threads = [threading.Thread(target=send, args=(first,)) for first in range(8)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            for _ in range(kills):
                wanted = lm.stats()["answered"] + chance.randrange(3, 15)

                def is_in_the_middle():
                    stats = lm.stats()
                    return stats["answered"] >= wanted and stats["concurrent"] > 0
                wait_for("requests under way", is_in_the_middle)
                server.kill()
                server.start()

            def jobs(kind):
                return next(one for one in acme.call("GET", "/v1/jobs")[1]["kinds"]
                            if one["kind"] == kind)
            wait_for("the extractive analyses", lambda: not any(
                jobs("analyze")[state] for state in ("ready", "delayed", "leased")))
            wait_for("an end of what is sent", lambda: jobs("lm")["ready"] + jobs("lm")["leased"] == 0)
            usage, stats = acme.call("GET", "/v1/analyses/usage")[1], lm.stats()
            today = next(one for one in usage["budgets"]
                         if one["analyzer"] is None and one["period"] == "day")
            booked = sum(day["tokens"] for day in usage["days"])
            billed = stats["tokens_in"] + stats["tokens_out"]

            self.assertGreater(jobs("lm")["delayed"], 0)  # They wait for another day.
            self.assertEqual(today["spent_tokens"], booked)
            # No request costs more here than is reserved for it, so that nothing passes the limit:
            # what was on its way when the process died is billed, and stays held.
            self.assertLessEqual(booked, billed)
            self.assertLessEqual(billed, booked + today["held_tokens"])
            self.assertLessEqual(booked + today["held_tokens"], limit)

    def test_what_was_deleted_is_in_no_file_and_no_answer(self):
        with LmServer() as lm, Server(*lm.settings()) as server:
            acme = server.company("acme")
            c1 = acme.send(ended("c1", "The canarybird4711 is angry", *TALK))
            by_model(acme, c1)
            self.assertTrue(any(b"canarybird4711" in data
                                for _, data in server.bytes_of_all_files()))

            self.assertEqual(acme.call("DELETE", "/v1/conversations/" + c1)[0], 200)

            wait_for("the bytes' end", lambda: not any(
                b"canarybird4711" in data for _, data in server.bytes_of_all_files()))

    def test_personal_data_is_masked_on_its_way_out_and_back_in_the_result(self):
        texts = ["I am Ida Holm, write to ida.holm@example.dk", "Thank you", "Call +45 12 34 56 78"]
        with LmServer() as lm, Server(*lm.settings(**{"analyze.mask_pii": "true"})) as server:
            acme = server.company("acme")
            sent = ended("c1", *texts)
            sent["turns"][0]["name"] = "Ida Holm"
            made = by_model(acme, acme.send(sent))

            asked = json.dumps(lm.requests())
            for secret in ("Ida Holm", "ida.holm", "12 34 56 78"):
                self.assertNotIn(secret, asked)
            quotes = {cited["quote"] for one in made.values() for cited in citations(one["result"])}
            self.assertTrue(any("ida.holm@example.dk" in quote for quote in quotes), quotes)

    def test_nothing_is_sent_while_the_provider_asks_for_rest(self):
        with LmServer("--retry-after", "1", "--grace-ms", "50") as lm, \
                Server(*lm.settings(model="429-wait:5")) as server:
            acme = server.company("acme")
            ids = [acme.send(ended(f"c{i}", *TALK, f"And this is number {i}")) for i in range(30)]

            for one in ids:
                by_model(acme, one)

            self.assertGreater(lm.stats()["by_status"]["429"], 0)
            self.assertEqual(lm.stats()["in_retry_after"], 0)


    def test_a_rate_that_the_provider_tells_is_kept(self):
        with LmServer("--rpm", "600") as lm, Server(*lm.settings()) as server:
            acme = server.company("acme")
            ids = [acme.send(ended(f"c{i}", *TALK, f"And this is number {i}")) for i in range(40)]

            for one in ids:
                by_model(acme, one)

            self.assertEqual(lm.stats()["by_status"].get("429", 0), 0)

    def test_nodes_divide_an_account_and_one_that_dies_leaves_its_part(self):
        with LmServer("--rpm", "600") as lm, Redis() as redis:
            flags = lm.settings() + redis.settings() + ["--set", "http.metrics=open"]
            with Server(*flags) as one, Server(*flags) as other:
                def parts():
                    return [part_of_rate(server) for server in (one, other)]

                wait_for("equal parts", lambda: parts() == [0.5, 0.5])
                acme, globex = one.company("acme"), other.company("globex")
                for i in range(100):
                    acme.send(ended(f"c{i}", *TALK, f"And this is number {i}"))
                wait_for("the busy one's part", lambda: parts()[0] > 0.8)
                sent = globex.send(ended("only", *TALK))
                by_model(globex, sent)

                other.kill()
                wait_for("all of it", lambda: part_of_rate(one) == 1)
                self.assertEqual(lm.stats()["by_status"].get("429", 0), 0)


class BackfillTest(unittest.TestCase):
    def test_kill_9_in_the_middle_loses_and_doubles_nothing_not_even_cost(self):
        chance = random.Random(os.environ.get("SAMTALE_SEED", "1"))
        count, kills = 120, 5
        with LmServer("--latency-ms", "20") as lm, Server() as server:
            acme = server.company("acme")
            ids = [acme.send(ended(f"c{i}", *TALK, f"And this is number {i}"))
                   for i in range(count)]
            wait_for("the extractive analyses", lambda: acme.call(
                "GET", "/v1/conversations/" + ids[-1])[1].get("analyses"))
            server.stop()
            server.flags = lm.settings(**{"analyze.workers": 4})
            server.start()
            status, backfill, _ = acme.call("POST", "/v1/backfills", {})
            self.assertEqual((status, backfill["total"]), (201, count))
            for _ in range(kills):
                had, wanted = lm.stats()["answered"], chance.randrange(3, 20)
                wait_for("some answers", lambda: lm.stats()["answered"] >= had + wanted)
                server.kill()
                server.start()

            for one in ids:
                by_model(acme, one)
            wait_for("its end", lambda: acme.call(
                "GET", "/v1/backfills/" + backfill["id"])[1]["state"] == "done")
            wait_for("an empty queue", lambda: all(
                kind["ready"] + kind["delayed"] + kind["leased"] == 0
                for kind in acme.call("GET", "/v1/jobs")[1]["kinds"]))

            days = acme.call("GET", "/v1/analyses/usage")[1]["days"]
            stats = lm.stats()
            # The server bills a request once, however often it comes under its Idempotency-Key.
            self.assertEqual(sum(day["tokens"] for day in days),
                             stats["tokens_in"] + stats["tokens_out"])
            self.assertEqual(acme.call("GET", "/v1/dead-letters")[1]["dead_letters"], [])

    def test_by_batches_kill_9_loses_and_doubles_nothing_either(self):
        chance = random.Random(os.environ.get("SAMTALE_SEED", "1"))
        count, kills = 60, 5
        batches = {"analyze.batch": "true", "analyze.batch_poll_ms": 100,
                   "analyze.batch_window_ms": 30_000}
        with LmServer("--batch-seconds", "0.3") as lm, Server() as server:
            acme = server.company("acme")
            ids = [acme.send(ended(f"c{i}", *TALK, f"And this is number {i}"))
                   for i in range(count)]
            wait_for("the extractive analyses", lambda: acme.call(
                "GET", "/v1/conversations/" + ids[-1])[1].get("analyses"))
            server.stop()
            server.flags = lm.settings(**batches)
            server.start()
            path = "/v1/backfills/" + acme.call("POST", "/v1/backfills", {})[1]["id"]
            wait_for("a batch", lambda: lm.stats()["batches"] > 0)
            for _ in range(kills):
                time.sleep(chance.uniform(0, 0.4))
                server.kill()
                server.start()

            for one in ids:
                by_model(acme, one)
            wait_for("an empty queue", lambda: all(
                kind["ready"] + kind["delayed"] + kind["leased"] == 0
                for kind in acme.call("GET", "/v1/jobs")[1]["kinds"]))
            self.assertEqual(acme.call("GET", path)[1]["waiting"], 0)

            days = acme.call("GET", "/v1/analyses/usage")[1]["days"]
            stats = lm.stats()
            by_batch = stats["batch_tokens_in"] + stats["batch_tokens_out"]
            self.assertGreater(by_batch, 0)
            self.assertEqual(sum(day["tokens"] for day in days),
                             by_batch + stats["tokens_in"] + stats["tokens_out"])
            self.assertEqual(acme.call("GET", "/v1/dead-letters")[1]["dead_letters"], [])

    def test_a_batch_that_is_late_is_asked_one_by_one(self):
        late = {"analyze.batch": "true", "analyze.batch_poll_ms": 100,
                "analyze.batch_window_ms": 2_000}
        with LmServer("--batch-seconds", "600") as lm, Server() as server:
            acme = server.company("acme")
            c1 = acme.send(ended("c1", *TALK))
            wait_for("the extractive analyses", lambda: acme.call(
                "GET", "/v1/conversations/" + c1)[1].get("analyses"))
            server.stop()
            server.flags = lm.settings(**late)
            server.start()
            acme.call("POST", "/v1/backfills", {})
            wait_for("a batch", lambda: lm.stats()["batches"] == 1)
            self.assertEqual(lm.stats()["requests"], 0)

            by_model(acme, c1)

            self.assertEqual(lm.stats()["requests"], 1)

    def test_pauses_and_goes_on(self):
        with LmServer("--latency-ms", "50") as lm, Server() as server:
            acme = server.company("acme")
            ids = [acme.send(ended(f"c{i}", *TALK, f"And this is number {i}"))
                   for i in range(300)]
            wait_for("the extractive analyses", lambda: acme.call(
                "GET", "/v1/conversations/" + ids[-1])[1].get("analyses"))
            server.stop()
            server.flags = lm.settings()
            server.start()
            path = "/v1/backfills/" + acme.call("POST", "/v1/backfills", {})[1]["id"]

            self.assertEqual(acme.call("POST", path + "/pause")[1]["state"], "paused")
            wait_for("what was asked for already", lambda: acme.call("GET", path)[1]["waiting"] == 0)
            stood = lm.stats()["requests"]
            self.assertLess(stood, 300)
            self.assertEqual(acme.call("POST", path + "/resume")[1]["state"], "running")
            wait_for("every page", lambda: acme.call("GET", path)[1]["state"] == "done")
            wait_for("every job", lambda: acme.call("GET", path)[1]["waiting"] == 0)
            by_model(acme, ids[0])
            by_model(acme, ids[-1])


class TenantsTest(unittest.TestCase):
    def test_no_prompt_and_no_answer_holds_anothers_word(self):
        with LmServer() as lm, Server(*lm.settings()) as server:
            companies = [server.company(f"company{i}") for i in range(4)]
            ids = {}

            def send(company):
                ids[company.name] = [
                    company.send(ended("same", f"canary{company.name} says", *TALK, str(i)))
                    if i == 0 else company.send(ended(f"c{i}", f"canary{company.name} says", *TALK))
                    for i in range(10)]
            threads = [threading.Thread(target=send, args=(company,)) for company in companies]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            for company in companies:
                for one in ids[company.name]:
                    made = json.dumps(by_model(company, one))
                    for other in companies:
                        if other is not company:
                            self.assertNotIn("canary" + other.name, made)
            for request in lm.requests():
                said = json.dumps(request)
                self.assertEqual(sum("canary" + company.name in said for company in companies), 1)


if __name__ == "__main__":
    unittest.main()
