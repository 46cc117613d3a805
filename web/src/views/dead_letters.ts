// Dead letters: jobs that were given up, why, and another chance for them.
import { type DeadLetter, type DeadLetterPage, isAbort } from "../api";
import { h, replace } from "../dom";
import { explain } from "../errors";
import { exactOf, momentOf, number, plural } from "../format";
import { icon } from "../icons";
import { confirmThen } from "../parts/dialog";
import { empty, failed, skeleton } from "../parts/states";
import { toast } from "../parts/toast";
import { conversationHref } from "../route";
import { may } from "../session";
import type { Context, View } from "../view";

class DeadLettersPage implements View {
  readonly title = "Dead letters";
  readonly element: HTMLElement;
  private readonly rows = h("tbody");
  private readonly table: HTMLElement;
  private readonly below = h("div", { class: "below" });
  private readonly bar = h("div", { class: "bar letters-bar" });
  private readonly all = h("input", { type: "checkbox" });
  private readonly selectedButton = h("button", { type: "button", class: "primary", disabled: true }, "Redrive selected");
  private readonly boxes = new Map<string, HTMLInputElement>();
  private readonly stopped = new AbortController();
  private readonly mayRedrive: boolean;

  constructor(private readonly context: Context) {
    this.mayRedrive = may(context.session, "admin");
    const heads = ["Kind", "Cause", "Attempts", "Conversation", "Given up"];
    this.table = h(
      "table",
      { class: "rows letters", hidden: true },
      h(
        "thead",
        {},
        h(
          "tr",
          {},
          this.mayRedrive && h("td", { class: "pick" }, h("label", {}, this.all, h("span", { class: "pick-label" }, "Select all"))),
          ...heads.map((head) => h("th", { scope: "col", class: head === "Attempts" ? "number" : undefined }, head)),
        ),
      ),
      this.rows,
    );
    this.element = h(
      "div",
      { class: "page" },
      h("h1", {}, "Dead letters"),
      h("p", { class: "lead muted" }, "Jobs that failed too often. Mend the cause, then redrive them: nothing is lost meanwhile."),
      this.bar,
      this.table,
      this.below,
    );
  }

  shown(): void {
    this.all.addEventListener("change", () => {
      for (const box of this.boxes.values()) box.checked = this.all.checked;
      this.showSelection();
    });
    this.rows.addEventListener("change", () => this.showSelection());
    this.selectedButton.addEventListener("click", () => void this.redriveSelected());
    if (may(this.context.session, "read")) void this.load("");
    else replace(this.below, empty("lock", "This key may not read dead letters", "Sign in with a key that has the read scope."));
  }

  close(): void {
    this.stopped.abort();
  }

  private async load(cursor: string): Promise<void> {
    if (cursor === "") {
      this.rows.replaceChildren();
      this.boxes.clear();
      this.table.hidden = true;
      this.bar.replaceChildren();
      replace(this.below, skeleton(4));
    }
    try {
      const page = await this.context.session.client.deadLetters(cursor, this.stopped.signal);
      if (!this.stopped.signal.aborted) this.show(page);
    } catch (error) {
      if (isAbort(error) || this.stopped.signal.aborted) return;
      replace(this.below, failed(error, () => void this.load(cursor)));
    }
  }

  private show(page: DeadLetterPage): void {
    for (const letter of page.dead_letters) this.rows.append(this.row(letter));
    this.table.hidden = this.rows.childElementCount === 0;
    if (this.table.hidden) {
      replace(
        this.below,
        empty("check", "No dead letters", "Every job has succeeded or is still being tried. Jobs that fail too often come here with their cause."),
      );
      return;
    }
    replace(this.bar, ...this.barContent());
    replace(this.below, page.next_cursor ? this.moreButton(page.next_cursor) : null);
    this.showSelection();
  }

  private barContent(): HTMLElement[] {
    if (!this.mayRedrive) return [h("p", { class: "muted small" }, "To redrive, sign in with a key that has the admin scope.")];
    const everything = h("button", { type: "button", onclick: () => this.askRedriveAll() }, icon("redo"), "Redrive all");
    return [this.selectedButton, everything];
  }

  private row(letter: DeadLetter): HTMLElement {
    const { conversation_id: conversation } = letter;
    const box = h("input", { type: "checkbox", "aria-label": `Select ${letter.kind} ${letter.id}` });
    this.boxes.set(letter.id, box);
    return h(
      "tr",
      {},
      this.mayRedrive && h("td", { class: "pick" }, box),
      h("th", { scope: "row" }, letter.kind, h("span", { class: "mono small muted" }, `#${letter.id}`)),
      h("td", { class: "cause", "data-label": "Cause" }, letter.cause),
      h("td", { class: "number", "data-label": "Attempts" }, number(letter.attempts)),
      h(
        "td",
        { "data-label": "Conversation" },
        conversation ? h("a", { class: "mono small wrap", href: conversationHref(conversation) }, conversation) : "–",
      ),
      h(
        "td",
        { "data-label": "Given up", class: "cell-when" },
        h("time", { datetime: letter.given_up_at, title: exactOf(letter.given_up_at) }, momentOf(letter.given_up_at)),
      ),
    );
  }

  private moreButton(cursor: string): HTMLElement {
    const button = h(
      "button",
      {
        type: "button",
        class: "more",
        onclick: () => {
          button.disabled = true;
          void this.load(cursor);
        },
      },
      "Show more",
    );
    return button;
  }

  private selected(): string[] {
    return [...this.boxes].filter(([, box]) => box.checked).map(([id]) => id);
  }

  private showSelection(): void {
    const count = this.selected().length;
    this.selectedButton.disabled = count === 0;
    this.selectedButton.textContent = count === 0 ? "Redrive selected" : `Redrive ${number(count)} selected`;
    this.all.checked = count > 0 && count === this.boxes.size;
    this.all.indeterminate = count > 0 && count < this.boxes.size;
  }

  private async redriveSelected(): Promise<void> {
    this.selectedButton.disabled = true;
    try {
      await this.redrive(this.selected());
    } catch (error) {
      const { title, remedy } = explain(error);
      toast(`${title}. ${remedy}`, "bad");
      this.showSelection();
    }
  }

  private askRedriveAll(): void {
    confirmThen({
      title: "Redrive all dead letters?",
      text: "Every one of them is tried again from the start. Those whose cause is still there come back here.",
      action: "Redrive all",
      tone: "primary",
      run: () => this.redrive(undefined),
    });
  }

  private async redrive(ids: string[] | undefined): Promise<void> {
    const { redriven } = await this.context.session.client.redrive(ids);
    toast(`${plural(redriven, "job is", "jobs are")} being tried again`);
    await this.load("");
  }
}

export function deadLettersView(context: Context): View {
  return new DeadLettersPage(context);
}
