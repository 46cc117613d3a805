// Analyzers: which a company has, what they cost, and what they were sent over.
import type { Analyzer } from "../analysis_types";
import { isAbort } from "../api";
import { isShippedName } from "../definition";
import { h, replace } from "../dom";
import { methodWords, titleOf } from "../findings";
import { rate, span } from "../format";
import { icon } from "../icons";
import { listKey } from "../parts/list";
import { empty, failed, skeleton } from "../parts/states";
import { toast } from "../parts/toast";
import { analyzerHref, analyzersHref, type Route } from "../route";
import { may } from "../session";
import type { Context, View } from "../view";
import { SettingsPanel } from "./analysis_settings";
import { askBackfill } from "./backfill_form";
import { BackfillList } from "./backfills";
import { UsagePanel } from "./usage";

const kTabs = [
  { id: "", label: "Analyzers" },
  { id: "backfills", label: "Back-fills" },
  { id: "usage", label: "Usage" },
  { id: "settings", label: "Settings" },
];

export function triggerWords({ on, tag, quiet_s, every_s }: Analyzer["trigger"]): string {
  switch (on) {
    case "ended":
      return "when it ends";
    case "turn":
      return `after each turn, ${span((quiet_s ?? 0) * 1000)} of quiet`;
    case "tag":
      return `with the tag ${tag ?? ""}`;
    case "schedule":
      return `every ${span((every_s ?? 0) * 1000)}`;
    case "demand":
      return "when asked";
    default:
      return on;
  }
}

export const makerWords = ({ by }: Analyzer): string => (by ? methodWords(by) : "nothing: it needs a language model");

export function versionWords({ shipped, name, version }: Analyzer): string {
  if (shipped) return "as shipped";
  return isShippedName(name) ? `${version}, changed` : String(version);
}

function row(analyzer: Analyzer): HTMLTableRowElement {
  const { name, description, trigger, priority, sample = 1, active } = analyzer;
  const cell = (label: string, text: string, style = ""): HTMLElement => h("td", { "data-label": label, class: style === "" ? undefined : style }, text);
  return h(
    "tr",
    { class: active ? undefined : "inactive" },
    h(
      "th",
      { scope: "row" },
      h("a", { href: analyzerHref(name), "data-row": name }, titleOf(name)),
      description ? h("span", { class: "small muted wrap", dir: "auto" }, description) : null,
    ),
    cell("Made by", makerWords(analyzer), analyzer.by ? "" : "worry"),
    cell("Version", versionWords(analyzer)),
    cell("Runs", triggerWords(trigger)),
    cell("Priority", priority),
    cell("Sample", `${rate(sample * 100)} %`, "number"),
    h("td", { "data-label": "State" }, h("span", { class: active ? "badge status-open" : "badge" }, active ? "active" : "off")),
  );
}

class AnalyzersPage implements View {
  readonly title = "Analyzers";
  readonly element = h("div", { class: "page analyzers-page" });
  private readonly content = h("div", { class: "tab-content" });
  private readonly rows = h("tbody");
  private readonly stopped = new AbortController();
  private readonly tab: string;
  private analyzers: Analyzer[] | null = null;
  private backfills: BackfillList | null = null;

  constructor(
    private readonly context: Context,
    route: Route,
  ) {
    const tab = route.parameters.get("tab") ?? "";
    this.tab = kTabs.some(({ id }) => id === tab) ? tab : "";
  }

  shown(): void {
    const isEditor = may(this.context.session, "admin");
    const links = kTabs.map(({ id, label }) =>
      h("a", { href: analyzersHref(id), "aria-current": id === this.tab ? "page" : undefined }, label),
    );
    const buttons = [
      h("button", { type: "button", onclick: () => void this.startBackfill() }, icon("redo"), "Back-fill…"),
      h("button", { type: "button", class: "primary", onclick: () => this.context.go("#/analyzers?new=") }, icon("plus"), "New analyzer"),
    ];
    replace(
      this.element,
      h("div", { class: "page-head" }, h("h1", {}, "Analyzers"), isEditor && h("div", { class: "head-buttons" }, ...buttons)),
      h("nav", { class: "tabs", "aria-label": "Of analyzers" }, ...links),
      this.content,
    );
    if (!may(this.context.session, "read")) {
      replace(this.content, empty("lock", "This key may not read analyzers", "Sign in with a key that has the read scope."));
      return;
    }
    const { signal } = this.stopped;
    if (this.tab === "backfills") {
      this.backfills = new BackfillList(this.context, signal);
      replace(this.content, this.backfills.element);
    } else if (this.tab === "usage") {
      replace(this.content, new UsagePanel(this.context, signal).element);
    } else if (this.tab === "settings") {
      replace(this.content, new SettingsPanel(this.context, signal).element);
    } else {
      void this.load();
    }
  }

  key(event: KeyboardEvent): boolean {
    return this.tab === "" && listKey(this.rows, event);
  }

  close(): void {
    this.stopped.abort();
  }

  private async read(): Promise<Analyzer[]> {
    this.analyzers ??= await this.context.session.client.analyzers(this.stopped.signal);
    return this.analyzers;
  }

  private async load(): Promise<void> {
    replace(this.content, skeleton(6));
    try {
      const analyzers = await this.read();
      if (!this.stopped.signal.aborted) this.showList(analyzers);
    } catch (error) {
      if (isAbort(error) || this.stopped.signal.aborted) return;
      replace(this.content, failed(error, () => void this.load()));
    }
  }

  private showList(analyzers: Analyzer[]): void {
    const heads = ["Analyzer", "Made by", "Version", "Runs", "Priority", "Sample", "State"];
    replace(this.rows, ...analyzers.map(row));
    const hasModel = analyzers.some(({ by }) => by === "lm");
    const advice = "No language model is set up on this server: summary, sentiment and topics are taken from the conversations' own words, and the other kinds wait for one.";
    replace(
      this.content,
      hasModel ? null : h("p", { class: "note-line" }, icon("warning"), h("span", {}, advice)),
      h(
        "table",
        { class: "rows browse analyzers" },
        h("thead", {}, h("tr", {}, ...heads.map((head) => h("th", { scope: "col", class: head === "Sample" ? "number" : undefined }, head)))),
        this.rows,
      ),
    );
    // As among the conversations, the whole row opens it.
    this.rows.addEventListener("click", (event) => {
      if (!(event.target instanceof Element) || event.target.closest("a") !== null || getSelection()?.isCollapsed === false) return;
      const name = event.target.closest("tr")?.querySelector<HTMLElement>("[data-row]")?.dataset["row"];
      if (name !== undefined) this.context.go(analyzerHref(name));
    });
  }

  private async startBackfill(): Promise<void> {
    try {
      const analyzers = await this.read();
      askBackfill(this.context.session.client, analyzers, [], () => {
        toast("The back-fill has started");
        if (this.backfills === null) this.context.go(analyzersHref("backfills"));
        else void this.backfills.load();
      });
    } catch (error) {
      if (!isAbort(error)) replace(this.content, failed(error, () => void this.startBackfill()));
    }
  }
}

export function analyzersView(context: Context, route: Route): View {
  return new AnalyzersPage(context, route);
}
