// What was concluded from a conversation: each finding with what was said, where it was said.
import type { Analysis, Evidence, Sentiment, Summary, Topics } from "../api";
import { h, svg } from "../dom";
import { searchHref } from "../route";

type Show = (turn: number) => void;

function quote({ turn, quote: text }: Evidence, show: Show): HTMLElement {
  const label = `Show turn ${turn + 1}`;
  return h("li", {}, h("button", { type: "button", class: "quote", title: label, onclick: () => show(turn) }, text));
}

function quotes(list: Evidence[], show: Show): HTMLElement | null {
  return list.length === 0 ? null : h("ul", { class: "quotes" }, ...list.map((item) => quote(item, show)));
}

function section(title: string, ...content: Array<Element | null>): HTMLElement {
  return h("section", { class: "about-section" }, h("h2", {}, title), ...content);
}

export function signed(score: number): string {
  return `${score > 0 ? "+" : score < 0 ? "−" : ""}${Math.abs(score).toFixed(2)}`;
}

function filterLink(name: "sentiment" | "topic", value: string): HTMLElement {
  const href = searchHref(new URLSearchParams({ [name]: value }));
  const kind = name === "sentiment" ? `tag feeling ${value}` : "tag";
  return h("a", { class: kind, href, title: "Search with this filter" }, value);
}

// Three bars, up for glad and down for cross; a third where nothing was felt has none.
function drawCourse(course: Sentiment["course"]): Element | null {
  if (course.length < 2) return null;
  const words = course.map(({ score }) => (score === null ? "none" : signed(score))).join(", ");
  const chart = svg("svg", { viewBox: "0 0 90 40", class: "course", role: "img", "aria-label": `Its course: ${words}` });
  chart.append(svg("path", { class: "chart-base", d: "M0 20H90" }));
  for (const [i, { score }] of course.entries()) {
    if (score === null || score === 0) continue;
    const height = Math.max(1, Math.abs(score) * 19);
    const y = score > 0 ? 20 - height : 20;
    const feeling = score > 0 ? "positive" : "negative";
    chart.append(svg("rect", { class: `share ${feeling}`, x: 5 + i * 30, y: y.toFixed(1), width: 20, height: height.toFixed(1) }));
  }
  return chart;
}

function summarySection({ sentences }: Summary, show: Show): HTMLElement | null {
  return sentences.length === 0 ? null : section("Summary", quotes(sentences, show));
}

function sentimentSection({ label, score, sides, course, evidence }: Sentiment, show: Show): HTMLElement {
  const others = sides.filter(({ role }) => role !== "").map((side) => `${side.role} ${signed(side.score)}`);
  return section(
    "Sentiment",
    h("p", { class: "feelings" }, filterLink("sentiment", label), h("span", {}, signed(score)), drawCourse(course)),
    others.length > 1 ? h("p", { class: "small muted" }, others.join(" · ")) : null,
    quotes(evidence, show),
  );
}

function topicsSection({ topics }: Topics): HTMLElement | null {
  if (topics.length === 0) return null;
  const items = topics.map(({ name }) => h("li", {}, filterLink("topic", name)));
  return section("Topics", h("ul", { class: "tags" }, ...items));
}

export function analysisSections(analyses: Analysis[], show: Show): HTMLElement[] {
  const of = (name: Analysis["analyzer"]): Analysis | undefined => analyses.find(({ analyzer }) => analyzer === name);
  const sections: Array<HTMLElement | null> = [];
  const summary = of("summary");
  const sentiment = of("sentiment");
  const topics = of("topics");
  if (summary?.analyzer === "summary") sections.push(summarySection(summary.result, show));
  if (sentiment?.analyzer === "sentiment") sections.push(sentimentSection(sentiment.result, show));
  if (topics?.analyzer === "topics") sections.push(topicsSection(topics.result));
  return sections.filter((element) => element !== null);
}
