// The turns of a conversation as one reads them, those a search found marked.
import type { Party, Turn } from "../api";
import { h } from "../dom";
import { clockOf, dateOf, exactOf } from "../format";
import { cut, type Found, wordPattern } from "../hits";
import { icon, type IconName } from "../icons";

const kRoles = new Map<string, { label: string; icon: IconName }>([
  ["customer", { label: "Customer", icon: "customer" }],
  ["agent", { label: "Agent", icon: "agent" }],
  ["bot", { label: "Bot", icon: "bot" }],
  ["system", { label: "System", icon: "system" }],
  ["tool", { label: "Tool", icon: "system" }],
]);

// Above this many turns the browser lays out only those in sight.
const kLongTurns = 300;

export interface Transcript {
  element: HTMLElement;
  turn(at: number): HTMLElement | undefined;
  // The turn, the quote marked in it; the one before is as it was.
  cite(at: number, quote: string): HTMLElement | undefined;
}

function roleOf(speaker: string): { label: string; icon: IconName; style: string } {
  const known = kRoles.get(speaker);
  if (known !== undefined) return { ...known, style: speaker };
  return { label: speaker, icon: "customer", style: "other" };
}

// The name of the only party with that role, where the turn itself names nobody.
function speakerName(turn: Turn, parties: Party[]): string {
  if (turn.name) return turn.name;
  const candidates = parties.filter((party) => party.role === turn.speaker);
  return candidates.length === 1 ? (candidates[0]?.name ?? "") : "";
}

function speech(turn: Turn, pattern: RegExp | null): HTMLElement {
  const text = h("p", { class: "turn-text", dir: "auto" });
  for (const part of cut(turn.text ?? "", pattern)) {
    text.append(part.hit ? h("mark", {}, part.text) : part.text);
  }
  if (!turn.text) text.append(h("em", { class: "muted" }, "No text"));
  return text;
}

// The words that an analysis quotes, letter by letter, marked as its own.
function citedSpeech(text: string, quote: string): HTMLElement | null {
  const at = quote === "" ? -1 : text.indexOf(quote);
  if (at < 0) return null;
  const end = at + quote.length;
  return h("p", { class: "turn-text", dir: "auto" }, text.slice(0, at), h("mark", { class: "cited-words" }, quote), text.slice(end));
}

function turnItem(turn: Turn, name: string, isContinued: boolean, pattern: RegExp | null): HTMLLIElement {
  const role = roleOf(turn.speaker);
  const classes = ["turn", `role-${role.style}`];
  if (isContinued) classes.push("continued");
  if (turn.private === true) classes.push("private");
  const who = h(
    "div",
    { class: "turn-who" },
    h("span", { class: "turn-icon" }, icon(role.icon)),
    h("span", { class: "turn-name" }, name || role.label),
    name !== "" && h("span", { class: "turn-role" }, role.label),
  );
  return h(
    "li",
    { class: classes.join(" "), tabindex: -1 },
    who,
    h(
      "div",
      { class: "turn-body" },
      turn.private === true &&
        h("span", { class: "private-mark" }, icon("lock"), "Private note, not shown to the customer"),
      speech(turn, pattern),
    ),
    h("time", { class: "turn-time", datetime: turn.at, title: exactOf(turn.at) }, clockOf(turn.at)),
  );
}

export function makeTranscript(turns: Turn[], parties: Party[], found: Found, stops: number[]): Transcript {
  const list = h("ol", { class: turns.length > kLongTurns ? "transcript long" : "transcript" });
  const items: HTMLLIElement[] = [];
  const pattern = wordPattern(found.words);
  let day = "";
  let previous = "";
  turns.forEach((turn, at) => {
    const today = dateOf(turn.at);
    if (today !== "" && today !== day) {
      list.append(h("li", { class: "day", role: "presentation" }, h("span", {}, today)));
      day = today;
      previous = "";
    }
    const name = speakerName(turn, parties);
    const speaker = `${turn.speaker}\n${name}\n${turn.private === true}`;
    const inPassage = found.ranges.some(({ first, last }) => first <= at && at <= last);
    const item = turnItem(turn, name, speaker === previous, inPassage ? pattern : null);
    previous = speaker;
    item.dataset["turn"] = String(at);
    if (inPassage) item.classList.add("passage-turn");
    if (stops.includes(at)) item.classList.add("hit");
    items.push(item);
    list.append(item);
  });
  let undo = (): void => {};
  const cite = (at: number, quote: string): HTMLElement | undefined => {
    undo();
    const item = items[at];
    const before = item?.querySelector(".turn-text");
    const marked = citedSpeech(turns[at]?.text ?? "", quote);
    item?.classList.add("cited");
    if (before && marked !== null) before.replaceWith(marked);
    undo = () => {
      item?.classList.remove("cited");
      if (before && marked !== null) marked.replaceWith(before);
    };
    return item;
  };
  return { element: list, turn: (at) => items[at], cite };
}
