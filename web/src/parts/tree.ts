// Any JSON value, readable: names and what they hold, as text and nothing else.
import { h } from "../dom";
import { number } from "../format";

const kDeepest = 8; // Deeper is shown as it was sent: indented further, nobody could read it on a phone.

function isPlain(value: unknown): boolean {
  return typeof value !== "object" || value === null;
}

function leaf(value: unknown): HTMLElement {
  if (value === null || value === undefined) return h("span", { class: "muted" }, "none");
  if (typeof value === "boolean") return h("span", {}, value ? "yes" : "no");
  if (typeof value === "number") return h("span", {}, number(value));
  if (value === "") return h("span", { class: "muted" }, "empty");
  return h("span", { class: "written", dir: "auto" }, String(value));
}

export function tree(value: unknown, depth = 0): HTMLElement {
  if (isPlain(value)) return leaf(value);
  if (depth === kDeepest) return h("code", { class: "wrap" }, JSON.stringify(value));
  if (Array.isArray(value)) {
    if (value.length === 0) return h("span", { class: "muted" }, "none");
    return h("ul", { class: "tree-list" }, ...value.map((item) => h("li", {}, tree(item, depth + 1))));
  }
  const members = Object.entries(value as object);
  if (members.length === 0) return h("span", { class: "muted" }, "empty");
  const rows = members.map(([name, member]) =>
    h("div", { class: isPlain(member) ? undefined : "deep" }, h("dt", { dir: "auto" }, name), h("dd", {}, tree(member, depth + 1))),
  );
  return h("dl", { class: "tree" }, ...rows);
}
