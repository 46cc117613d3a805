// Rates from a growing counter, read every now and then.
// Units: time in milliseconds of a monotonic clock; rates per second.

// A longer pause between two readings (hidden tab, another page) is a gap, not a flat line.
const kGapMs = 10_000;

export interface RatePoint {
  at: number;
  perSecond: number | null; // Null: a gap before this reading.
}

export class RateHistory {
  private readonly points_: RatePoint[] = [];
  private last: { at: number; total: number } | null = null;

  constructor(private readonly keptMs: number) {}

  add(at: number, total: number): void {
    const last = this.last;
    this.last = { at, total };
    if (last === null || at <= last.at) return;
    // A total that shrank: the server was started anew.
    const isGap = at - last.at > kGapMs || total < last.total;
    const perSecond = isGap ? null : ((total - last.total) * 1000) / (at - last.at);
    this.points_.push({ at, perSecond });
    while ((this.points_[0]?.at ?? at) < at - this.keptMs) this.points_.shift();
  }

  get points(): readonly RatePoint[] {
    return this.points_;
  }

  get now(): number | null {
    return this.points_.at(-1)?.perSecond ?? null;
  }

  get max(): number {
    return Math.max(0, ...this.points_.map((point) => point.perSecond ?? 0));
  }
}
