// What was spent of a budget, and until when it stops. Days and months are UTC, as the server counts them.
import type { BudgetState, UsageDay } from "./analysis_types";

export interface Meter {
  unit: "tokens" | "usd";
  spent: number;
  held: number; // Reserved for requests that are on their way.
  limit: number;
  spentShare: number; // Of the limit; 0 to 1.
  heldShare: number; // Beside it; with it at most 1.
}

function meter(unit: Meter["unit"], spent: number, held: number, limit: number | null | undefined): Meter | null {
  if (limit === null || limit === undefined) return null;
  const share = (value: number): number => (limit <= 0 ? 1 : Math.min(1, Math.max(0, value / limit)));
  const spentShare = share(spent);
  return { unit, spent, held, limit, spentShare, heldShare: Math.min(1 - spentShare, share(held)) };
}

export function metersOf(budget: BudgetState): Meter[] {
  return [
    meter("tokens", budget.spent_tokens, budget.held_tokens, budget.limit_tokens),
    meter("usd", budget.spent_usd, budget.held_usd, budget.limit_usd),
  ].filter((one) => one !== null);
}

// When the next period begins.
export function stoppedUntil(period: BudgetState["period"], now: Date): Date {
  const year = now.getUTCFullYear();
  const month = now.getUTCMonth();
  return new Date(period === "month" ? Date.UTC(year, month + 1, 1) : Date.UTC(year, month, now.getUTCDate() + 1));
}

export interface Spending {
  name: string;
  tokens: number;
  usd: number;
  requests: number;
}

// Added up by analyzer or by day; `key` says which.
export function sums(days: UsageDay[], key: "analyzer" | "day"): Spending[] {
  const all = new Map<string, Spending>();
  for (const day of days) {
    const sum = all.get(day[key]) ?? { name: day[key], tokens: 0, usd: 0, requests: 0 };
    sum.tokens += day.tokens;
    sum.usd += day.usd;
    sum.requests += day.requests;
    all.set(sum.name, sum);
  }
  const list = [...all.values()];
  return key === "day" ? list.sort((a, b) => (a.name < b.name ? -1 : 1)) : list.sort((a, b) => b.tokens - a.tokens);
}

// The first and last day of the month that is `back` months before the one of `now`.
export function monthOf(now: Date, back: number): { from: string; to: string } {
  const day = (month: number, date: number): string =>
    new Date(Date.UTC(now.getUTCFullYear(), month, date)).toISOString().slice(0, 10);
  const month = now.getUTCMonth() - back;
  return { from: day(month, 1), to: day(month + 1, 0) };
}
