import assert from "node:assert/strict";
import { test } from "node:test";
import { load } from "./load.mjs";

const { byLabel, filled, scoreRange } = await load("trend_math.ts");
const bucket = (from, labels = {}) => ({ from, count: 1, labels });
const days = (buckets) => buckets.map(({ from }) => from);

test("buckets in which nothing happened are filled in, whatever their size", () => {
  assert.deepEqual(days(filled([bucket("2026-02-27"), bucket("2026-03-02")], "day")), ["2026-02-27", "2026-02-28", "2026-03-01", "2026-03-02"]);
  assert.deepEqual(days(filled([bucket("2026-12-21"), bucket("2027-01-04")], "week")), ["2026-12-21", "2026-12-28", "2027-01-04"]);
  assert.deepEqual(days(filled([bucket("2026-11-01"), bucket("2027-02-01")], "month")), ["2026-11-01", "2026-12-01", "2027-01-01", "2027-02-01"]);
  assert.deepEqual(filled([bucket("2026-02-27", { a: 2 })], "day"), [bucket("2026-02-27", { a: 2 })]);
  assert.deepEqual(filled([], "day"), []);
});

test("a gap of many years is not filled", () => {
  const far = [bucket("1970-01-01"), bucket("2026-01-01")];

  assert.deepEqual(filled(far, "day"), far);
});

test("labels are counted in each bucket, the most frequent first", () => {
  const trends = byLabel([bucket("a", { faktura: 1, "ændring": 2 }), bucket("b"), bucket("c", { faktura: 4, "": 9 })]);

  assert.deepEqual(trends, [
    { label: "faktura", total: 5, counts: [1, 0, 4] },
    { label: "ændring", total: 2, counts: [2, 0, 0] },
  ]);
});

test("a score is drawn in its usual range where it fits in one", () => {
  assert.deepEqual(scoreRange([0.2, 0.9]), { low: 0, high: 1 });
  assert.deepEqual(scoreRange([-0.2, 0.9]), { low: -1, high: 1 });
  assert.deepEqual(scoreRange([20, 87]), { low: 0, high: 87 });
  assert.deepEqual(scoreRange([-3, -2]), { low: -3, high: 0 });
});
