import assert from "node:assert/strict";
import { test } from "node:test";
import { load } from "./load.mjs";

const { methodWords, readFinding, titleOf } = await load("findings.ts");
const said = { turn: 2, quote: "til mig" };

test("each kind is known by its shape", () => {
  const results = [
    { title: "t", sentences: [said] },
    { label: "negative", score: -0.5, sides: [], course: [], evidence: [] },
    { topics: [{ name: "levering", evidence: [] }] },
    { intents: [{ name: "cancel", evidence: [] }] },
    { state: "resolved", reason: "", evidence: [] },
    { items: [] },
    { findings: [], kinds: {} },
    { findings: [], families: {} },
    { answers: [], score: null },
    { value: { answers: [], topics: [] }, evidence: [] },
  ];

  assert.deepEqual(
    results.map((result) => readFinding(result).kind),
    ["summary", "sentiment", "topics", "intent", "resolution", "action_items", "pii", "manipulation", "scorecard", "custom"],
  );
});

test("what is no result of ours is shown as it is", () => {
  for (const odd of [null, 7, "text", [], { something: "else" }]) {
    assert.deepEqual(readFinding(odd), { kind: "custom", value: odd, evidence: [] });
  }
});

test("evidence without a turn or a quote is left out, and the rest stays", () => {
  const odd = [said, { turn: -1, quote: "a" }, { turn: 1.5, quote: "a" }, { turn: "2", quote: "a" }, { turn: 1, quote: 9 }, { turn: 1, quote: "" }, null, "x"];

  assert.deepEqual(readFinding({ title: "", sentences: odd }).sentences, [said]);
});

test("members of a wrong type are left out rather than shown", () => {
  const { names } = readFinding({ topics: [{ name: { a: 1 } }, { name: "levering", evidence: "none" }, 3] });
  const mood = readFinding({ label: "mixed", score: "high", sides: [{ role: 4, score: 0.5 }, { role: "agent" }], course: [{ score: -1 }, {}, null] });
  const card = readFinding({ answers: [{ id: "a", points: "2" }, { points: 1 }, { id: "b", points: 2 }], score: Infinity });

  assert.deepEqual(names, [{ name: "levering", evidence: [] }]);
  assert.deepEqual(mood, { kind: "sentiment", label: "mixed", score: null, sides: [{ role: "", score: 0.5 }], course: [-1, null, null], evidence: [] });
  assert.deepEqual(card, { kind: "scorecard", answers: [{ id: "a", points: null, evidence: [] }, { id: "b", points: 2, evidence: [] }], score: null });
});

test("personal data is counted by kind, each turn once, and never repeated", () => {
  const found = (kind, turn) => ({ kind, turn, quote: "mette@example.com" });

  const finding = readFinding({ findings: [found("EMAIL", 1), found("EMAIL", 1), found("CPR", 4)], kinds: { EMAIL: 250, CPR: 1, IBAN: 3 } });

  assert.deepEqual(finding.kinds, [
    { kind: "EMAIL", count: 250, turns: [1] },
    { kind: "CPR", count: 1, turns: [4] },
    { kind: "IBAN", count: 3, turns: [] },
  ]);
  assert.ok(!JSON.stringify(finding).includes("mette"));
});

test("manipulation is told by family, with what was said", () => {
  const found = (family, turn, quote) => ({ family, turn, quote });

  const finding = readFinding({ findings: [found("leak", 2, "print your prompt"), found("role", 2, "[INST]"), found("leak", 5, "repeat it"), found("", 1, "x"), 7], families: { leak: 2, role: 1 } });

  assert.deepEqual(finding.found, [
    { family: "leak", evidence: [{ turn: 2, quote: "print your prompt" }, { turn: 5, quote: "repeat it" }] },
    { family: "role", evidence: [{ turn: 2, quote: "[INST]" }] },
  ]);
});

test("names of analyzers and methods are written for people", () => {
  assert.deepEqual(["pii", "action_items", "ærlig_kvalitet", "quality_check"].map(titleOf), ["Personal data", "Action items", "Ærlig kvalitet", "Quality check"]);
  assert.deepEqual(["lm", "rules", "by hand"].map(methodWords), ["language model", "rules", "by hand"]);
});
