// What the routes of analyses answer (docs/http-api.md). A `result` was written by a model, by rules or by
// a person: findings.ts reads it, and nothing else trusts its shape.

// What somebody said, in the turn it was said in (from 0).
export interface Evidence {
  turn: number;
  quote: string;
}

// What a person says of an analysis, beside what the machine said.
export interface Override {
  result: unknown;
  by: string; // Id of a key, or "operator".
  note?: string;
  made_at: string;
  revision: number;
  score?: number | null;
}

export interface Analysis {
  analyzer: string;
  version: number;
  method: string; // "lm", "extractive" or "rules"
  revision: number; // Of the conversation that was read.
  created_at: string;
  labels: string[];
  score?: number | null;
  result: unknown;
  override?: Override | null;
}

export interface Question {
  id: string;
  text: string;
  max: number;
  weight: number;
}

export interface Trigger {
  on: string;
  tag?: string;
  quiet_s?: number;
  every_s?: number;
}

export interface BudgetLimits {
  tokens_per_day?: number;
  tokens_per_month?: number;
  usd_per_day?: number;
  usd_per_month?: number;
}

export type Definition = Record<string, unknown>;

export interface Analyzer {
  name: string;
  kind: string;
  version: number;
  shipped: boolean; // As shipped: not changed by the company.
  by?: string | null; // What makes it on this server now: as Analysis.method.
  description?: string;
  taxonomy?: string[];
  questions?: Question[];
  trigger: Trigger;
  priority: string;
  sample?: number;
  active: boolean;
}

export interface AnalyzerWithVersions extends Analyzer {
  versions: Analyzer[]; // The company's own, oldest first.
}

export interface AnalysisSettings {
  budget: BudgetLimits;
  mask_pii: boolean;
  mask_names: string[];
  language: string;
}

export interface BudgetState {
  analyzer: string | null; // Null: of the company.
  period: "day" | "month";
  limit_tokens?: number | null;
  limit_usd?: number | null;
  spent_tokens: number;
  spent_usd: number;
  held_tokens: number;
  held_usd: number;
  is_spent: boolean;
}

export interface UsageDay {
  day: string;
  analyzer: string;
  tokens: number;
  usd: number;
  requests: number;
}

export interface Usage {
  from: string;
  to: string;
  stopped: string[]; // Why analyses wait for another day.
  days: UsageDay[];
  budgets: BudgetState[];
}

export interface Estimate {
  conversations: number;
  analyses: number;
  input_tokens: number;
  output_tokens: number;
  usd: number;
  sampled: number;
}

export interface BackfillFilter {
  analyzers?: string[];
  from?: string;
  to?: string;
  channel?: string;
  source?: string;
}

export interface Backfill {
  id: string;
  state: string; // "running", "paused", "done" or "cancelled"
  filter: BackfillFilter;
  total: number;
  seen: number;
  asked: number;
  waiting: number; // Analyses of the company that wait, whoever asked for them.
  estimate?: Partial<Estimate>;
  created_at: string;
  updated_at: string;
}

export type BackfillAction = "pause" | "resume" | "cancel";
