"""Conversations that are written for the model that reads them, before a model that obeys: nothing
leaves the schema, nothing is fetched, nothing of another conversation is in any prompt."""
import json
import os
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
from injections import injections
from lm_server import LmServer, QUOTED, by_model, citations
from samtale import Server, conversation, wait_for

SCORECARD = {"kind": "scorecard", "questions": [{"id": "greets", "text": "Greeted?", "max": 5}]}
MEMBERS = {"summary": {"title", "text", "sentences"}, "topics": {"topics"}, "intent": {"intents"},
           "sentiment": {"label", "score", "sides", "course", "evidence"},
           "resolution": {"state", "reason", "evidence"}, "action_items": {"items"},
           "quality": {"answers", "score"}}


class InjectionTest(unittest.TestCase):
    def run_all(self, behaviour):
        lm = self.enterContext(LmServer())
        server = self.enterContext(Server(*lm.settings(model=behaviour)))
        acme = server.company("acme")
        self.assertEqual(acme.call("PUT", "/v1/analyzers/quality", SCORECARD)[0], 200)
        attacks = injections(f"http://127.0.0.1:{lm.port}/fetched")
        self.assertGreaterEqual(len(attacks), 300)
        said = {}
        for i, (name, text) in enumerate(attacks):
            talk = {**conversation(name, f"My order canary{i}x is late", "I am sorry", text),
                    "status": "ended"}
            said[acme.send(talk)] = (i, [turn["text"] for turn in talk["turns"]])
        return lm, acme, said

    def check_prompts(self, lm, count):
        seen = set()
        for request in lm.requests():
            transcript = request["messages"][1]["content"]
            canaries = {word for word in transcript.split() if word.startswith("canary")}
            self.assertEqual(len(canaries), 1, transcript)
            seen |= canaries
            # Three turns are three lines, whatever they hold.
            self.assertEqual(transcript.count("\n"), 3, transcript)
            self.assertFalse(any(0xE0000 <= ord(c) <= 0xE0FFF or c in "\u200b\u202e"
                                 for c in transcript))
        self.assertEqual(len(seen), count)
        self.assertEqual(lm.stats()["fetched"], 0)

    def test_a_model_that_obeys_within_the_schema_gives_no_more_than_the_schema(self):
        lm, acme, said = self.run_all("echo-inside")
        for one, (_, texts) in said.items():
            for name, analysis in by_model(acme, one, (*QUOTED, "quality")).items():
                result = analysis["result"]
                self.assertEqual(set(result), MEMBERS[name], name)
                for cited in citations(result):
                    self.assertIn(cited["quote"], texts[cited["turn"]])
                if analysis.get("score") is not None:
                    self.assertTrue(-1 <= analysis["score"] <= 1)
        self.check_prompts(lm, len(said))
        _, trends, _ = acme.call("GET", "/v1/analyses/trends?analyzer=manipulation")
        self.assertEqual(sum(bucket["labels"]["suspected"] for bucket in trends["buckets"]),
                         len(said), "each is flagged for people")

    def test_a_model_that_leaves_the_schema_gives_nothing(self):
        lm, acme, said = self.run_all("echo")

        def settled():
            kinds = acme.call("GET", "/v1/jobs")[1]["kinds"]
            return all(kind["ready"] + kind["delayed"] + kind["leased"] == 0 for kind in kinds)
        wait_for("every request's end", lambda: settled() and len(lm.requests()) >= len(said))

        for one in said:
            answer = acme.call("GET", "/v1/conversations/" + one)[1]
            for analysis in answer["analyses"]:
                if analysis["method"] == "lm":  # It did not see that it was asked for something.
                    self.assertEqual(set(analysis["result"]), MEMBERS[analysis["analyzer"]])
                    self.assertNotIn("system_prompt", json.dumps(analysis["result"]))
        letters = acme.call("GET", "/v1/dead-letters?limit=200")[1]["dead_letters"]
        self.assertGreater(len(letters), 100)
        self.assertNotIn("canary", json.dumps(letters))
        self.check_prompts(lm, len(said))


if __name__ == "__main__":
    unittest.main()
