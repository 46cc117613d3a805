// The filters of a search: a panel of fields and the chips of those that are set.
import { h, replace } from "../dom";
import { icon } from "../icons";
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
