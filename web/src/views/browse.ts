// The newest conversations, page by page.
import { type ConversationPage, type ConversationSummary, isAbort } from "../api";
import { h, replace } from "../dom";
import { exactOf, momentOf, nameOf, number } from "../format";
import { focusRow, listKey } from "../parts/list";
import { empty, failed, firstConversation, skeleton } from "../parts/states";
import { browseHref, conversationHref, type Route } from "../route";
import { dayEnd, dayStart, kDay } from "../search_query";
import { may } from "../session";
import type { Context, View } from "../view";

const kPageSize = 50;
const kLimitMax = 200; // Of the API.
const kFilters = [
  { name: "channel", label: "Channel", type: "text", placeholder: "chat" },
  { name: "source", label: "Source", type: "text", placeholder: "api" },
  { name: "external_id", label: "External id", type: "text", placeholder: "order-4711" },
  { name: "from", label: "From", type: "date", placeholder: "" },
  { name: "to", label: "To", type: "date", placeholder: "" },
];

function row(conversation: ConversationSummary): HTMLTableRowElement {
  const name = nameOf(conversation);
  const { started_at, received_at } = conversation;
  const at = started_at || received_at;
  const cell = (label: string, text: string | undefined): HTMLElement =>
    h("td", { "data-label": label, class: `cell-${label.toLowerCase()}` }, text ?? "");
  return h(
    "tr",
    {},
    h(
      "th",
      { scope: "row" },
      h("a", { href: conversationHref(conversation.id), "data-row": conversation.id }, name),
      name !== conversation.external_id && h("span", { class: "mono small muted" }, conversation.external_id),
    ),
    h("td", { class: "cell-when" }, h("time", { datetime: at, title: exactOf(at) }, momentOf(at))),
    cell("Channel", conversation.channel),
    cell("Language", conversation.language),
    cell("Source", conversation.source),
    h("td", { class: "number cell-turns" }, number(conversation.turn_count), h("span", { class: "unit" }, " turns")),
    cell("Status", conversation.status),
  );
}

class BrowsePage implements View {
  readonly title = "Conversations";
  readonly element: HTMLElement;
  private readonly hash: string;
  private readonly rows = h("tbody");
  private readonly table: HTMLElement;
  private readonly below = h("div", { class: "below" });
  private readonly stopped = new AbortController();
  private limit = kPageSize;

  constructor(
    private readonly context: Context,
    private readonly route: Route,
  ) {
    this.hash = browseHref(route.parameters);
    const heads = ["Conversation", "Started", "Channel", "Language", "Source", "Turns", "Status"];
    this.table = h(
      "table",
      { class: "rows browse", hidden: true },
      h("thead", {}, h("tr", {}, ...heads.map((head) => h("th", { scope: "col", class: head === "Turns" ? "number" : undefined }, head)))),
      this.rows,
    );
    this.element = h(
      "div",
      { class: "page" },
      h("h1", {}, "Conversations"),
      h("p", { class: "lead muted" }, "Newest first."),
      this.filters(),
      this.table,
      this.below,
    );
  }

  shown(): void {
    this.rows.addEventListener("click", (event) => this.open(event));
    if (!may(this.context.session, "read")) {
      const advice = "Sign in with a key that has the read scope.";
      replace(this.below, empty("lock", "This key may not read conversations", advice));
      return;
    }
    const place = this.context.place?.hash === this.hash ? this.context.place : null;
    if (place !== null) this.limit = Math.min(kLimitMax, Math.max(kPageSize, place.count));
    void this.load("", place?.id ?? "");
  }

  key(event: KeyboardEvent): boolean {
    if (event.target instanceof HTMLInputElement) return false;
    return listKey(this.rows, event);
  }

  close(): void {
    this.stopped.abort();
  }

  private filters(): HTMLElement {
    const form = h("form", {
      class: "filters inline",
      "aria-label": "Filters",
      onsubmit: (event: SubmitEvent) => event.preventDefault(),
    });
    const apply = (): void => {
      const parameters = new URLSearchParams();
      for (const input of form.querySelectorAll("input")) {
        if (input.value.trim() !== "") parameters.set(input.name, input.value.trim());
      }
      this.context.place = null;
      this.context.go(browseHref(parameters));
    };
    for (const { name, label, type, placeholder } of kFilters) {
      const value = this.route.parameters.get(name) ?? "";
      form.append(
        h("label", { class: "field" }, h("span", {}, label), h("input", { type, name, value, placeholder, autocomplete: "off", onchange: apply })),
      );
    }
    // On a phone the fields would push the list out of sight.
    const isOpen = this.route.parameters.size > 0 || matchMedia("(min-width: 621px)").matches;
    return h("details", { class: "filter-box", open: isOpen }, h("summary", {}, "Filters"), form);
  }

  private parameters(cursor: string): URLSearchParams {
    const parameters = new URLSearchParams({ limit: String(this.limit) });
    for (const { name } of kFilters) {
      const value = this.route.parameters.get(name) ?? "";
      if (name !== "from" && name !== "to") {
        if (value !== "") parameters.set(name, value);
      } else if (kDay.test(value)) {
        parameters.set(name, name === "from" ? dayStart(value) : dayEnd(value));
      }
    }
    if (cursor !== "") parameters.set("cursor", cursor);
    return parameters;
  }

  private async load(cursor: string, focusOn: string): Promise<void> {
    if (cursor === "") replace(this.below, skeleton(8));
    try {
      const { client } = this.context.session;
      const page = await client.conversations(this.parameters(cursor), this.stopped.signal);
      if (!this.stopped.signal.aborted) this.show(page, focusOn);
    } catch (error) {
      if (isAbort(error) || this.stopped.signal.aborted) return;
      replace(this.below, failed(error, () => void this.load(cursor, focusOn)));
    }
  }

  private show(page: ConversationPage, focusOn: string): void {
    const before = this.rows.childElementCount;
    for (const conversation of page.conversations) this.rows.append(row(conversation));
    this.table.hidden = this.rows.childElementCount === 0;
    if (this.table.hidden) {
      replace(this.below, this.nothing());
      return;
    }
    replace(this.below, page.next_cursor ? this.moreButton(page.next_cursor) : null);
    if (before > 0) this.rows.children[before]?.querySelector<HTMLElement>("[data-row]")?.focus();
    if (focusOn !== "") focusRow(this.rows, focusOn);
  }

  private moreButton(cursor: string): HTMLElement {
    const button = h(
      "button",
      {
        type: "button",
        class: "more",
        onclick: () => {
          button.disabled = true;
          void this.load(cursor, "");
        },
      },
      "Show more",
    );
    return button;
  }

  private nothing(): HTMLElement {
    if (this.route.parameters.size > 0) {
      return empty("list", "No conversation fits", "Empty a filter above to see more.");
    }
    return empty("inbox", "No conversations yet", "Send the first one:", firstConversation());
  }

  private open(event: MouseEvent): void {
    if (!(event.target instanceof Element)) return;
    const link = event.target.closest("tr")?.querySelector<HTMLAnchorElement>("[data-row]");
    if (link === null || link === undefined) return;
    this.context.place = { hash: this.hash, count: this.rows.childElementCount, id: link.dataset["row"] ?? "" };
    // The whole row opens it, unless the reader is selecting text.
    const isOwn = event.target.closest("a") === null && getSelection()?.isCollapsed !== false;
    if (isOwn) this.context.go(link.hash);
  }
}

export function browseView(context: Context, route: Route): View {
  return new BrowsePage(context, route);
}
