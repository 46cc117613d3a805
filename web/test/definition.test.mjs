import assert from "node:assert/strict";
import { test } from "node:test";
import { load } from "./load.mjs";

const { mistakesOf, nearest, readDefinition, writeDefinition } = await load("definition.ts");
const around = { name: "x", version: 3, versions: [], shipped: false, by: "lm" };

test("a definition comes back from the form as it went in", () => {
  const definitions = [
    { kind: "summary", trigger: { on: "ended" }, priority: "normal", active: true },
    { kind: "topics", description: "Emner", language: "da", taxonomy: ["levering", "ændring"], discover: false, trigger: { on: "turn", quiet_s: 30 }, priority: "bulk", sample: 0.07, active: false },
    { kind: "scorecard", questions: [{ id: "a", text: "Hilste?", max: 1, weight: 0.5 }], trigger: { on: "tag", tag: "qa" }, priority: "critical", deadline_s: 60, budget: { usd_per_day: 0.5 }, active: true },
    { kind: "custom", instructions: "Find it.", schema: { type: "object" }, novelty: [1], model: "m", trigger: { on: "schedule", every_s: 86400 }, priority: "normal", active: true },
  ];

  for (const definition of definitions) {
    assert.deepEqual(writeDefinition(readDefinition({ ...definition, ...around })), definition);
  }
});

test("what belongs to another kind or trigger is not sent", () => {
  const form = readDefinition({ kind: "topics", taxonomy: ["a"], discover: true, trigger: { on: "tag", tag: "qa" } });

  const sent = writeDefinition({ ...form, kind: "sentiment", questions: [{ id: "q" }], trigger: { on: "ended", tag: "qa", quiet_s: 1, every_s: 2 } });

  assert.deepEqual(sent, { kind: "sentiment", trigger: { on: "ended" }, priority: "normal", active: true });
});

test("each mistake of the server has its pointer and its rule", () => {
  const message = '/trigger/tag: is needed for a trigger on a tag | /budget: /budget/usd_per_day: must be dollars; got "a: b" | /sample: must be a share: more than 0, at most 1 | and 3 more';

  assert.deepEqual(mistakesOf(message), [
    { pointer: "/trigger/tag", rule: "is needed for a trigger on a tag" },
    { pointer: "/budget/usd_per_day", rule: 'must be dollars; got "a: b"' },
    { pointer: "/sample", rule: "must be a share: more than 0, at most 1" },
    { pointer: "", rule: "and 3 more" },
  ]);
});

test("a mistake belongs to its own field, or else to the nearest one around it", () => {
  const fields = ["/trigger", "/trigger/tag", "/questions/1/text", ""];

  assert.equal(nearest("/trigger/tag", fields), "/trigger/tag");
  assert.equal(nearest("/trigger/every_s", fields), "/trigger");
  assert.equal(nearest("/questions/1/text", fields), "/questions/1/text");
  assert.equal(nearest("/questions/10/text", fields), "");
  assert.equal(nearest("/triggers", ["/trigger"]), null);
  assert.equal(nearest("", ["/name"]), null);
});
