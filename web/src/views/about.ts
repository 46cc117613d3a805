// What is known about a conversation beside what was said.
import type { Conversation, Party } from "../api";
import { h } from "../dom";
import { between, exactOf, momentOf, number } from "../format";
import { icon } from "../icons";
import { copy } from "../parts/states";
import { searchHref } from "../route";

type Row = [string, HTMLElement | string | undefined];

function section(title: string, ...content: HTMLElement[]): HTMLElement {
  return h("section", { class: "about-section" }, h("h2", {}, title), ...content);
}

function rows(list: Row[]): HTMLElement {
  const element = h("dl", { class: "facts-list" });
  for (const [term, value] of list) {
    if (value === undefined || value === "") continue;
    element.append(h("div", {}, h("dt", {}, term), h("dd", {}, value)));
  }
  return element;
}

function moment(text: string | undefined): HTMLElement | undefined {
  const written = momentOf(text);
  return written === "" ? undefined : h("time", { datetime: text, title: exactOf(text) }, written);
}

function party({ name, role, address, id }: Party): HTMLElement {
  return h(
    "li",
    {},
    h("strong", {}, name || address || id || "Unnamed"),
    role ? h("span", { class: "badge" }, role) : null,
    name && address ? h("span", { class: "small muted wrap" }, address) : null,
  );
}

function metadataValue(key: string, value: unknown): HTMLElement {
  const text = typeof value === "string" ? value : JSON.stringify(value);
  const parameters = new URLSearchParams({ metadata: `${key}=${text}` });
  return h("a", { href: searchHref(parameters), title: "Search with this filter" }, text);
}

function raw(title: string, value: object): HTMLElement {
  return h(
    "details",
    { class: "raw" },
    h("summary", {}, title),
    h("pre", { tabindex: 0, "aria-label": title }, JSON.stringify(value, null, 2)),
  );
}

function copyable(text: string): HTMLElement {
  return h(
    "span",
    { class: "copyable" },
    h("code", { class: "wrap" }, text),
    h("button", { type: "button", class: "quiet square", "aria-label": `Copy ${text}`, onclick: () => copy(text) }, icon("copy")),
  );
}

// `analyses`: the panel of what was concluded, which comes first.
export function aboutPanel(conversation: Conversation, analyses: HTMLElement): HTMLElement {
  const { parties = [], tags = [], metadata = {}, vendor_analysis = {}, extra = {} } = conversation;
  const panel = h("aside", { class: "about", "aria-label": "About this conversation" });
  panel.append(analyses);
  if (parties.length > 0) {
    panel.append(section("Parties", h("ul", { class: "parties" }, ...parties.map(party))));
  }
  panel.append(
    section(
      "Details",
      rows([
        ["Started", moment(conversation.started_at)],
        ["Ended", moment(conversation.ended_at)],
        ["Lasted", between(conversation.started_at, conversation.ended_at)],
        ["Received", moment(conversation.received_at)],
        ["Updated", moment(conversation.updated_at)],
        ["Revision", conversation.revision === undefined ? undefined : number(conversation.revision)],
        ["External id", conversation.external_id ? copyable(conversation.external_id) : undefined],
        ["Id", copyable(conversation.id)],
      ]),
    ),
  );
  if (tags.length > 0) {
    const items = tags.map((tag) =>
      h("li", {}, h("a", { class: "tag", href: searchHref(new URLSearchParams({ tag })), title: "Search with this filter" }, tag)),
    );
    panel.append(section("Tags", h("ul", { class: "tags" }, ...items)));
  }
  const pairs = Object.entries(metadata);
  if (pairs.length > 0) {
    panel.append(section("Metadata", rows(pairs.map(([key, value]) => [key, metadataValue(key, value)]))));
  }
  if (Object.keys(vendor_analysis).length > 0) panel.append(raw("The provider's analysis", vendor_analysis));
  if (Object.keys(extra).length > 0) panel.append(raw("Other fields as sent", extra));
  return panel;
}
