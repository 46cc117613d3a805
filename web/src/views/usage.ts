// What language models cost the company, and what is left of its budgets.
import type { BudgetState, Usage } from "../analysis_types";
import { isAbort } from "../api";
import { h, replace, svg } from "../dom";
import { titleOf } from "../findings";
import { momentOf, number } from "../format";
import { icon } from "../icons";
import { axis, drawColumns } from "../parts/bars";
import { empty, failed, skeleton } from "../parts/states";
import { type Meter, metersOf, monthOf, type Spending, stoppedUntil, sums } from "../spending";
import { usd } from "./backfill_form";
import type { Context } from "../view";

const kMonths = 12;

const amount = (unit: Meter["unit"], value: number): string => (unit === "usd" ? usd(value) : `${number(value)} tokens`);
const kPeriods = { day: "today", month: "this month" };

function bar(meter: Meter): HTMLElement {
  const { unit, spent, held, limit, spentShare, heldShare } = meter;
  const words = `${unit === "usd" ? usd(spent) : number(spent)} of ${amount(unit, limit)}${held > 0 ? `, ${amount(unit, held)} reserved` : ""}`;
  const drawing = svg(
    "svg",
    { class: "meter", viewBox: "0 0 100 8", preserveAspectRatio: "none", "aria-hidden": "true" },
    svg("rect", { class: spentShare >= 1 ? "meter-spent full" : "meter-spent", x: 0, y: 0, width: (spentShare * 100).toFixed(2), height: 8 }),
    svg("rect", { class: "meter-held", x: (spentShare * 100).toFixed(2), y: 0, width: (heldShare * 100).toFixed(2), height: 8 }),
  );
  const element = h("div", {}, h("p", { class: "small" }, words));
  element.append(drawing);
  return element;
}

function budgetCard(budget: BudgetState): HTMLElement {
  const whose = budget.analyzer === null ? "The company" : titleOf(budget.analyzer);
  const meters = metersOf(budget);
  const spent = `${amount("tokens", budget.spent_tokens)}, ${usd(budget.spent_usd)}`;
  const until = stoppedUntil(budget.period, new Date());
  return h(
    "section",
    { class: budget.is_spent ? "card budget is-spent" : "card budget" },
    h("div", { class: "card-head" }, h("h3", {}, `${whose}, ${kPeriods[budget.period]}`)),
    ...(meters.length > 0 ? meters.map(bar) : [h("p", { class: "small muted" }, `${spent}; no limit`)]),
    budget.is_spent && h("p", { class: "stopped" }, icon("warning"), h("span", {}, `Spent: stopped until ${momentOf(until.toISOString())}`)),
  );
}

function spendingTable(rows: Spending[]): HTMLElement {
  const all = rows.reduce((sum, row) => ({ name: "Together", tokens: sum.tokens + row.tokens, usd: sum.usd + row.usd, requests: sum.requests + row.requests }), { name: "", tokens: 0, usd: 0, requests: 0 });
  const line = (row: Spending, name: string): HTMLElement =>
    h(
      "tr",
      {},
      h("th", { scope: "row" }, name),
      h("td", { class: "number" }, number(row.requests)),
      h("td", { class: "number" }, number(row.tokens)),
      h("td", { class: "number" }, usd(row.usd)),
    );
  const heads = ["Analyzer", "Requests", "Tokens", "Cost"];
  return h(
    "table",
    { class: "rows queue" },
    h("thead", {}, h("tr", {}, ...heads.map((head, at) => h("th", { scope: "col", class: at > 0 ? "number" : undefined }, head)))),
    h("tbody", {}, ...rows.map((row) => line(row, titleOf(row.name)))),
    rows.length > 1 && h("tfoot", {}, line(all, all.name)),
  );
}

// Every day of the month, so that a quiet day is seen as one.
function dayChart(usage: Usage): HTMLElement {
  const known = new Map(sums(usage.days, "day").map((day) => [day.name, day]));
  const columns = [];
  for (let at = new Date(`${usage.from}T00:00:00Z`); at.toISOString().slice(0, 10) <= usage.to; at.setUTCDate(at.getUTCDate() + 1)) {
    const day = at.toISOString().slice(0, 10);
    const { tokens, usd: cost } = known.get(day) ?? { tokens: 0, usd: 0 };
    columns.push({ title: `${day}: ${number(tokens)} tokens, ${usd(cost)}`, parts: [{ style: "plain", value: tokens }] });
  }
  const words = columns.filter(({ parts }) => (parts[0]?.value ?? 0) > 0).map(({ title }) => title).join("; ");
  const place = h("div", { class: "chart-tall" });
  place.append(drawColumns(columns, 720, 120, words));
  return h("section", { class: "card" }, h("div", { class: "card-head" }, h("h2", {}, "Tokens a day")), place, axis(usage.from, usage.to));
}

export class UsagePanel {
  readonly element = h("div");
  private readonly content = h("div");
  private back = 0;

  constructor(
    private readonly context: Context,
    private readonly stopped: AbortSignal,
  ) {
    const now = new Date();
    const select = h(
      "select",
      {
        "aria-label": "Month",
        onchange: () => {
          this.back = Number(select.value);
          void this.load();
        },
      },
      ...Array.from({ length: kMonths }, (_, back) => h("option", { value: back }, monthOf(now, back).from.slice(0, 7))),
    );
    replace(this.element, h("div", { class: "bar usage-bar" }, h("p", { class: "muted" }, "Days and months are counted in UTC."), select), this.content);
    void this.load();
  }

  private async load(): Promise<void> {
    const asked = this.back;
    replace(this.content, skeleton(3));
    try {
      const { from, to } = monthOf(new Date(), asked);
      const usage = await this.context.session.client.usage(from, to, this.stopped);
      if (!this.stopped.aborted && asked === this.back) this.show(usage);
    } catch (error) {
      if (isAbort(error) || this.stopped.aborted) return;
      replace(this.content, failed(error, () => void this.load()));
    }
  }

  private show(usage: Usage): void {
    const rows = sums(usage.days, "analyzer");
    // Budgets are of today and of this month, whatever month is looked at.
    const budgets = this.back === 0 ? usage.budgets : [];
    const nothing = "In this month no language model was asked for anything, or the answers were known already.";
    replace(
      this.content,
      ...(this.back === 0 ? usage.stopped.map((why) => h("p", { class: "stopped" }, icon("warning"), h("span", {}, why))) : []),
      budgets.length > 0 && h("div", { class: "cards budgets" }, ...budgets.map(budgetCard)),
      rows.length > 0
        ? h("div", {}, dayChart(usage), h("section", { class: "card" }, h("div", { class: "card-head" }, h("h2", {}, "By analyzer")), spendingTable(rows)))
        : empty("check", "Nothing was spent", nothing),
    );
  }
}
