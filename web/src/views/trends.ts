// Trends: what was found in the conversations, counted over time, by any analyzer.
import type { Analyzer } from "../analysis_types";
import { isAbort, type TrendBucket } from "../api";
import { h, replace } from "../dom";
import { methodWords, titleOf } from "../findings";
import { number, plural, score as scoreWords } from "../format";
import { axis, drawColumns, drawLine } from "../parts/bars";
import { empty, failed, skeleton } from "../parts/states";
import { labelHref, type Route, trendsHref } from "../route";
import { may } from "../session";
import { byLabel, filled, scoreRange } from "../trend_math";
import type { Context, View } from "../view";
import { labelLink, signed } from "./finding_body";

const kFeelings = ["negative", "mixed", "neutral", "positive"] as const;
const kSpans = [
  { id: "month", label: "Last 30 days", days: 30, bucket: "day" },
  { id: "year", label: "Last 12 months", days: 365, bucket: "week" },
  { id: "all", label: "All time", days: 0, bucket: "month" },
] as const;
type Span = (typeof kSpans)[number];
const kYear = kSpans[1];
const kColumnsMin = 3; // Fewer months are shown by day.
const kLabelsShown = 20;
const kWidth = 720;
const kHeight = 180;
const kLineHeight = 120;
const kRowHeight = 30;

function card(title: string, note: string, ...content: HTMLElement[]): HTMLElement {
  const head = h("div", { class: "card-head" }, h("h2", {}, title), note !== "" && h("span", { class: "small muted" }, note));
  return h("section", { class: "card" }, head, ...content);
}

function ends(buckets: TrendBucket[]): HTMLElement {
  return axis(buckets[0]?.from ?? "", buckets.at(-1)?.from ?? "");
}

const inChart = (chart: SVGElement, style: string): HTMLElement => {
  const place = h("div", { class: style });
  place.append(chart);
  return place;
};

function feelingsCard(buckets: TrendBucket[]): HTMLElement {
  const sums = new Map(byLabel(buckets).map(({ label, total }) => [label, total]));
  const scored = ({ from, count, score }: TrendBucket): string => `${from}: ${number(count)}, ${signed(score ?? 0)}`;
  const columns = buckets.map((bucket) => ({
    title: `${bucket.from}: ${plural(bucket.count, "conversation", "conversations")}, score ${signed(bucket.score ?? 0)}`,
    parts: kFeelings.map((feeling) => ({ style: feeling, value: bucket.labels[feeling] ?? 0 })),
  }));
  const words = buckets.filter(({ count }) => count > 0).map(scored).join("; ");
  const legend = kFeelings.map((feeling) =>
    h(
      "li",
      {},
      h("a", { class: `tag feeling ${feeling}`, href: labelHref("sentiment", feeling) }, feeling),
      h("span", {}, number(sums.get(feeling) ?? 0)),
    ),
  );
  return card(
    "Sentiment",
    "",
    inChart(drawColumns(columns, kWidth, kHeight, words), "chart-tall"),
    ends(buckets),
    h("ul", { class: "legend" }, ...legend),
  );
}

// One row a label, all on one scale, so that they compare.
function labelsCard(title: string, analyzer: string, buckets: TrendBucket[]): HTMLElement {
  const trends = byLabel(buckets);
  const shown = trends.slice(0, kLabelsShown);
  const most = Math.max(1, ...shown.flatMap(({ counts }) => counts));
  const rows = shown.map(({ label, total, counts }) => {
    const at = (i: number): string => buckets[i]?.from ?? "";
    const columns = counts.map((value, i) => ({ title: `${at(i)}: ${number(value)}`, parts: [{ style: "plain", value }] }));
    const words = counts.flatMap((value, i) => (value > 0 ? [`${at(i)}: ${number(value)}`] : [])).join("; ");
    return h(
      "li",
      {},
      labelLink(analyzer, label),
      inChart(drawColumns(columns, kWidth / 2, kRowHeight, `${label}: ${words}`, most), "chart-row"),
      h("span", { class: "total" }, number(total)),
    );
  });
  const note = trends.length > shown.length ? `the ${kLabelsShown} most frequent of ${number(trends.length)}` : "";
  return card(title, note, h("ol", { class: "label-rows" }, ...rows), h("div", { class: "label-axis" }, ends(buckets)));
}

function scoreCard(buckets: TrendBucket[]): HTMLElement | null {
  const scores = buckets.flatMap(({ score }) => (score === undefined ? [] : [score]));
  if (scores.length === 0) return null;
  const range = scoreRange(scores);
  const write = range.low < 0 ? signed : scoreWords;
  const points = buckets.map(({ from, score }) => ({
    title: `${from}: score ${write(score ?? 0)}`,
    value: score ?? null,
  }));
  const words = points.flatMap(({ title, value }) => (value === null ? [] : [title])).join("; ");
  const drawn = h(
    "div",
    { class: "line-place" },
    h("div", { class: "line-axis small muted" }, h("span", {}, write(range.high)), h("span", {}, write(range.low))),
    inChart(drawLine(points, range, kWidth, kLineHeight, words), "chart-line-place"),
  );
  return card("Score", "mean of each", drawn, ends(buckets));
}

class TrendsPage implements View {
  readonly title = "Trends";
  readonly element = h("div", { class: "page trends-page" });
  private readonly content = h("div", { class: "trend-cards" });
  private readonly note = h("p", { class: "muted" });
  private readonly choice = h("select", { name: "analyzer", "aria-label": "Analyzer" });
  private readonly closed = new AbortController();
  private stopped = new AbortController();
  private analyzers: Analyzer[] = [];
  private analyzer: string; // Empty: the overview.
  private span: Span;

  constructor(
    private readonly context: Context,
    route: Route,
  ) {
    this.analyzer = route.parameters.get("analyzer") ?? "";
    this.span = kSpans.find(({ id }) => id === route.parameters.get("span")) ?? kYear;
  }

  shown(): void {
    const spans = h(
      "select",
      {
        name: "span",
        "aria-label": "Time",
        onchange: () => {
          this.span = kSpans.find(({ id }) => id === spans.value) ?? this.span;
          this.changed();
        },
      },
      ...kSpans.map((span) => h("option", { value: span.id, selected: span === this.span }, span.label)),
    );
    this.choice.addEventListener("change", () => {
      this.analyzer = this.choice.value;
      this.changed();
    });
    replace(this.element, h("div", { class: "bar" }, h("h1", {}, "Trends"), h("div", { class: "choosers" }, this.choice, spans)), this.note, this.content);
    if (!may(this.context.session, "read")) {
      replace(this.content, empty("lock", "This key may not read analyses", "Sign in with a key that has the read scope."));
      return;
    }
    this.showChoice();
    void this.loadAnalyzers();
    void this.load();
  }

  close(): void {
    this.closed.abort();
    this.stopped.abort();
  }

  private changed(): void {
    const parameters = new URLSearchParams();
    if (this.analyzer !== "") parameters.set("analyzer", this.analyzer);
    if (this.span !== kYear) parameters.set("span", this.span.id);
    this.context.rewrite(trendsHref(parameters));
    this.showNote();
    void this.load();
  }

  private async loadAnalyzers(): Promise<void> {
    try {
      this.analyzers = await this.context.session.client.analyzers(this.closed.signal);
    } catch {
      return; // What is shown does not depend on it; the choice is then of what the address names.
    }
    if (!this.closed.signal.aborted) this.showChoice();
  }

  private showChoice(): void {
    const names = this.analyzers.map(({ name }) => name);
    if (this.analyzer !== "" && !names.includes(this.analyzer)) names.push(this.analyzer);
    const options = names.map((name) => h("option", { value: name, selected: name === this.analyzer }, titleOf(name)));
    replace(this.choice, h("option", { value: "", selected: this.analyzer === "" }, "Sentiment and topics"), ...options);
    this.showNote();
  }

  private showNote(): void {
    const chosen = this.analyzers.filter(({ name }) => (this.analyzer === "" ? name === "sentiment" || name === "topics" : name === this.analyzer));
    const methods = new Set(chosen.flatMap(({ by }) => (by ? [methodWords(by)] : [])));
    const made = methods.size > 0 ? ` Made by: ${[...methods].join("; ")}.` : "";
    this.note.textContent = `Of the conversations' own time, in UTC.${made}`;
  }

  private async load(): Promise<void> {
    this.stopped.abort();
    this.stopped = new AbortController();
    const { signal } = this.stopped;
    replace(this.content, skeleton(4));
    try {
      const cards = this.analyzer === "" ? await this.overview(signal) : await this.ofOne(this.analyzer, signal);
      if (!signal.aborted) replace(this.content, ...cards);
    } catch (error) {
      if (isAbort(error) || signal.aborted) return;
      replace(this.content, failed(error, () => void this.load()));
    }
  }

  private async buckets(analyzer: string, signal: AbortSignal): Promise<TrendBucket[]> {
    const { client } = this.context.session;
    const { days, bucket } = this.span;
    const from = days === 0 ? "" : new Date(Date.now() - days * 86_400_000).toISOString();
    const { buckets } = await client.trends(analyzer, from, bucket, signal);
    const isFew = buckets.length > 0 && buckets.length < kColumnsMin && bucket !== "day";
    if (!isFew) return filled(buckets, bucket);
    return filled((await client.trends(analyzer, from, "day", signal)).buckets, "day");
  }

  private async overview(signal: AbortSignal): Promise<HTMLElement[]> {
    const [feelings, topics] = await Promise.all([this.buckets("sentiment", signal), this.buckets("topics", signal)]);
    if (feelings.length === 0 && topics.length === 0) return [this.nothing()];
    return [
      ...(feelings.length > 0 ? [feelingsCard(feelings)] : []),
      ...(topics.length > 0 ? [labelsCard("Topics", "topics", topics)] : []),
    ];
  }

  private async ofOne(analyzer: string, signal: AbortSignal): Promise<HTMLElement[]> {
    const buckets = await this.buckets(analyzer, signal);
    const labels = buckets.length === 0 ? null : analyzer === "sentiment" ? feelingsCard(buckets) : byLabel(buckets).length > 0 ? labelsCard(titleOf(analyzer), analyzer, buckets) : null;
    const cards = [labels, scoreCard(buckets)].filter((element) => element !== null);
    return cards.length > 0 ? cards : [this.nothing()];
  }

  private nothing(): HTMLElement {
    const kind = this.analyzers.find(({ name }) => name === this.analyzer)?.kind ?? this.analyzer;
    if (kind === "summary" || kind === "action_items") {
      return empty("trend", "There is nothing to count", "A summary or an action item has neither a label nor a score. Read it on its conversation.");
    }
    const advice = "Conversations are analysed when they have ended, or when their analyzer says. Choose a longer time, or ask for a back-fill under Analyzers.";
    return empty("list", "Nothing was analysed in this time", advice);
  }
}

export function trendsView(context: Context, route: Route): View {
  return new TrendsPage(context, route);
}
