// Search: a question, how to look, what to leave out, and what was found.
import { isAbort, type SearchAnswer } from "../api";
import { h, replace } from "../dom";
import { plural, tookMs } from "../format";
import { icon } from "../icons";
import { focusRow, listKey } from "../parts/list";
import { empty, failed, firstConversation, skeleton } from "../parts/states";
import { type Route, searchHref } from "../route";
import { activeFilters, type Mode, parseSearch, searchBody, searchParameters, type SearchQuery } from "../search_query";
import { may } from "../session";
import type { Context, View } from "../view";
import { analysisFields, filterChips, filterPanel } from "./filters";
import { resultItem } from "./results";

const kPageSize = 20;
const kLimitMax = 100; // Of the API.

const kModeWords: Record<Mode, { label: string; help: string }> = {
  hybrid: { label: "Both", help: "By meaning and by words" },
  vector: { label: "Meaning", help: "What is meant, however it is said" },
  keyword: { label: "Words", help: "The words as they are written" },
};

class SearchPage implements View {
  readonly title: string;
  readonly element: HTMLElement;
  private readonly query: SearchQuery;
  private readonly hash: string;
  private readonly field: HTMLInputElement;
  private readonly summary = h("p", { class: "summary", role: "status" });
  private readonly results = h("ol", { class: "results" });
  private readonly below = h("div", { class: "below" });
  private readonly stopped = new AbortController();
  private limit = kPageSize;
  private hasAnalysisFields = false;
  private isLeft = false;
  private now = new Date();

  constructor(
    private readonly context: Context,
    route: Route,
  ) {
    this.query = parseSearch(route.parameters);
    this.hash = searchHref(searchParameters(this.query));
    this.title = this.query.text === "" ? "Search" : this.query.text;
    this.field = h("input", {
      type: "search",
      id: "query",
      value: this.query.text,
      placeholder: "What was it about?",
      "aria-label": "Search conversations",
      autocomplete: "off",
      enterkeyhint: "search",
    });
    this.element = h(
      "div",
      { class: "page search-page" },
      h("h1", { class: "sr-only" }, "Search"),
      this.form(),
      this.summary,
      this.results,
      this.below,
    );
  }

  shown(): void {
    this.results.addEventListener("click", (event) => this.remember(event));
    if (!may(this.context.session, "search")) {
      replace(this.below, empty("lock", "This key may not search", "Sign in with a key that has the search scope."));
      return;
    }
    const place = this.context.place;
    const isReturn = place?.hash === this.hash;
    if (this.query.text.trim() === "") {
      this.showWelcome();
    } else {
      if (isReturn) this.limit = Math.min(kLimitMax, Math.max(kPageSize, place.count));
      void this.load("", isReturn ? place.id : "");
    }
    if (!isReturn && matchMedia("(pointer: fine)").matches) this.field.focus();
  }

  key(event: KeyboardEvent): boolean {
    if (event.target === this.field && event.key === "Escape") {
      this.field.blur();
      return true;
    }
    if (event.target instanceof HTMLElement && event.target !== this.field && event.target.matches("input, select")) {
      return false;
    }
    if (event.key === "/" && event.target !== this.field) {
      this.field.focus();
      this.field.select();
      return true;
    }
    return listKey(this.results, event);
  }

  close(): void {
    this.stopped.abort();
  }

  private form(): HTMLElement {
    const apply = (query: SearchQuery): void => this.apply(query);
    const panel = filterPanel(this.query, apply);
    const count = activeFilters(this.query).length;
    panel.hidden = !filtersAreOpen;
    if (filtersAreOpen) void this.addAnalysisFields(panel);
    const toggle = h(
      "button",
      {
        type: "button",
        class: "filter-toggle",
        "aria-expanded": String(filtersAreOpen),
        "aria-controls": "filters",
        onclick: () => {
          filtersAreOpen = !filtersAreOpen;
          panel.hidden = !filtersAreOpen;
          void this.addAnalysisFields(panel);
          toggle.setAttribute("aria-expanded", String(filtersAreOpen));
        },
      },
      icon("filter"),
      "Filters",
      count > 0 && h("span", { class: "count" }, count),
    );
    return h(
      "form",
      { role: "search", class: "search-form", onsubmit: (event: SubmitEvent) => this.submit(event) },
      h(
        "div",
        { class: "search-field" },
        icon("search"),
        this.field,
        h("kbd", { class: "slash", "aria-hidden": "true" }, "/"),
        h("button", { type: "submit", class: "primary" }, "Search"),
      ),
      h("div", { class: "search-options" }, this.modes(), toggle),
      panel,
      count > 0 && filterChips(this.query, apply),
    );
  }

  // Once the panel is open: they depend on the company's analyzers.
  private async addAnalysisFields(panel: HTMLElement): Promise<void> {
    if (this.hasAnalysisFields || !may(this.context.session, "read")) return;
    this.hasAnalysisFields = true;
    const apply = (query: SearchQuery): void => this.apply(query);
    try {
      panel.append(...(await analysisFields(this.context.session.client, this.query, apply, this.stopped.signal)));
    } catch {
      // The other filters do without.
    }
  }

  private modes(): HTMLElement {
    const options = (Object.keys(kModeWords) as Mode[]).map((mode) =>
      h(
        "label",
        { title: kModeWords[mode].help },
        h("input", {
          type: "radio",
          name: "mode",
          value: mode,
          checked: mode === this.query.mode,
          onchange: () => this.apply({ ...this.query, mode }),
        }),
        h("span", {}, kModeWords[mode].label),
      ),
    );
    return h("fieldset", { class: "segments" }, h("legend", { class: "sr-only" }, "Search by"), ...options);
  }

  private submit(event: SubmitEvent): void {
    event.preventDefault();
    this.apply(this.query);
  }

  // Takes the words in the field along, whatever it was that changed.
  private apply(query: SearchQuery): void {
    // Enter in a filter changes it and submits the form as it was before: the change is what is meant.
    if (this.isLeft) return;
    this.isLeft = true;
    this.context.place = null;
    this.context.go(searchHref(searchParameters({ ...query, text: this.field.value.trim() })));
  }

  private showWelcome(): void {
    if (activeFilters(this.query).length > 0) {
      replace(this.below, empty("filter", "The filter is set", "Now say above what to look for."));
      return;
    }
    const examples = ["refund for a late parcel", "cannot log in after an update", "wants to cancel because of the price"];
    const list = h("ul", { class: "examples" });
    for (const text of examples) {
      list.append(h("li", {}, h("a", { href: searchHref(new URLSearchParams({ q: text })) }, text)));
    }
    replace(
      this.below,
      empty(
        "search",
        "Ask in your own words",
        "A search by meaning finds what people meant; a search by words finds order numbers, names and error codes.",
        list,
      ),
    );
  }

  private async load(cursor: string, focusOn: string): Promise<void> {
    if (cursor === "") {
      this.now = new Date();
      this.results.replaceChildren();
      replace(this.below, skeleton(4));
    }
    try {
      const body = searchBody(this.query, this.limit, cursor, this.now);
      const answer = await this.context.session.client.search(body, this.stopped.signal);
      if (!this.stopped.signal.aborted) this.showAnswer(answer, focusOn);
    } catch (error) {
      if (isAbort(error) || this.stopped.signal.aborted) return;
      this.summary.textContent = "";
      replace(this.below, failed(error, () => void this.load(cursor, focusOn)));
    }
  }

  private showAnswer(answer: SearchAnswer, focusOn: string): void {
    const before = this.results.childElementCount;
    for (const hit of answer.hits) this.results.append(resultItem(hit));
    const count = this.results.childElementCount;
    if (count === 0) {
      this.summary.textContent = "";
      void this.showNothing();
      return;
    }
    this.showSummary(answer, count);
    replace(this.below, answer.next_cursor ? this.moreButton(answer.next_cursor) : null);
    const added = before > 0 ? this.results.children[before] : undefined;
    added?.querySelector<HTMLElement>("[data-row]")?.focus();
    if (focusOn !== "") focusRow(this.results, focusOn);
  }

  private showSummary(answer: SearchAnswer, count: number): void {
    const facts = [
      `${plural(count, "conversation", "conversations")}${answer.next_cursor ? " so far" : ""}`,
      tookMs(answer.took_ms),
      answer.model ? `model ${answer.model}` : "",
      answer.exact === false ? "approximate" : "",
    ].filter((fact) => fact !== "");
    replace(
      this.summary,
      facts.join("  ·  "),
      answer.degraded ? h("span", { class: "degraded" }, icon("warning"), answer.degraded) : null,
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
          void this.load(cursor, "");
        },
      },
      "Show more",
    );
    return button;
  }

  private async showNothing(): Promise<void> {
    if (await this.isCompanyEmpty()) {
      replace(
        this.below,
        empty("inbox", "No conversations yet", "Send the first one; it can be found within seconds.", firstConversation()),
      );
      return;
    }
    const filters = activeFilters(this.query);
    const hint =
      filters.length > 0
        ? "Remove a filter above, or say it in other words."
        : this.query.mode === "keyword"
          ? "Search by meaning as well: it finds what was said in other words."
          : "Say it in other words, or check the spelling of names and numbers.";
    replace(this.below, empty("search", "Nothing found", hint));
  }

  private async isCompanyEmpty(): Promise<boolean> {
    if (!may(this.context.session, "read")) return false;
    try {
      return (await this.context.session.client.status(this.stopped.signal)).conversations === 0;
    } catch {
      return false; // Only the choice of advice depends on it.
    }
  }

  private remember(event: MouseEvent): void {
    if (!(event.target instanceof Element) || event.target.closest("a") === null) return;
    const row = event.target.closest("li")?.querySelector<HTMLElement>("[data-row]");
    const id = row?.dataset["row"] ?? "";
    this.context.place = { hash: this.hash, count: this.results.childElementCount, id };
  }
}

// Kept between searches, so that the panel stays where the reader left it.
let filtersAreOpen = false;

export function searchView(context: Context, route: Route): View {
  return new SearchPage(context, route);
}
