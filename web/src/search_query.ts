// A search as the reader set it up, as it stands in the address, and as it is sent.

export const kModes = ["hybrid", "vector", "keyword"] as const;
export type Mode = (typeof kModes)[number];

// Relative spans of time, in days.
export const kSpans: Record<string, { label: string; days: number }> = {
  "1d": { label: "Last 24 hours", days: 1 },
  "7d": { label: "Last 7 days", days: 7 },
  "30d": { label: "Last 30 days", days: 30 },
  "365d": { label: "Last 12 months", days: 365 },
};

// Several values are separated by commas, but for a party: names contain commas.
export const kTextFilters = ["channel", "source", "language", "tag", "party", "sentiment", "topic"] as const;
export type TextFilter = (typeof kTextFilters)[number];

export interface SearchQuery {
  text: string;
  mode: Mode;
  time: string; // A key of kSpans, "dates", or empty for any time.
  from: string; // "2026-11-23", a day where the reader is; used with "dates".
  to: string;
  filters: Record<TextFilter, string>;
  metadata: string[]; // "key=value"
  labels: string[]; // "intent:cancel order", of any analyzer
  scores: string[]; // "quality:0.5..1", either end may be missing
}

const kLabel = /^([a-z][a-z0-9_]{0,39}):(.+)$/s;
const kScore = /^([a-z][a-z0-9_]{0,39}):(-?\d+(?:\.\d+)?)?\.\.(-?\d+(?:\.\d+)?)?$/;

export const isScore = (text: string): boolean => kScore.test(text) && !text.endsWith(":..");

export const kDay = /^\d{4}-\d{2}-\d{2}$/;

export function parseSearch(parameters: URLSearchParams): SearchQuery {
  const mode = parameters.get("mode") as Mode;
  const day = (name: string): string => {
    const value = parameters.get(name) ?? "";
    return kDay.test(value) ? value : "";
  };
  const from = day("from");
  const to = day("to");
  const time = parameters.get("time") ?? "";
  const text = (name: TextFilter): string => parameters.get(name)?.trim() ?? "";
  return {
    text: parameters.get("q") ?? "",
    mode: kModes.includes(mode) ? mode : "hybrid",
    time: from !== "" || to !== "" ? "dates" : Object.hasOwn(kSpans, time) ? time : "",
    from,
    to,
    filters: {
      channel: text("channel"),
      source: text("source"),
      language: text("language"),
      tag: text("tag"),
      party: text("party"),
      sentiment: text("sentiment"),
      topic: text("topic"),
    },
    metadata: parameters.getAll("metadata").filter((pair) => pair.indexOf("=") > 0),
    labels: parameters.getAll("label").filter((text) => kLabel.test(text)),
    scores: parameters.getAll("score").filter(isScore),
  };
}

export function searchParameters(query: SearchQuery): URLSearchParams {
  const parameters = new URLSearchParams();
  const set = (name: string, value: string): void => {
    if (value !== "") parameters.set(name, value);
  };
  set("q", query.text);
  if (query.mode !== "hybrid") set("mode", query.mode);
  if (query.time === "dates") {
    set("from", query.from);
    set("to", query.to);
  } else {
    set("time", query.time);
  }
  for (const name of kTextFilters) set(name, query.filters[name]);
  for (const pair of query.metadata) parameters.append("metadata", pair);
  for (const label of query.labels) parameters.append("label", label);
  for (const score of query.scores) parameters.append("score", score);
  return parameters;
}

// The days are the reader's, from their midnight up to the next, which the API leaves out.
export function dayStart(day: string): string {
  return new Date(`${day}T00:00:00`).toISOString();
}

export function dayEnd(day: string): string {
  const date = new Date(`${day}T00:00:00`);
  date.setDate(date.getDate() + 1); // Not 24 hours: twice a year a day has 23 or 25.
  return date.toISOString();
}

function timeFilter(query: SearchQuery, now: Date): Record<string, string> {
  const filter: Record<string, string> = {};
  const days = kSpans[query.time]?.days;
  if (days !== undefined) {
    filter["from"] = new Date(now.getTime() - days * 86_400_000).toISOString();
    return filter;
  }
  if (query.from !== "") filter["from"] = dayStart(query.from);
  if (query.to !== "") filter["to"] = dayEnd(query.to);
  return filter;
}

type OneOrMore = string | { in: string[] };

function oneOrMore(values: string[]): OneOrMore {
  const [first = ""] = values;
  return values.length === 1 ? first : { in: values };
}

function metadataFilter(pairs: string[]): Record<string, OneOrMore> {
  const values = new Map<string, string[]>();
  for (const pair of pairs) {
    const at = pair.indexOf("=");
    const key = pair.slice(0, at).trim();
    values.set(key, [...(values.get(key) ?? []), pair.slice(at + 1).trim()]);
  }
  return Object.fromEntries([...values].map(([key, list]) => [key, oneOrMore(list)]));
}

// Of one analyzer the server takes labels or a range of the score; labels say more.
function analysesFilter(query: SearchQuery): Record<string, OneOrMore | { gte?: number; lte?: number }> {
  const filter: Record<string, OneOrMore | { gte?: number; lte?: number }> = {};
  for (const text of query.scores) {
    const [, name = "", least, most] = kScore.exec(text) ?? [];
    const range: { gte?: number; lte?: number } = {};
    if (least !== undefined) range.gte = Number(least);
    if (most !== undefined) range.lte = Number(most);
    filter[name] = range;
  }
  const labels = new Map<string, string[]>();
  for (const text of query.labels) {
    const [, name = "", label = ""] = kLabel.exec(text) ?? [];
    labels.set(name, [...(labels.get(name) ?? []), label]);
  }
  for (const [name, list] of labels) filter[name] = oneOrMore(list);
  return filter;
}

export function searchBody(query: SearchQuery, limit: number, cursor: string, now: Date): object {
  const filters: Record<string, unknown> = timeFilter(query, now);
  for (const name of kTextFilters) {
    const text = query.filters[name];
    const values = name === "party" ? [text] : text.split(",");
    const given = values.map((value) => value.trim()).filter((value) => value !== "");
    if (given.length > 0) filters[name] = oneOrMore(given);
  }
  if (query.metadata.length > 0) filters["metadata"] = metadataFilter(query.metadata);
  const analyses = analysesFilter(query);
  if (Object.keys(analyses).length > 0) filters["analyses"] = analyses;
  const body: Record<string, unknown> = { query: query.text.trim(), mode: query.mode, limit, chunks: 3 };
  if (cursor !== "") body["cursor"] = cursor;
  if (Object.keys(filters).length > 0) body["filters"] = filters;
  return body;
}

function scoreWords(text: string): string {
  const [, name = "", least, most] = kScore.exec(text) ?? [];
  if (least === undefined) return `${name}: up to ${most}`;
  return most === undefined ? `${name}: ${least} or more` : `${name}: ${least} to ${most}`;
}

// One line a filter that is set, with the query that goes without it.
export interface ActiveFilter {
  label: string;
  without: SearchQuery;
}

export function activeFilters(query: SearchQuery): ActiveFilter[] {
  const active: ActiveFilter[] = [];
  const noTime = { ...query, time: "", from: "", to: "" };
  const span = kSpans[query.time];
  if (span !== undefined) active.push({ label: span.label, without: noTime });
  if (query.time === "dates") {
    const label = `${query.from || "…"} to ${query.to || "…"}`;
    active.push({ label, without: noTime });
  }
  for (const name of kTextFilters) {
    if (query.filters[name] === "") continue;
    const without = { ...query, filters: { ...query.filters, [name]: "" } };
    active.push({ label: `${name}: ${query.filters[name]}`, without });
  }
  for (const pair of query.metadata) {
    const without = { ...query, metadata: query.metadata.filter((other) => other !== pair) };
    active.push({ label: pair, without });
  }
  for (const text of query.labels) {
    const without = { ...query, labels: query.labels.filter((other) => other !== text) };
    active.push({ label: text.replace(":", ": "), without });
  }
  for (const text of query.scores) {
    const without = { ...query, scores: query.scores.filter((other) => other !== text) };
    active.push({ label: scoreWords(text), without });
  }
  return active;
}
