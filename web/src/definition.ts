// The definition of an analyzer as a form holds it, and the mistakes that the server found in it.
import type { BudgetLimits, Definition, Question, Trigger } from "./analysis_types";

export const kKinds = ["custom", "scorecard", "summary", "sentiment", "topics", "intent", "resolution", "action_items", "pii", "manipulation"];
export const kTriggers = ["ended", "turn", "tag", "schedule", "demand"];
export const kPriorities = ["critical", "normal", "bulk"];

// Every company has these; deleting the company's own version brings them back as shipped.
const kShipped = new Set(["action_items", "intent", "manipulation", "pii", "resolution", "sentiment", "summary", "topics"]);
export const isShippedName = (name: string): boolean => kShipped.has(name);

export const hasTaxonomy = (kind: string): boolean => kind === "topics" || kind === "intent";

export interface Form {
  kind: string;
  description: string;
  instructions: string;
  model: string;
  language: string;
  trigger: Trigger;
  priority: string;
  deadlineS: number | null;
  samplePercent: number | null;
  budget: BudgetLimits;
  isActive: boolean;
  taxonomy: string[];
  discover: boolean;
  questions: Question[];
  rest: Definition; // What has no field of its own: "schema", and whatever is new.
}

// Said of an analyzer, but not part of its definition.
const kAround = ["name", "version", "versions", "shipped", "by"];

export function readDefinition(definition: Definition): Form {
  const {
    kind = "custom",
    description = "",
    instructions = "",
    model = "",
    language = "",
    trigger = { on: "ended" },
    priority = "normal",
    deadline_s = null,
    sample = 1,
    budget = {},
    active = true,
    taxonomy = [],
    discover = (taxonomy as string[]).length === 0,
    questions = [],
    ...others
  } = definition;
  const rest = Object.fromEntries(Object.entries(others).filter(([key]) => !kAround.includes(key)));
  return {
    kind, description, instructions, model, language, trigger, priority,
    deadlineS: deadline_s,
    samplePercent: Number(((sample as number) * 100).toPrecision(9)),
    budget,
    isActive: active,
    taxonomy, discover, questions, rest,
  } as Form;
}

// What the server takes. Fields that are empty, or do not belong to the kind, are left out.
export function writeDefinition(form: Form): Definition {
  const { on, tag = "", quiet_s, every_s } = form.trigger;
  const trigger: Definition = { on };
  if (on === "tag") trigger["tag"] = tag;
  if (on === "turn" && quiet_s !== undefined) trigger["quiet_s"] = quiet_s;
  if (on === "schedule" && every_s !== undefined) trigger["every_s"] = every_s;
  const definition: Definition = { ...form.rest, kind: form.kind };
  for (const key of ["description", "instructions", "model", "language"] as const) {
    if (form[key] !== "") definition[key] = form[key];
  }
  if (hasTaxonomy(form.kind) && form.taxonomy.length > 0) {
    definition["taxonomy"] = form.taxonomy;
    definition["discover"] = form.discover;
  }
  if (form.kind === "scorecard") definition["questions"] = form.questions;
  definition["trigger"] = trigger;
  definition["priority"] = form.priority;
  if (form.deadlineS !== null) definition["deadline_s"] = form.deadlineS;
  if (form.samplePercent !== null && form.samplePercent !== 100) {
    definition["sample"] = Number((form.samplePercent / 100).toPrecision(9));
  }
  if (Object.keys(form.budget).length > 0) definition["budget"] = form.budget;
  definition["active"] = form.isActive;
  return definition;
}

export interface Mistake {
  pointer: string; // RFC 6901; empty if of the whole.
  rule: string;
}

// The server lists all it found: "/trigger/tag: is needed … | /sample: must be …".
export function mistakesOf(message: string): Mistake[] {
  return message.split(" | ").map((one) => {
    // An inner list carries the pointer of its part as well: "/budget: /budget/usd_per_day: …".
    const match = /^(?:\/\S*: )?(\/\S*): (.*)$/s.exec(one);
    return match === null ? { pointer: "", rule: one } : { pointer: match[1] ?? "", rule: match[2] ?? "" };
  });
}

// Of the fields' pointers, the one the mistake is nearest to: itself, or what it is part of.
export function nearest(pointer: string, fields: string[]): string | null {
  const holds = fields.filter((field) => pointer === field || pointer.startsWith(`${field}/`));
  return holds.reduce<string | null>((best, field) => (best === null || field.length > best.length ? field : best), null);
}
