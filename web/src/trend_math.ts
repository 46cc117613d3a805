// Counts over time, made ready to be drawn.
// Units: buckets begin on days in UTC, "2026-11-23".
import type { TrendBucket } from "./api";

const kDayMs = 86_400_000;
const kColumnsMax = 400; // More could not be told apart.

function next(day: string, size: string): string {
  const date = new Date(`${day}T00:00:00Z`);
  if (size === "month") date.setUTCMonth(date.getUTCMonth() + 1);
  else date.setTime(date.getTime() + (size === "week" ? 7 : 1) * kDayMs);
  return date.toISOString().slice(0, 10);
}

// With the buckets in which nothing happened, which the server leaves out. As they are if that were too many.
export function filled(buckets: TrendBucket[], size: string): TrendBucket[] {
  const known = new Map(buckets.map((bucket) => [bucket.from, bucket]));
  const last = buckets.at(-1)?.from ?? "";
  const all: TrendBucket[] = [];
  for (let day = buckets[0]?.from ?? ""; day !== "" && day <= last; day = next(day, size)) {
    all.push(known.get(day) ?? { from: day, count: 0, labels: {} });
    if (all.length > kColumnsMax) return buckets;
  }
  return all;
}

export interface LabelTrend {
  label: string;
  total: number;
  counts: number[]; // One a bucket.
}

// Most frequent first.
export function byLabel(buckets: TrendBucket[]): LabelTrend[] {
  const trends = new Map<string, LabelTrend>();
  for (const [at, { labels }] of buckets.entries()) {
    for (const [label, count] of Object.entries(labels)) {
      if (label === "") continue;
      const trend = trends.get(label) ?? { label, total: 0, counts: buckets.map(() => 0) };
      trend.total += count;
      trend.counts[at] = count;
      trends.set(label, trend);
    }
  }
  return [...trends.values()].sort((a, b) => b.total - a.total || a.label.localeCompare(b.label));
}

// From where to where the axis of a score goes: the usual ranges where it fits in one.
export function scoreRange(scores: number[]): { low: number; high: number } {
  const low = Math.min(...scores);
  const high = Math.max(...scores);
  if (low >= 0 && high <= 1) return { low: 0, high: 1 };
  if (low >= -1 && high <= 1) return { low: -1, high: 1 };
  return { low: Math.min(0, low), high: Math.max(0, high) };
}
