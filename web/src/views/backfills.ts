// The back-fills of a company, watched while any of them runs.
import type { Backfill, BackfillAction, BackfillFilter } from "../analysis_types";
import { isAbort } from "../api";
import { h, replace } from "../dom";
import { explain } from "../errors";
import { titleOf } from "../findings";
import { dateOf, exactOf, momentOf, number } from "../format";
import { icon } from "../icons";
import { confirmThen } from "../parts/dialog";
import { empty, failed, skeleton } from "../parts/states";
import { toast } from "../parts/toast";
import { may } from "../session";
import type { Context } from "../view";
import { usd } from "./backfill_form";

const kPollMs = 2_000;

function filterWords({ analyzers = [], from, to, channel, source }: BackfillFilter): string {
  const times = from || to ? `${from ? dateOf(from) : "the beginning"} to ${to ? dateOf(to) : "now"}` : "";
  const what = analyzers.length > 0 ? analyzers.map(titleOf).join(", ") : "All analyzers";
  return [what, times, channel ? `channel ${channel}` : "", source ? `source ${source}` : ""].filter((part) => part !== "").join(" · ");
}

// Rows stay and change, so that a button that has the focus keeps it.
class Row {
  readonly element: HTMLElement;
  private readonly bar = h("progress", { max: 1, value: 0 });
  private readonly state = h("span", { class: "badge" });
  private readonly facts = h("p", { class: "small muted" });
  private readonly buttons = h("div", { class: "row-buttons" });
  private shownState = "";

  constructor(
    backfill: Backfill,
    private readonly isEditor: boolean,
    private readonly act: (id: string, action: BackfillAction) => void,
  ) {
    const { filter, created_at } = backfill;
    this.bar.setAttribute("aria-label", `Progress of ${filterWords(filter)}`);
    this.element = h(
      "li",
      { class: "card backfill" },
      h("div", { class: "card-head" }, h("h3", { class: "wrap" }, filterWords(filter)), this.state),
      this.bar,
      this.facts,
      h("p", { class: "small muted" }, "Started ", h("time", { datetime: created_at, title: exactOf(created_at) }, momentOf(created_at))),
      this.buttons,
    );
    this.show(backfill);
  }

  show({ id, state, total, seen, asked, waiting, estimate }: Backfill): void {
    // Where nothing fits the filter all of it is done.
    this.bar.max = Math.max(1, total);
    this.bar.value = total === 0 && state === "done" ? 1 : Math.min(asked, total);
    const facts = [
      `${number(asked)} of ${number(total)} conversations`,
      `${number(seen)} looked at`,
      waiting > 0 ? `${number(waiting)} jobs waiting` : "",
      estimate?.usd ? `estimated at ${usd(estimate.usd)}` : "",
    ];
    this.facts.textContent = facts.filter((fact) => fact !== "").join(" · ");
    if (state === this.shownState) return;
    this.shownState = state;
    this.state.textContent = state;
    this.state.className = `badge backfill-${state}`;
    const button = (label: string, action: BackfillAction, name: "pause" | "play" | "close"): HTMLElement =>
      h("button", { type: "button", class: "small-button", onclick: () => this.act(id, action) }, icon(name), label);
    const buttons = [
      state === "running" ? button("Pause", "pause", "pause") : null,
      state === "paused" ? button("Resume", "resume", "play") : null,
      state === "running" || state === "paused" ? button("Cancel", "cancel", "close") : null,
    ];
    const hadFocus = this.buttons.contains(document.activeElement);
    replace(this.buttons, ...(this.isEditor ? buttons : []));
    if (hadFocus) this.buttons.querySelector("button")?.focus();
  }
}

export class BackfillList {
  readonly element = h("div");
  private readonly list = h("ul", { class: "backfills" });
  private readonly rows = new Map<string, Row>();
  private timer: ReturnType<typeof setTimeout> | undefined;

  // Stops with `stopped`.
  constructor(
    private readonly context: Context,
    private readonly stopped: AbortSignal,
  ) {
    stopped.addEventListener("abort", () => clearTimeout(this.timer));
    document.addEventListener("visibilitychange", () => void this.load(), { signal: stopped });
    replace(this.element, skeleton(3));
    void this.load();
  }

  async load(): Promise<void> {
    clearTimeout(this.timer);
    if (document.hidden || this.stopped.aborted) return;
    try {
      const backfills = await this.context.session.client.backfills(this.stopped);
      if (this.stopped.aborted) return;
      this.show(backfills);
    } catch (error) {
      if (isAbort(error) || this.stopped.aborted) return;
      this.rows.clear();
      replace(this.element, failed(error, () => void this.load()));
    }
  }

  private show(backfills: Backfill[]): void {
    if (backfills.length === 0) {
      replace(this.element, empty("redo", "No back-fill yet", "Analyzers look at what happens from now on. A back-fill has them look at what was there before."));
      return;
    }
    if (this.list.parentElement !== this.element) replace(this.element, this.list);
    const isEditor = may(this.context.session, "admin");
    for (const [at, backfill] of backfills.entries()) {
      const known = this.rows.get(backfill.id);
      known?.show(backfill);
      const row = known ?? new Row(backfill, isEditor, (id, action) => this.ask(id, action));
      this.rows.set(backfill.id, row);
      // Only a new one is put in its place: moving a row would take its focus.
      if (known === undefined) this.list.insertBefore(row.element, this.list.children[at] ?? null);
    }
    const isBusy = backfills.some(({ state, waiting }) => state === "running" || (state === "done" && waiting > 0));
    clearTimeout(this.timer);
    if (isBusy) this.timer = setTimeout(() => void this.load(), kPollMs);
  }

  private ask(id: string, action: BackfillAction): void {
    if (action !== "cancel") {
      void this.change(id, action).catch((error: unknown) => {
        const { title, remedy } = explain(error);
        toast(`${title}. ${remedy}`, "bad");
      });
      return;
    }
    confirmThen({
      title: "Cancel this back-fill?",
      text: "What it has asked for already is still made; the rest is not. It cannot be resumed.",
      action: "Cancel it",
      tone: "danger",
      run: () => this.change(id, action),
    });
  }

  private async change(id: string, action: BackfillAction): Promise<void> {
    this.rows.get(id)?.show(await this.context.session.client.changeBackfill(id, action));
    await this.load();
  }
}
