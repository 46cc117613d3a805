import assert from "node:assert/strict";
import { test } from "node:test";
import { load } from "./load.mjs";

const { metersOf, monthOf, stoppedUntil, sums } = await load("spending.ts");
const budget = (more) => ({ analyzer: null, period: "day", spent_tokens: 0, spent_usd: 0, held_tokens: 0, held_usd: 0, is_spent: false, ...more });

test("there is a meter for each limit, and none without", () => {
  assert.deepEqual(metersOf(budget({ spent_tokens: 5 })), []);
  assert.deepEqual(metersOf(budget({ limit_tokens: null, limit_usd: null })), []);
  assert.deepEqual(metersOf(budget({ limit_tokens: 100, limit_usd: 2 })).map(({ unit }) => unit), ["tokens", "usd"]);
});

test("what is spent and what is reserved never fill more than the meter", () => {
  const shares = (spent_tokens, held_tokens, limit_tokens) => {
    const [{ spentShare, heldShare }] = metersOf(budget({ spent_tokens, held_tokens, limit_tokens }));
    return [spentShare, heldShare];
  };

  assert.deepEqual(shares(25, 50, 100), [0.25, 0.5]);
  assert.deepEqual(shares(75, 50, 100), [0.75, 0.25]);
  assert.deepEqual(shares(175, 50, 100), [1, 0]);
  assert.deepEqual(shares(0, 0, 0), [1, 0]);
});

test("a spent budget begins anew with the next day or month in UTC", () => {
  const late = new Date("2026-12-31T23:30:00Z");

  assert.equal(stoppedUntil("day", late).toISOString(), "2027-01-01T00:00:00.000Z");
  assert.equal(stoppedUntil("month", new Date("2026-02-03T05:00:00Z")).toISOString(), "2026-03-01T00:00:00.000Z");
  assert.equal(stoppedUntil("month", late).toISOString(), "2027-01-01T00:00:00.000Z");
});

test("months are whole ones in UTC, also across a year", () => {
  assert.deepEqual(monthOf(new Date("2026-11-30T23:59:00Z"), 0), { from: "2026-11-01", to: "2026-11-30" });
  assert.deepEqual(monthOf(new Date("2026-03-31T12:00:00Z"), 1), { from: "2026-02-01", to: "2026-02-28" });
  assert.deepEqual(monthOf(new Date("2026-01-15T12:00:00Z"), 1), { from: "2025-12-01", to: "2025-12-31" });
});

test("what was spent is added up by analyzer, the dearest first, and by day in order", () => {
  const days = [
    { day: "2026-11-02", analyzer: "intent", tokens: 10, usd: 0.1, requests: 1 },
    { day: "2026-11-01", analyzer: "summary", tokens: 50, usd: 0.5, requests: 2 },
    { day: "2026-11-02", analyzer: "summary", tokens: 5, usd: 0.25, requests: 3 },
  ];

  assert.deepEqual(sums(days, "analyzer"), [
    { name: "summary", tokens: 55, usd: 0.75, requests: 5 },
    { name: "intent", tokens: 10, usd: 0.1, requests: 1 },
  ]);
  assert.deepEqual(sums(days, "day").map(({ name, tokens }) => [name, tokens]), [["2026-11-01", 50], ["2026-11-02", 15]]);
});
