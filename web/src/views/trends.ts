// Trends: how the customers feel and what they talk of, over time.
import { isAbort, type TrendBucket, type Trends } from "../api";
import { h, replace, svg } from "../dom";
import { number, plural } from "../format";
import { empty, failed, skeleton } from "../parts/states";
import { searchHref } from "../route";
import { may } from "../session";
import type { Context, View } from "../view";
import { signed } from "./analyses";

const kFeelings = ["negative", "mixed", "neutral", "positive"] as const;
const kSpans = [
  { label: "Last 30 days", days: 30, bucket: "day" },
  { label: "Last 12 months", days: 365, bucket: "week" },
  { label: "All time", days: 0, bucket: "month" },
] as const;
type Span = (typeof kSpans)[number];
const kColumnsMin = 3; // Fewer months are shown by day.
const kTopicsShown = 20;
const kWidth = 720;
const kHeight = 180;

// One column a bucket, its labels one on the other; as high as the fullest.
function drawColumns(buckets: TrendBucket[]): SVGElement {
  const most = Math.max(1, ...buckets.map(({ count }) => count));
  const words = buckets.map(({ from, count, score }) => `${from}: ${number(count)}, ${signed(score ?? 0)}`).join("; ");
  const chart = svg("svg", { viewBox: `0 0 ${kWidth} ${kHeight}`, class: "columns-chart", role: "img", "aria-label": words });
  const step = kWidth / Math.max(buckets.length, 12);
  for (const [i, bucket] of buckets.entries()) {
    let y = kHeight;
    const column = svg("g", {}, svg("title", {}, `${bucket.from}: ${plural(bucket.count, "conversation", "conversations")}, score ${signed(bucket.score ?? 0)}`));
    for (const feeling of kFeelings) {
      const height = ((bucket.labels[feeling] ?? 0) / most) * kHeight;
      if (height === 0) continue;
      y -= height;
      column.append(
        svg("rect", { class: `share ${feeling}`, x: (i * step + 1).toFixed(1), y: y.toFixed(1), width: Math.max(1, step - 2).toFixed(1), height: height.toFixed(1) }),
      );
    }
    chart.append(column);
  }
  return chart;
}

function totals(buckets: TrendBucket[]): Map<string, number> {
  const sums = new Map<string, number>();
  for (const { labels } of buckets) {
    for (const [label, count] of Object.entries(labels)) sums.set(label, (sums.get(label) ?? 0) + count);
  }
  return sums;
}

function feelingsCard({ buckets }: Trends): HTMLElement {
  const sums = totals(buckets);
  const legend = kFeelings.map((feeling) =>
    h(
      "li",
      {},
      h("a", { class: `tag feeling ${feeling}`, href: searchHref(new URLSearchParams({ sentiment: feeling })) }, feeling),
      h("span", {}, number(sums.get(feeling) ?? 0)),
    ),
  );
  return h(
    "section",
    { class: "card" },
    h("div", { class: "card-head" }, h("h2", {}, "Sentiment")),
    drawColumns(buckets),
    h("div", { class: "chart-axis small muted" }, h("span", {}, buckets[0]?.from ?? ""), h("span", {}, buckets.at(-1)?.from ?? "")),
    h("ul", { class: "legend" }, ...legend),
  );
}

function topicsCard({ buckets }: Trends): HTMLElement {
  const most = [...totals(buckets)].sort((a, b) => b[1] - a[1] || a[0].localeCompare(b[0])).slice(0, kTopicsShown);
  const items = most.map(([topic, count]) =>
    h("li", {}, h("a", { class: "tag", href: searchHref(new URLSearchParams({ topic })) }, topic), h("span", { class: "muted small" }, number(count))),
  );
  return h(
    "section",
    { class: "card" },
    h("div", { class: "card-head" }, h("h2", {}, "Topics")),
    h("ol", { class: "topics" }, ...items),
  );
}

class TrendsPage implements View {
  readonly title = "Trends";
  readonly element = h("div", { class: "page trends-page" });
  private readonly content = h("div", { class: "cards" });
  private stopped = new AbortController();
  private span: Span = kSpans[1];

  constructor(private readonly context: Context) {}

  shown(): void {
    const select = h(
      "select",
      {
        name: "span",
        "aria-label": "Time",
        onchange: () => {
          this.span = kSpans.find(({ label }) => label === select.value) ?? this.span;
          void this.load();
        },
      },
      ...kSpans.map((span) => h("option", { value: span.label, selected: span === this.span }, span.label)),
    );
    const note = "From the words of the conversations that have ended, by lexicons; no language model has read them.";
    replace(this.element, h("div", { class: "bar" }, h("h1", {}, "Trends"), select), h("p", { class: "muted" }, note), this.content);
    void this.load();
  }

  close(): void {
    this.stopped.abort();
  }

  private async load(): Promise<void> {
    if (!may(this.context.session, "read")) {
      replace(this.content, empty("lock", "This key may not read analyses", "Sign in with a key that has the read scope."));
      return;
    }
    this.stopped.abort();
    this.stopped = new AbortController();
    const { signal } = this.stopped;
    const { client } = this.context.session;
    const { days, bucket } = this.span;
    const from = days === 0 ? "" : new Date(Date.now() - days * 86_400_000).toISOString();
    replace(this.content, skeleton(4));
    try {
      const [coarse, topics] = await Promise.all([
        client.trends("sentiment", from, bucket, signal),
        client.trends("topics", from, "month", signal),
      ]);
      const isFew = coarse.buckets.length > 0 && coarse.buckets.length < kColumnsMin && bucket !== "day";
      const feelings = isFew ? await client.trends("sentiment", from, "day", signal) : coarse;
      if (signal.aborted) return;
      if (feelings.buckets.length === 0) {
        const advice = "Conversations are analysed when they have ended. Choose a longer time, or wait for one to end.";
        replace(this.content, empty("list", "Nothing was analysed in this time", advice));
        return;
      }
      replace(this.content, feelingsCard(feelings), topicsCard(topics));
    } catch (error) {
      if (isAbort(error) || signal.aborted) return;
      replace(this.content, failed(error, () => void this.load()));
    }
  }
}

export function trendsView(context: Context): View {
  return new TrendsPage(context);
}
