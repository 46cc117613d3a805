// Live: what is stored, how fast it moves, and what waits.
import { isAbort, type QueueKind, type Status } from "../api";
import { h, replace } from "../dom";
import { bytes, compact, number, rate, span } from "../format";
import { icon } from "../icons";
import { drawChart } from "../parts/chart";
import { empty, failed, firstConversation, skeleton } from "../parts/states";
import { explain } from "../errors";
import { RateHistory } from "../rates";
import { may, type Session } from "../session";
import type { Context, View } from "../view";

const kPollMs = 2000;
const kKeptMs = 5 * 60_000;
// A job that has waited this long deserves a look.
const kLateMs = 60_000;

// The lines go on where they were when the reader comes back to this page; gone with the session.
const histories = new WeakMap<Session, { accepted: RateHistory; indexed: RateHistory }>();

function historiesOf(session: Session): { accepted: RateHistory; indexed: RateHistory } {
  const known = histories.get(session);
  if (known !== undefined) return known;
  const made = { accepted: new RateHistory(kKeptMs), indexed: new RateHistory(kKeptMs) };
  histories.set(session, made);
  return made;
}

class Tile {
  readonly element: HTMLElement;
  private readonly value = h("span", { class: "tile-value" }, "–");
  private readonly note = h("span", { class: "tile-note" });

  constructor(label: string) {
    this.element = h("div", { class: "tile" }, h("span", { class: "tile-label" }, label), this.value, this.note);
  }

  show(value: string, note = "", isWorry = false): void {
    this.value.textContent = value;
    this.note.textContent = note;
    this.element.classList.toggle("worry", isWorry);
  }
}

class RateCard {
  readonly element: HTMLElement;
  private readonly value = h("span", { class: "rate-value" }, "–");
  private readonly peak = h("span", { class: "muted small" });
  private readonly place = h("div", { class: "chart-place" });

  constructor(
    private readonly label: string,
    private readonly history: RateHistory,
  ) {
    this.element = h(
      "section",
      { class: "card" },
      h("div", { class: "card-head" }, h("h2", {}, label), this.peak),
      h("p", { class: "rate" }, this.value, h("span", { class: "muted" }, " per second")),
      this.place,
      h("div", { class: "chart-axis small muted" }, h("span", {}, "5 min ago"), h("span", {}, "now")),
    );
  }

  show(now: number, total: number): void {
    this.history.add(now, total);
    const current = this.history.now;
    this.value.textContent = current === null ? "–" : rate(current);
    this.peak.textContent = this.history.max > 0 ? `highest ${rate(this.history.max)}` : "";
    const words = `${this.label}, last 5 minutes: ${rate(current ?? 0)} per second now, ${rate(this.history.max)} at most`;
    replace(this.place, drawChart(this.history, now, kKeptMs, words));
  }
}

function queueRow(kind: QueueKind): HTMLElement {
  const isLate = kind.oldest_age_ms >= kLateMs;
  const count = (label: string, value: number): HTMLElement =>
    h("td", { class: `number${value === 0 ? " nil" : ""}`, "data-label": label }, number(value));
  const isIdle = kind.ready + kind.delayed + kind.leased === 0;
  return h(
    "tr",
    {},
    h("th", { scope: "row" }, kind.kind),
    count("Ready", kind.ready),
    count("Delayed", kind.delayed),
    count("At work", kind.leased),
    h(
      "td",
      { class: `number${isLate ? " late" : ""}${isIdle ? " nil" : ""}`, "data-label": "Oldest" },
      isLate && icon("warning"),
      isIdle ? "–" : span(kind.oldest_age_ms),
    ),
    h(
      "td",
      { class: `number${kind.dead === 0 ? " nil" : ""}`, "data-label": "Dead" },
      kind.dead > 0 ? h("a", { href: "#/dead-letters" }, number(kind.dead)) : "0",
    ),
  );
}

class LivePage implements View {
  readonly title = "Live";
  readonly element = h("div", { class: "page live-page" });
  private readonly tiles = {
    conversations: new Tile("Conversations"),
    events: new Tile("Events"),
    chunks: new Tile("Chunks"),
    pending: new Tile("Without vector"),
  };
  private readonly accepted: RateCard;
  private readonly indexed: RateCard;
  private readonly queue = h("tbody");
  private readonly state = h("p", { class: "live-state", role: "status" });
  private readonly teach = h("div");
  private readonly stopped = new AbortController();
  private timer: ReturnType<typeof setTimeout> | undefined;
  private isBuilt = false;

  constructor(private readonly context: Context) {
    const { accepted, indexed } = historiesOf(context.session);
    this.accepted = new RateCard("Accepted", accepted);
    this.indexed = new RateCard("Indexed", indexed);
  }

  shown(): void {
    replace(this.element, h("h1", {}, "Live"), skeleton(6));
    if (!may(this.context.session, "read")) {
      const advice = "Sign in with a key that has the read scope.";
      replace(this.element, h("h1", {}, "Live"), empty("lock", "This key may not read the status", advice));
      return;
    }
    document.addEventListener("visibilitychange", () => void this.poll(), { signal: this.stopped.signal });
    void this.poll();
  }

  close(): void {
    this.stopped.abort();
    clearTimeout(this.timer);
  }

  private async poll(): Promise<void> {
    clearTimeout(this.timer);
    if (document.hidden || this.stopped.signal.aborted) return;
    try {
      const status = await this.context.session.client.status(this.stopped.signal);
      if (this.stopped.signal.aborted) return;
      if (!this.isBuilt) this.build();
      this.show(status);
    } catch (error) {
      if (isAbort(error) || this.stopped.signal.aborted) return;
      this.showTrouble(error);
    }
    clearTimeout(this.timer);
    this.timer = setTimeout(() => void this.poll(), kPollMs);
  }

  private build(): void {
    this.isBuilt = true;
    const heads = ["Kind", "Ready", "Delayed", "At work", "Oldest", "Dead"];
    replace(
      this.element,
      h("div", { class: "page-head" }, h("h1", {}, "Live"), this.state),
      this.teach,
      h("div", { class: "tiles" }, ...Object.values(this.tiles).map((tile) => tile.element)),
      h("div", { class: "cards" }, this.accepted.element, this.indexed.element),
      h(
        "section",
        { class: "card" },
        h("div", { class: "card-head" }, h("h2", {}, "Queue"), h("span", { class: "muted small" }, "Jobs by kind")),
        h(
          "table",
          { class: "rows queue" },
          h("thead", {}, h("tr", {}, ...heads.map((head, at) => h("th", { scope: "col", class: at > 0 ? "number" : undefined }, head)))),
          this.queue,
        ),
      ),
    );
  }

  private show(status: Status): void {
    const now = performance.now();
    const { tiles } = this;
    tiles.conversations.show(compact(status.conversations), `${compact(status.turns)} turns`);
    tiles.events.show(compact(status.events), "accepted and kept");
    tiles.chunks.show(compact(status.chunks), status.index ? `index ${bytes(status.index.bytes)}` : "");
    const pending = status.chunks_without_vector;
    tiles.pending.show(compact(pending), pending === 0 ? "all found by meaning" : "found by words only", pending > 0);
    this.accepted.show(now, status.accepted_total);
    this.indexed.show(now, status.indexed_total);
    this.showQueue(status.queue);
    const { embedder } = status;
    const isAway = embedder?.ready === false;
    this.state.className = `live-state ${isAway ? "away" : "fine"}`;
    const text = embedder === undefined ? "Updated every 2 s" : isAway ? `Embedder ${embedder.model} is away` : `Embedder ${embedder.model} ready`;
    // Said anew only when it changes: this is a live region.
    if (this.state.textContent !== text) this.state.textContent = text;
    const isEmpty = status.conversations === 0 && status.events === 0;
    if (isEmpty && this.teach.childElementCount === 0) {
      replace(this.teach, empty("pulse", "Waiting for the first conversation", "Send one and watch the counters:", firstConversation()));
    } else if (!isEmpty) {
      replace(this.teach);
    }
  }

  private showQueue(kinds: QueueKind[]): void {
    const nothing = h("tr", {}, h("td", { colspan: 6, class: "muted" }, "Nothing waits: every event has been worked off."));
    replace(this.queue, ...(kinds.length > 0 ? kinds.map(queueRow) : [nothing]));
  }

  private showTrouble(error: unknown): void {
    if (!this.isBuilt) {
      replace(this.element, h("h1", {}, "Live"), failed(error, () => void this.poll()));
      return;
    }
    this.state.className = "live-state away";
    this.state.textContent = `${explain(error).title}; trying again every 2 s`;
  }
}

export function liveView(context: Context): View {
  return new LivePage(context);
}
