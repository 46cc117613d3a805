// What one analysis found, each finding with what was said, where it was said.
import type { Evidence } from "../analysis_types";
import { h, svg } from "../dom";
import type { ActionItem, Finding, Named, PiiKind } from "../findings";
import { number } from "../format";
import { tree } from "../parts/tree";
import { labelHref } from "../route";

// Brings the reader to a turn, the words that are meant marked in it.
export type Show = (turn: number, quote: string) => void;

function quote({ turn, quote: text }: Evidence, show: Show): HTMLElement {
  const button = h(
    "button",
    { type: "button", class: "quote", title: `Show turn ${turn + 1}`, onclick: () => show(turn, text) },
    h("span", { dir: "auto" }, text),
    h("span", { class: "quote-turn" }, ` turn ${turn + 1}`),
  );
  return h("li", {}, button);
}

export function quotes(list: Evidence[], show: Show): HTMLElement | null {
  return list.length === 0 ? null : h("ul", { class: "quotes" }, ...list.map((item) => quote(item, show)));
}

export function signed(score: number): string {
  return `${score > 0 ? "+" : score < 0 ? "−" : ""}${Math.abs(score).toFixed(2)}`;
}

export function labelLink(analyzer: string, label: string, style = ""): HTMLElement {
  return h("a", { class: `tag ${style}`.trim(), href: labelHref(analyzer, label), title: "Search with this filter", dir: "auto" }, label);
}

const written = (text: string, style = ""): HTMLElement => h("p", { class: `written ${style}`.trim(), dir: "auto" }, text);

// Three bars, up for glad and down for cross; a third where nothing was felt has none.
function drawCourse(course: Array<number | null>): Element | null {
  if (course.length < 2) return null;
  const words = course.map((score) => (score === null ? "none" : signed(score))).join(", ");
  const chart = svg("svg", { viewBox: "0 0 90 40", class: "course", role: "img", "aria-label": `Its course: ${words}` });
  chart.append(svg("path", { class: "chart-base", d: "M0 20H90" }));
  for (const [i, score] of course.slice(0, 3).entries()) {
    if (score === null || score === 0) continue;
    const height = Math.max(1, Math.min(1, Math.abs(score)) * 19);
    const y = score > 0 ? 20 - height : 20;
    const feeling = score > 0 ? "positive" : "negative";
    chart.append(svg("rect", { class: `share ${feeling}`, x: 5 + i * 30, y: y.toFixed(1), width: 20, height: height.toFixed(1) }));
  }
  return chart;
}

const kFeelings = new Set(["negative", "neutral", "positive", "mixed"]);

function sentiment(analyzer: string, finding: Finding & { kind: "sentiment" }, show: Show): Array<Element | null> {
  const { label, score, sides, course, evidence } = finding;
  const others = sides.filter(({ role }) => role !== "").map((side) => `${side.role} ${signed(side.score)}`);
  const style = kFeelings.has(label) ? `feeling ${label}` : "";
  return [
    h("p", { class: "feelings" }, labelLink(analyzer, label, style), score !== null && h("span", {}, signed(score)), drawCourse(course)),
    others.length > 1 ? h("p", { class: "small muted" }, others.join(" · ")) : null,
    quotes(evidence, show),
  ];
}

// Many names would push each other out of sight with their quotes.
const kOpenNames = 3;

function names(analyzer: string, list: Named[], show: Show): Array<Element | null> {
  if (list.length === 0) return [h("p", { class: "muted" }, "None found.")];
  const tags = h("ul", { class: "tags" }, ...list.map(({ name }) => h("li", {}, labelLink(analyzer, name))));
  const said = list.filter(({ evidence }) => evidence.length > 0).map(({ name, evidence }) =>
    h("li", {}, list.length > 1 && h("p", { class: "small muted", dir: "auto" }, name), quotes(evidence, show)),
  );
  if (said.length === 0) return [tags];
  const body = h("ul", { class: "named" }, ...said);
  if (list.length <= kOpenNames) return [tags, body];
  return [tags, h("details", { class: "more-quotes" }, h("summary", {}, "Where it was said"), body)];
}

const kStates = new Map([
  ["resolved", "good"],
  ["partly", "partly"],
  ["unresolved", "bad"],
]);

function actionItem({ text, owner, due, evidence }: ActionItem, show: Show): HTMLElement {
  const facts = [owner, due].filter((fact) => fact !== "");
  return h(
    "li",
    {},
    written(text),
    facts.length > 0 && h("p", { class: "small muted wrap", dir: "auto" }, facts.join(" · ")),
    quotes(evidence, show),
  );
}

const kPiiKinds = new Map([
  ["EMAIL", "E-mail address"],
  ["PHONE", "Phone number"],
  ["CARD", "Payment card"],
  ["CPR", "CPR number"],
  ["IBAN", "IBAN"],
]);
const kFamilies = new Map([
  ["instruction", "Tells a model to drop its instructions"],
  ["role", "Forges a role or a delimiter"],
  ["tool", "Forges a tool's result"],
  ["leak", "Asks for the prompt, or for others' conversations"],
  ["persona", "Makes the model another one, without rules"],
  ["reader", "Speaks to the machine that reads along"],
  ["hidden", "Text that nobody sees"],
  ["encoded", "One of these in base64"],
]);
const kTurnsShown = 12;

// Not the data itself: it is read in its turn, by those who have to.
function piiKind({ kind, count, turns }: PiiKind, show: Show): HTMLElement {
  const buttons = turns.slice(0, kTurnsShown).map((turn) =>
    h("button", { type: "button", class: "turn-link", title: `Show turn ${turn + 1}`, onclick: () => show(turn, "") }, `turn ${turn + 1}`),
  );
  return h(
    "li",
    {},
    h("p", {}, kPiiKinds.get(kind) ?? kind, " ", h("strong", {}, number(count))),
    h("p", { class: "turn-links" }, ...buttons, turns.length > kTurnsShown && h("span", { class: "small muted" }, `and ${turns.length - kTurnsShown} more`)),
  );
}

// Score cards have a file of their own. `labels` are those that the server counts.
export function findingBody(analyzer: string, finding: Finding, labels: string[], show: Show): Array<Element | null> {
  switch (finding.kind) {
    case "summary":
      return [
        finding.title !== "" && finding.text !== "" ? written(finding.title, "strong") : null,
        finding.text !== "" ? written(finding.text) : null,
        quotes(finding.sentences, show),
      ];
    case "sentiment":
      return sentiment(analyzer, finding, show);
    case "topics":
    case "intent":
      return names(analyzer, finding.names, show);
    case "resolution":
      return [
        h("p", {}, labelLink(analyzer, finding.state, `state ${kStates.get(finding.state) ?? ""}`)),
        finding.reason !== "" ? written(finding.reason) : null,
        quotes(finding.evidence, show),
      ];
    case "action_items":
      if (finding.items.length === 0) return [h("p", { class: "muted" }, "Nothing is left to do.")];
      return [h("ol", { class: "todo" }, ...finding.items.map((item) => actionItem(item, show)))];
    case "pii":
      if (finding.kinds.length === 0) return [h("p", { class: "muted" }, "None found.")];
      return [h("ul", { class: "pii" }, ...finding.kinds.map((kind) => piiKind(kind, show)))];
    case "manipulation":
      if (finding.found.length === 0) return [h("p", { class: "muted" }, "None found.")];
      return [
        h("ul", { class: "tags" }, ...labels.map((label) => h("li", {}, labelLink(analyzer, label, "state bad")))),
        h("ul", { class: "named" }, ...finding.found.map(({ family, evidence }) =>
          h("li", {}, h("p", {}, kFamilies.get(family) ?? family), quotes(evidence, show)))),
      ];
    case "custom":
      return [
        labels.length > 0 ? h("ul", { class: "tags" }, ...labels.map((label) => h("li", {}, labelLink(analyzer, label)))) : null,
        tree(finding.value),
        quotes(finding.evidence, show),
      ];
    case "scorecard":
      return [];
  }
}
