// One conversation: what was said, where the search found it, and what can be done with it.
import { type Conversation, isAbort } from "../api";
import { h, replace } from "../dom";
import { explain } from "../errors";
import { nameOf, plural } from "../format";
import { type Found, parseFound, stopsOf } from "../hits";
import { icon } from "../icons";
import { confirmThen } from "../parts/dialog";
import { empty, failed, skeleton } from "../parts/states";
import { toast } from "../parts/toast";
import type { Route } from "../route";
import { may } from "../session";
import type { Context, View } from "../view";
import { aboutPanel } from "./about";
import { AnalysesPanel } from "./analyses";
import { badges } from "./results";
import { makeTranscript, type Transcript } from "./transcript";

function save(blob: Blob, name: string): void {
  const address = URL.createObjectURL(blob);
  const link = h("a", { href: address, download: name });
  link.click();
  // The download has begun with the click; the browser holds the bytes it needs.
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}

class ConversationPage implements View {
  readonly title = "Conversation";
  readonly element = h("div", { class: "page conversation-page" });
  private readonly found: Found;
  private readonly stopped = new AbortController();
  private readonly count = h("span", { class: "hit-count", role: "status" });
  private transcript: Transcript | null = null;
  private stops: number[] = [];
  private current = 0;

  constructor(
    private readonly context: Context,
    private readonly route: Route,
  ) {
    this.found = parseFound(route.parameters);
  }

  shown(): void {
    void this.load();
  }

  key(event: KeyboardEvent): boolean {
    if (event.key === "Escape") {
      this.context.back();
      return true;
    }
    if (event.key === "n") return this.step(1);
    if (event.key === "p") return this.step(-1);
    return false;
  }

  close(): void {
    this.stopped.abort();
  }

  private async load(): Promise<void> {
    replace(this.element, this.backButton(), skeleton(6));
    if (!may(this.context.session, "read")) {
      const advice = "Sign in with a key that has the read scope.";
      replace(this.element, this.backButton(), empty("lock", "This key may not read conversations", advice));
      return;
    }
    try {
      const { client } = this.context.session;
      const conversation = await client.conversation(this.route.id, this.stopped.signal);
      if (!this.stopped.signal.aborted) this.show(conversation);
    } catch (error) {
      if (isAbort(error) || this.stopped.signal.aborted) return;
      replace(this.element, this.backButton(), failed(error, () => void this.load()));
    }
  }

  private show(conversation: Conversation): void {
    const { turns = [], parties = [] } = conversation;
    const { stops, best } = stopsOf(turns, this.found);
    this.stops = stops;
    this.transcript = makeTranscript(turns, parties, this.found, stops);
    this.context.setTitle(nameOf(conversation));
    const analyses = new AnalysesPanel(this.context, conversation, (turn, quote) => this.cite(turn, quote), this.stopped.signal);
    const body =
      turns.length > 0
        ? this.transcript.element
        : empty("list", "Nothing was said", "The conversation has no turns yet.");
    replace(
      this.element,
      this.head(conversation),
      h("div", { class: "columns" }, h("section", { class: "said", "aria-label": "Transcript" }, body), aboutPanel(conversation, analyses.element)),
    );
    if (stops.length > 0) this.goTo(best);
  }

  private backButton(): HTMLElement {
    return h("button", { type: "button", class: "quiet back", onclick: () => this.context.back() }, icon("back"), "Back");
  }

  private head(conversation: Conversation): HTMLElement {
    return h(
      "div",
      { class: "conversation-head" },
      h("div", { class: "bar" }, this.backButton(), this.hitBar(), this.actions(conversation)),
      h("h1", {}, nameOf(conversation)),
      h(
        "div",
        { class: "facts" },
        ...badges(conversation),
        conversation.status ? h("span", { class: `badge status-${conversation.status}` }, conversation.status) : null,
        h("span", {}, plural(conversation.turns?.length ?? 0, "turn", "turns")),
      ),
    );
  }

  private hitBar(): HTMLElement | null {
    if (this.stops.length === 0) return null;
    const arrow = (label: string, name: "up" | "down", step: 1 | -1): HTMLElement =>
      h("button", { type: "button", class: "square", "aria-label": label, title: label, onclick: () => this.step(step) }, icon(name));
    return h(
      "div",
      { class: "hit-bar", role: "group", "aria-label": "Hits" },
      this.count,
      arrow("Previous hit", "up", -1),
      arrow("Next hit", "down", 1),
    );
  }

  private actions(conversation: Conversation): HTMLElement {
    const button = (label: string, form: "json" | "vcon"): HTMLElement =>
      h(
        "button",
        { type: "button", "aria-label": `Download as ${label}`, onclick: () => this.export(conversation, form) },
        icon("download"),
        label,
      );
    const remove = h(
      "button",
      { type: "button", class: "danger-quiet", onclick: () => this.askDelete(conversation) },
      icon("trash"),
      "Delete",
    );
    return h(
      "div",
      { class: "actions" },
      button("JSON", "json"),
      button("vCon", "vcon"),
      may(this.context.session, "admin") && remove,
    );
  }

  private async export(conversation: Conversation, form: "json" | "vcon"): Promise<void> {
    try {
      const blob = await this.context.session.client.export(conversation.id, form);
      const name = (conversation.external_id || conversation.id).replace(/[^\p{L}\p{N}._-]+/gu, "_");
      save(blob, `${name}${form === "vcon" ? ".vcon" : ""}.json`);
    } catch (error) {
      const { title, remedy } = explain(error);
      toast(`${title}. ${remedy}`, "bad");
    }
  }

  private askDelete(conversation: Conversation): void {
    confirmThen({
      title: "Delete this conversation?",
      text:
        `“${nameOf(conversation)}” disappears from every answer at once and cannot be brought back, ` +
        "whatever its source sends again.",
      action: "Delete for good",
      tone: "danger",
      run: async () => {
        await this.context.session.client.deleteConversation(conversation.id);
        toast("The conversation is deleted");
        this.context.back();
      },
    });
  }

  private step(step: 1 | -1): boolean {
    const { length } = this.stops;
    if (length === 0) return false;
    this.goTo((this.current + step + length) % length);
    return true;
  }

  private cite(at: number, quote: string): void {
    const turn = this.transcript?.cite(at, quote);
    turn?.scrollIntoView({ block: "center" });
    turn?.focus({ preventScroll: true });
  }

  private goTo(index: number): void {
    this.transcript?.turn(this.stops[this.current] ?? -1)?.removeAttribute("aria-current");
    this.current = index;
    const turn = this.transcript?.turn(this.stops[index] ?? -1);
    turn?.setAttribute("aria-current", "true");
    turn?.scrollIntoView({ block: "center" });
    turn?.focus({ preventScroll: true });
    this.count.textContent = `Hit ${index + 1} of ${this.stops.length}`;
  }
}

export function conversationView(context: Context, route: Route): View {
  return new ConversationPage(context, route);
}
