// A result of an analysis, read by its shape. A person's correction may hold a part of it only, and what
// does not fit is left out rather than believed.
import type { Evidence } from "./analysis_types";

export interface Named {
  name: string;
  evidence: Evidence[];
}

export interface Side {
  role: string;
  score: number;
}

export interface ActionItem {
  text: string;
  owner: string;
  due: string;
  evidence: Evidence[];
}

export interface Answer {
  id: string;
  points: number | null; // Null: does not apply.
  evidence: Evidence[];
}

export interface PiiKind {
  kind: string;
  count: number;
  turns: number[];
}

export type Finding =
  | { kind: "summary"; title: string; text: string; sentences: Evidence[] }
  | { kind: "sentiment"; label: string; score: number | null; sides: Side[]; course: Array<number | null>; evidence: Evidence[] }
  | { kind: "topics" | "intent"; names: Named[] }
  | { kind: "resolution"; state: string; reason: string; evidence: Evidence[] }
  | { kind: "action_items"; items: ActionItem[] }
  | { kind: "pii"; kinds: PiiKind[] }
  | { kind: "manipulation"; found: Array<{ family: string; evidence: Evidence[] }> }
  | { kind: "scorecard"; answers: Answer[]; score: number | null }
  | { kind: "custom"; value: unknown; evidence: Evidence[] };

type Members = Record<string, unknown>;

function members(value: unknown): Members {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Members) : {};
}

const list = (value: unknown): Members[] => (Array.isArray(value) ? value.map(members) : []);
const text = (value: unknown): string => (typeof value === "string" ? value : "");
const numberOf = (value: unknown): number | null => (typeof value === "number" && Number.isFinite(value) ? value : null);
const isTurn = (value: unknown): value is number => Number.isInteger(value) && (value as number) >= 0;

function evidence(value: unknown): Evidence[] {
  return list(value).flatMap(({ turn, quote }) =>
    isTurn(turn) && typeof quote === "string" && quote !== "" ? [{ turn, quote }] : [],
  );
}

function named(value: unknown): Named[] {
  return list(value)
    .map((item) => ({ name: text(item["name"]), evidence: evidence(item["evidence"]) }))
    .filter(({ name }) => name !== "");
}

// The counts are of all that was found; the list of places may have been cut.
function piiKinds(it: Members): PiiKind[] {
  const kinds = new Map<string, PiiKind>();
  const of = (kind: string): PiiKind => {
    const known = kinds.get(kind) ?? { kind, count: 0, turns: [] };
    kinds.set(kind, known);
    return known;
  };
  for (const item of list(it["findings"])) {
    const kind = of(text(item["kind"]));
    kind.count += 1;
    const { turn } = item;
    if (isTurn(turn) && !kind.turns.includes(turn)) kind.turns.push(turn);
  }
  for (const [kind, count] of Object.entries(members(it["kinds"]))) of(kind).count = numberOf(count) ?? of(kind).count;
  return [...kinds.values()].filter(({ kind }) => kind !== "");
}

function byFamily(findings: unknown): Array<{ family: string; evidence: Evidence[] }> {
  const families = new Map<string, Evidence[]>();
  for (const item of list(findings)) {
    const family = text(item["family"]);
    if (family !== "") families.set(family, [...(families.get(family) ?? []), ...evidence([item])]);
  }
  return [...families].map(([family, said]) => ({ family, evidence: said }));
}

export function readFinding(result: unknown): Finding {
  const it = members(result);
  if ("value" in it) return { kind: "custom", value: it["value"], evidence: evidence(it["evidence"]) };
  if (Array.isArray(it["answers"])) {
    const answers = list(it["answers"]).map((item) => ({
      id: text(item["id"]),
      points: numberOf(item["points"]),
      evidence: evidence(item["evidence"]),
    }));
    return { kind: "scorecard", answers: answers.filter(({ id }) => id !== ""), score: numberOf(it["score"]) };
  }
  if ("families" in it) return { kind: "manipulation", found: byFamily(it["findings"]) };
  if (Array.isArray(it["findings"]) || "kinds" in it) return { kind: "pii", kinds: piiKinds(it) };
  if (Array.isArray(it["topics"])) return { kind: "topics", names: named(it["topics"]) };
  if (Array.isArray(it["intents"])) return { kind: "intent", names: named(it["intents"]) };
  if (Array.isArray(it["items"])) {
    const items = list(it["items"]).map((item) => ({
      text: text(item["text"]),
      owner: text(item["owner"]),
      due: text(item["due"]),
      evidence: evidence(item["evidence"]),
    }));
    return { kind: "action_items", items: items.filter((item) => item.text !== "") };
  }
  if (Array.isArray(it["sentences"])) {
    return { kind: "summary", title: text(it["title"]), text: text(it["text"]), sentences: evidence(it["sentences"]) };
  }
  if (typeof it["state"] === "string") {
    return { kind: "resolution", state: it["state"], reason: text(it["reason"]), evidence: evidence(it["evidence"]) };
  }
  if (typeof it["label"] === "string") {
    const sides = list(it["sides"]).flatMap((side) => {
      const score = numberOf(side["score"]);
      return score === null ? [] : [{ role: text(side["role"]), score }];
    });
    const course = list(it["course"]).map(({ score }) => numberOf(score));
    return { kind: "sentiment", label: it["label"], score: numberOf(it["score"]), sides, course, evidence: evidence(it["evidence"]) };
  }
  return { kind: "custom", value: result, evidence: [] };
}

const kTitles = new Map([
  ["pii", "Personal data"],
  ["manipulation", "Manipulation of the language model"],
  ["scorecard", "Score card"],
]);

// "quality_check" as a heading.
export function titleOf(analyzer: string): string {
  const words = analyzer.replaceAll("_", " ");
  return kTitles.get(analyzer) ?? words.charAt(0).toLocaleUpperCase() + words.slice(1);
}

const kMethods = new Map([
  ["lm", "language model"],
  ["extractive", "extractive, no model"],
  ["rules", "rules"],
]);

export const methodWords = (method: string): string => kMethods.get(method) ?? method;
