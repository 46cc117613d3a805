import assert from "node:assert/strict";
import { test } from "node:test";
import { load } from "./load.mjs";

const { RateHistory } = await load("rates.ts");

test("a rate is the growth between two readings", () => {
  const history = new RateHistory(60_000);

  history.add(0, 100);
  history.add(2000, 130);
  history.add(4000, 130);

  assert.deepEqual(history.points.map(({ perSecond }) => perSecond), [15, 0]);
  assert.equal(history.now, 0);
  assert.equal(history.max, 15);
});

test("a pause or a restarted server is a gap, not a rate", () => {
  const history = new RateHistory(600_000);

  history.add(0, 100);
  history.add(60_000, 900);
  history.add(62_000, 5);
  history.add(64_000, 7);

  assert.deepEqual(history.points.map(({ perSecond }) => perSecond), [null, null, 1]);
});

test("readings older than what is kept are let go", () => {
  const history = new RateHistory(10_000);

  for (let at = 0; at <= 100_000; at += 2000) history.add(at, at);

  assert.equal(history.points.length, 6);
});
