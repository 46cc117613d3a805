// The filters of a search: a panel of fields and the chips of those that are set.
import type { Analyzer } from "../analysis_types";
import type { Client } from "../api";
import { h, replace } from "../dom";
import { titleOf } from "../findings";
import { icon } from "../icons";
import { byLabel } from "../trend_math";
import { activeFilters, kSpans, kTextFilters, type SearchQuery, type TextFilter } from "../search_query";

const kFields: Record<TextFilter, { label: string; placeholder: string; known: string[] }> = {
  channel: { label: "Channel", placeholder: "chat, voice", known: ["chat", "voice", "email", "sms", "social", "meeting"] },
  source: { label: "Source", placeholder: "api", known: ["api"] },
  language: { label: "Language", placeholder: "da, en", known: ["da", "en", "de", "sv", "nb", "fr", "es", "nl"] },
  tag: { label: "Tag", placeholder: "billing, refund", known: [] },
  party: { label: "Party", placeholder: "Mette Holm", known: [] },
  sentiment: { label: "Sentiment", placeholder: "negative", known: ["negative", "neutral", "positive", "mixed"] },
  topic: { label: "Topic", placeholder: "refund", known: [] },
};

function field(label: string, input: HTMLElement, ...more: HTMLElement[]): HTMLElement {
  return h("label", { class: "field" }, h("span", {}, label), input, ...more);
}

function textField(name: TextFilter, value: string, changed: (value: string) => void): HTMLElement {
  const { label, placeholder, known } = kFields[name];
  const list = `known-${name}`;
  const input = h("input", {
    type: "text",
    value,
    placeholder,
    name,
    autocomplete: "off",
    list: known.length > 0 ? list : undefined,
    onchange: () => changed(input.value.trim()),
  });
  if (known.length === 0) return field(label, input);
  return field(label, input, h("datalist", { id: list }, ...known.map((word) => h("option", { value: word }))));
}

function timeFields(query: SearchQuery, apply: (query: SearchQuery) => void): HTMLElement[] {
  const option = (value: string, label: string): HTMLOptionElement =>
    h("option", { value, selected: query.time === value }, label);
  const select = h(
    "select",
    {
      name: "time",
      onchange: () => {
        const isDates = select.value === "dates";
        for (const day of days) day.hidden = !isDates;
        if (isDates) from.focus();
        else apply({ ...query, time: select.value, from: "", to: "" });
      },
    },
    option("", "Any time"),
    ...Object.entries(kSpans).map(([value, { label }]) => option(value, label)),
    option("dates", "Between two days…"),
  );
  const changed = (): void => apply({ ...query, time: "dates", from: from.value, to: to.value });
  const from = h("input", { type: "date", name: "from", value: query.from, onchange: changed });
  const to = h("input", { type: "date", name: "to", value: query.to, onchange: changed });
  const days = [field("From", from), field("To", to)];
  for (const day of days) day.hidden = query.time !== "dates";
  return [field("Time", select), ...days];
}

function metadataField(query: SearchQuery, apply: (query: SearchQuery) => void): HTMLElement {
  const input = h("input", {
    type: "text",
    name: "metadata",
    placeholder: "plan=pro",
    autocomplete: "off",
    autocapitalize: "off",
    onchange: () => {
      const pair = input.value.trim();
      const isPair = pair.indexOf("=") > 0;
      input.setCustomValidity(pair === "" || isPair ? "" : "Write it as key=value, for example plan=pro.");
      if (isPair) apply({ ...query, metadata: [...new Set([...query.metadata, pair])] });
      else input.reportValidity();
    },
  });
  return field("Metadata", input);
}

const kLabelsKnown = new Map([
  ["resolution", ["resolved", "partly", "unresolved", "unclear"]],
  ["pii", ["EMAIL", "PHONE", "CARD", "CPR", "IBAN"]],
  ["manipulation", ["suspected"]],
]);

// What the reader may choose from: the labels that a definition names, then those that were found.
async function knownLabels(client: Client, { name, kind, taxonomy = [] }: Analyzer, signal: AbortSignal): Promise<string[]> {
  const named = [...(kLabelsKnown.get(kind) ?? []), ...taxonomy];
  try {
    const { buckets } = await client.trends(name, "", "month", signal);
    return [...new Set([...named, ...byLabel(buckets).slice(0, 200).map(({ label }) => label)])];
  } catch {
    return named; // They are an aid; any label can be typed.
  }
}

const hasLabels = ({ kind, name }: Analyzer): boolean =>
  !["summary", "action_items", "scorecard"].includes(kind) && name !== "sentiment" && name !== "topics";
const hasScore = ({ kind }: Analyzer): boolean => ["sentiment", "scorecard", "custom"].includes(kind);

// The label or the score of any analyzer; nothing where their list cannot be read.
export async function analysisFields(
  client: Client,
  query: SearchQuery,
  apply: (query: SearchQuery) => void,
  signal: AbortSignal,
): Promise<HTMLElement[]> {
  const analyzers = (await client.analyzers(signal)).filter((one) => hasLabels(one) || hasScore(one));
  if (analyzers.length === 0) return [];
  const option = (value: string, text: string): HTMLOptionElement => h("option", { value }, text);
  const choice = h("select", { name: "analysis" }, option("", "Choose…"), ...analyzers.map(({ name }) => option(name, titleOf(name))));
  const labels = h("datalist", { id: "known-labels" });
  const label = h("input", { type: "text", name: "label", autocomplete: "off", list: "known-labels" });
  const bound = (name: string, text: string): HTMLInputElement =>
    h("input", { type: "number", name, step: "any", placeholder: text, "aria-label": text, inputmode: "decimal" });
  const least = bound("score-least", "Least score");
  const most = bound("score-most", "Highest score");
  const labelField = field("Label", label, labels);
  const pair = h("div", { class: "pair" }, least, most);
  const scoreField = h("div", { class: "field" }, h("span", {}, "Score"), pair);
  labelField.hidden = true;
  scoreField.hidden = true;
  choice.addEventListener("change", () => {
    const chosen = analyzers.find(({ name }) => name === choice.value);
    labelField.hidden = chosen === undefined || !hasLabels(chosen);
    scoreField.hidden = chosen === undefined || !hasScore(chosen);
    labels.replaceChildren();
    if (chosen === undefined || !hasLabels(chosen)) return;
    void knownLabels(client, chosen, signal).then((list) => {
      if (choice.value === chosen.name) replace(labels, ...list.map((value) => option(value, "")));
    });
  });
  label.addEventListener("change", () => {
    const text = label.value.trim();
    if (text === "") return;
    const scores = query.scores.filter((one) => !one.startsWith(`${choice.value}:`));
    apply({ ...query, scores, labels: [...new Set([...query.labels, `${choice.value}:${text}`])] });
  });
  const changed = (): void => {
    if (least.value === "" && most.value === "") return;
    const others = (list: string[]): string[] => list.filter((one) => !one.startsWith(`${choice.value}:`));
    apply({ ...query, labels: others(query.labels), scores: [...others(query.scores), `${choice.value}:${least.value}..${most.value}`] });
  };
  // Once both ends can have been given.
  pair.addEventListener("focusout", (event) => {
    if (!pair.contains(event.relatedTarget as Node | null)) changed();
  });
  pair.addEventListener("keydown", (event) => {
    if (event.key !== "Enter") return;
    event.preventDefault();
    changed();
  });
  return [field("Analysis", choice), labelField, scoreField];
}

export function filterPanel(query: SearchQuery, apply: (query: SearchQuery) => void): HTMLElement {
  const texts = kTextFilters.map((name) =>
    textField(name, query.filters[name], (value) =>
      apply({ ...query, filters: { ...query.filters, [name]: value } }),
    ),
  );
  return h(
    "div",
    { class: "filters", id: "filters", role: "group", "aria-label": "Filters" },
    ...timeFields(query, apply),
    ...texts,
    metadataField(query, apply),
  );
}

export function filterChips(query: SearchQuery, apply: (query: SearchQuery) => void): HTMLElement {
  const list = h("ul", { class: "chips", "aria-label": "Filters that are set" });
  const chips = activeFilters(query).map(({ label, without }) =>
    h(
      "li",
      {},
      h(
        "button",
        { type: "button", class: "chip", "aria-label": `Remove filter ${label}`, onclick: () => apply(without) },
        h("span", {}, label),
        icon("close"),
      ),
    ),
  );
  replace(list, ...chips);
  return list;
}
