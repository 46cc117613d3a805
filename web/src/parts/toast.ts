// Short messages at the edge of the page, read out by screen readers, gone by themselves.
import { h } from "../dom";

const kShownMs = 6000;

const place = h("div", { class: "toasts", role: "status", "aria-live": "polite" });

export function mountToasts(): void {
  document.body.append(place);
}

export function toast(message: string, tone: "good" | "bad" = "good"): void {
  const element = h("div", { class: `toast ${tone}` }, message);
  place.append(element);
  setTimeout(() => element.remove(), kShownMs);
}
