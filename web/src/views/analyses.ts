// What was concluded from a conversation, what made each conclusion, and what could not be concluded.
import type { Analysis, Analyzer, Question } from "../analysis_types";
import { type Conversation, type DeadLetter, isAbort } from "../api";
import { h, replace } from "../dom";
import { explain } from "../errors";
import { methodWords, readFinding, titleOf } from "../findings";
import { exactOf, momentOf, plural } from "../format";
import { icon } from "../icons";
import { confirmThen, openDialog } from "../parts/dialog";
import { toast } from "../parts/toast";
import { may } from "../session";
import type { Context } from "../view";
import { findingBody, type Show } from "./finding_body";
import { editScorecard, overrideNote, scorecardBody } from "./scorecard";

// The dead letters have no filter by conversation: older ones than these are on their own page.
const kLettersRead = 200;
const kJobs = new Set(["analyze", "lm", "lm_batch", "lm_bulk", "lm_critical"]);
// Asked again after so long, each time later, when something was asked for.
const kWatchMs = [1_000, 2_000, 3_000, 5_000, 10_000, 20_000, 40_000];

const kOrder = ["summary", "sentiment", "topics", "intent", "resolution", "action_items"];

// Of what the rules know; each is looked at on an occasion.
const kReports = new Set(["manipulation", "pii"]);

// As one reads them: what happened first, then the company's own, the reports last.
function ordered(analyses: Analysis[]): Analysis[] {
  const place = ({ analyzer }: Analysis): number => {
    if (kReports.has(analyzer)) return kOrder.length + 1;
    const at = kOrder.indexOf(analyzer);
    return at < 0 ? kOrder.length : at;
  };
  return [...analyses].sort((a, b) => place(a) - place(b) || a.analyzer.localeCompare(b.analyzer));
}

export class AnalysesPanel {
  readonly element = h("details", { class: "analyses" });
  private readonly stopped: AbortSignal;
  private analyzers: Analyzer[] = [];
  private readonly cards = new Map<string, Question[]>(); // Of the versions that made the analyses.
  private failures: DeadLetter[] = [];
  private timer: ReturnType<typeof setTimeout> | undefined;
  private shown = "";

  // `show` brings the reader to a turn. Stops with `stopped`.
  constructor(
    private readonly context: Context,
    private conversation: Conversation,
    private readonly show: Show,
    stopped: AbortSignal,
  ) {
    this.stopped = stopped;
    stopped.addEventListener("abort", () => clearTimeout(this.timer));
    // On a phone they would push what was said out of sight.
    this.element.open = matchMedia("(min-width: 901px)").matches;
    this.render();
    void this.loadAround();
  }

  // The questions of score cards and the failures; without them the page is still of use.
  private async loadAround(): Promise<void> {
    const { client } = this.context.session;
    const [analyzers, letters] = await Promise.allSettled([
      client.analyzers(this.stopped),
      client.deadLetters("", this.stopped, kLettersRead),
    ]);
    if (this.stopped.aborted) return;
    if (analyzers.status === "fulfilled") {
      this.analyzers = analyzers.value;
      await this.loadCards();
    }
    if (letters.status === "fulfilled") {
      this.failures = letters.value.dead_letters.filter(
        ({ conversation_id, kind }) => conversation_id === this.conversation.id && kJobs.has(kind),
      );
    }
    this.render();
  }

  // A card is read and corrected with the questions it was made with, whatever is asked since.
  private async loadCards(): Promise<void> {
    for (const { analyzer, version, result } of this.conversation.analyses ?? []) {
      if (readFinding(result).kind !== "scorecard") continue;
      const inForce = this.analyzers.find(({ name }) => name === analyzer);
      let made = inForce?.version === version ? inForce : undefined;
      try {
        made ??= (await this.context.session.client.analyzer(analyzer, this.stopped)).versions.find((one) => one.version === version);
      } catch {
        // Deleted since: the answers are shown by their ids.
      }
      this.cards.set(analyzer, (made ?? inForce)?.questions ?? []);
    }
  }

  private render(): void {
    const { analyses = [] } = this.conversation;
    // Nothing that a reader opened is closed for news that are none.
    const shown = JSON.stringify([analyses, this.analyzers, [...this.cards], this.failures]);
    if (shown === this.shown) return;
    this.shown = shown;
    const isEditor = may(this.context.session, "admin");
    const now = h("button", { type: "button", class: "small-button", onclick: () => this.askAnalyse() }, icon("redo"), "Analyse now");
    const count = analyses.length > 0 ? h("span", { class: "count plain" }, analyses.length) : null;
    const nothing = "None yet. Conversations are analysed when they have ended.";
    // The focus would be lost with the button that had it.
    const held = this.element.contains(document.activeElement) ? document.activeElement?.textContent : null;
    replace(
      this.element,
      h("summary", {}, h("h2", {}, "Analyses"), count),
      isEditor && h("div", { class: "analyses-bar" }, now),
      this.failureList(),
      analyses.length === 0 && h("p", { class: "muted" }, nothing),
      ...ordered(analyses).map((analysis) => this.section(analysis)),
    );
    if (held === null) return;
    [...this.element.querySelectorAll("button")].find((button) => button.textContent === held)?.focus({ preventScroll: true });
  }

  private section(analysis: Analysis): HTMLElement {
    const finding = readFinding(analysis.result);
    const isCard = finding.kind === "scorecard";
    const body = isCard
      ? scorecardBody(analysis, this.cards.get(analysis.analyzer) ?? [], this.show)
      : findingBody(analysis.analyzer, finding, analysis.labels, this.show);
    return h(
      "section",
      { class: "about-section" },
      h("h3", {}, titleOf(analysis.analyzer)),
      this.mark(analysis),
      ...body.filter((element) => element !== null),
      !isCard && analysis.override ? this.correction(analysis) : null,
      may(this.context.session, "admin") && (isCard || analysis.override) ? this.overrideBar(analysis, isCard) : null,
    );
  }

  private mark(analysis: Analysis): HTMLElement {
    const { method, version, created_at, revision } = analysis;
    const isOld = revision < (this.conversation.revision ?? revision);
    return h(
      "p",
      { class: "made", title: exactOf(created_at) },
      `${methodWords(method)} · version ${version}`,
      isOld && h("span", { class: "badge old" }, "of an earlier revision"),
    );
  }

  private correction({ analyzer, override }: Analysis): HTMLElement | null {
    if (!override) return null;
    return h(
      "div",
      { class: "correction" },
      h("h4", {}, "A person says"),
      ...findingBody(analyzer, readFinding(override.result), [], this.show).filter((element) => element !== null),
      overrideNote(override),
    );
  }

  private overrideBar(analysis: Analysis, isCard: boolean): HTMLElement {
    const questions = this.cards.get(analysis.analyzer) ?? [];
    const { client } = this.context.session;
    const edit = (): void => editScorecard(client, this.conversation.id, analysis, questions, () => void this.refresh());
    const name = titleOf(analysis.analyzer);
    return h(
      "div",
      { class: "override-bar" },
      isCard && questions.length > 0 &&
        h("button", { type: "button", class: "small-button", "aria-label": `${analysis.override ? "Change" : "Correct"} ${name}`, onclick: edit }, icon("edit"), analysis.override ? "Change" : "Correct…"),
      analysis.override &&
        h("button", { type: "button", class: "small-button", "aria-label": `Remove what a person says of ${name}`, onclick: () => this.askRemove(analysis) }, icon("trash"), "Remove"),
    );
  }

  private askRemove({ analyzer }: Analysis): void {
    confirmThen({
      title: "Remove what a person says?",
      text: `What was said of “${titleOf(analyzer)}” by hand goes; what the machine found stays.`,
      action: "Remove",
      tone: "danger",
      run: async () => {
        await this.context.session.client.deleteOverride(this.conversation.id, analyzer);
        await this.refresh();
      },
    });
  }

  private failureList(): HTMLElement | null {
    if (this.failures.length === 0) return null;
    const isEditor = may(this.context.session, "admin");
    const items = this.failures.map((letter) =>
      h(
        "li",
        {},
        h("p", { class: "wrap", dir: "auto" }, letter.cause),
        h("p", { class: "small muted" }, `Given up after ${plural(letter.attempts, "attempt", "attempts")}, `, h("time", { datetime: letter.given_up_at, title: exactOf(letter.given_up_at) }, momentOf(letter.given_up_at))),
        isEditor && h("button", { type: "button", class: "small-button", onclick: () => this.retry(letter) }, icon("redo"), "Try again"),
      ),
    );
    return h(
      "section",
      { class: "failures", "aria-label": "Analyses that failed" },
      h("h3", {}, icon("warning"), "Failed"),
      h("ul", {}, ...items),
      h("a", { class: "small", href: "#/dead-letters" }, "All dead letters"),
    );
  }

  private async retry(letter: DeadLetter): Promise<void> {
    try {
      await this.context.session.client.redrive([letter.id]);
      this.failures = this.failures.filter(({ id }) => id !== letter.id);
      this.render();
      toast("It is being tried again");
      this.watch(0);
    } catch (error) {
      const { title, remedy } = explain(error);
      toast(`${title}. ${remedy}`, "bad");
    }
  }

  private askAnalyse(): void {
    const active = this.analyzers.filter((analyzer) => analyzer.active);
    const boxes = active.map(({ name }) => h("input", { type: "checkbox", value: name }));
    const problem = h("p", { class: "problem", role: "alert" });
    const start = h("button", { type: "submit", class: "primary" }, "Analyse");
    const submit = async (event: SubmitEvent): Promise<void> => {
      event.preventDefault();
      start.disabled = true;
      const names = boxes.filter((box) => box.checked).map(({ value }) => value);
      try {
        const { queued } = await this.context.session.client.analyse(this.conversation.id, names);
        dialog.close();
        toast(queued.length > 0 ? `Queued: ${queued.map(titleOf).join(", ")}` : "There is nothing to do");
        this.watch(0);
      } catch (error) {
        const { title, remedy } = explain(error);
        problem.textContent = `${title}. ${remedy}`;
        start.disabled = false;
      }
    };
    const dialog = openDialog(
      "Analyse this conversation now",
      h("p", { class: "muted small" }, "All that are active, or only those you choose. What is known of this revision is not made again."),
      h(
        "form",
        { class: "form", onsubmit: submit },
        h(
          "fieldset",
          { class: "choices" },
          h("legend", { class: "sr-only" }, "Analyzers"),
          ...active.map(({ name }, at) => h("label", {}, boxes[at], titleOf(name))),
        ),
        problem,
        h("div", { class: "dialog-actions" }, h("button", { type: "button", onclick: () => dialog.close() }, "Cancel"), start),
      ),
    );
    start.focus();
  }

  // Looks for what comes, some times over.
  private watch(round: number): void {
    clearTimeout(this.timer);
    const pause = kWatchMs[round];
    if (pause === undefined || this.stopped.aborted) return;
    this.timer = setTimeout(() => void this.refresh().then((isThere) => isThere && this.watch(round + 1)), pause);
  }

  private async refresh(): Promise<boolean> {
    const { client } = this.context.session;
    try {
      const fresh = await client.conversation(this.conversation.id, this.stopped);
      if (this.stopped.aborted) return false;
      this.conversation = { ...this.conversation, analyses: fresh.analyses ?? [] };
      await this.loadAround();
      return true;
    } catch (error) {
      if (!isAbort(error) && !this.stopped.aborted) toast(explain(error).title, "bad");
      return false;
    }
  }
}
