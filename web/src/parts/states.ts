// What a page shows when it has nothing to show: not yet, nothing there, or not possible.
import { h } from "../dom";
import { explain } from "../errors";
import { icon, type IconName } from "../icons";
import { toast } from "./toast";

// Answers usually come within milliseconds: a placeholder that flashes would only disturb.
const kPatienceMs = 200;

// Grey rows in the shape of what is coming; shown only if it takes a while.
export function skeleton(rows: number): HTMLElement {
  const element = h("div", { class: "skeleton", "aria-hidden": "true" });
  for (let row = 0; row < rows; row += 1) {
    element.append(h("div", { class: "skeleton-row" }, h("i"), h("i"), h("i")));
  }
  element.classList.add("waiting");
  setTimeout(() => element.classList.remove("waiting"), kPatienceMs);
  return element;
}

export function empty(name: IconName, title: string, ...more: Array<HTMLElement | string>): HTMLElement {
  const body = more.map((item) => (typeof item === "string" ? h("p", {}, item) : item));
  return h("div", { class: "empty" }, h("span", { class: "empty-icon" }, icon(name)), h("h2", {}, title), ...body);
}

export function failed(error: unknown, retry: () => void): HTMLElement {
  const { title, remedy, detail, canRetry } = explain(error);
  return h(
    "div",
    { class: "empty failed", role: "alert" },
    h("span", { class: "empty-icon" }, icon("warning")),
    h("h2", {}, title),
    h("p", {}, remedy),
    detail !== "" && h("p", { class: "mono small muted" }, detail),
    canRetry && h("button", { type: "button", onclick: retry }, icon("redo"), "Try again"),
  );
}

export async function copy(text: string): Promise<void> {
  try {
    await navigator.clipboard.writeText(text);
    toast("Copied");
  } catch {
    // Browsers offer the clipboard only over HTTPS and on localhost.
    toast("The browser did not allow copying. Select the text instead.", "bad");
  }
}

export function commandBlock(label: string, command: string): HTMLElement {
  return h(
    "div",
    { class: "command" },
    h("pre", { tabindex: 0, "aria-label": label }, h("code", {}, command)),
    h(
      "button",
      { type: "button", class: "quiet", "aria-label": `Copy: ${label}`, onclick: () => copy(command) },
      icon("copy"),
      "Copy",
    ),
  );
}

// The command that makes the first conversation appear.
export function firstConversation(): HTMLElement {
  const body = {
    id: "order-4711",
    channel: "chat",
    language: "en",
    turns: [
      { speaker: "customer", text: "My parcel never came" },
      { speaker: "agent", text: "I will look into it right away" },
    ],
  };
  const command = [
    "export KEY=…   # an API key with the ingest scope",
    `curl -H "Authorization: Bearer $KEY" -H 'Content-Type: application/json' \\`,
    `  ${location.origin}/v1/conversations -d '`,
    `${JSON.stringify(body, null, 1).replace(/\n\s*/g, " ").replace('"turns"', '\n  "turns"')}'`,
  ].join("\n");
  return commandBlock("Command that sends a conversation", command);
}
