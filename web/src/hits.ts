// Which turns of a conversation a search found, carried in its address so that a link shows them too.
import type { ChunkHit, Turn } from "./api";

export interface TurnRange {
  first: number;
  last: number;
}

export interface Found {
  ranges: TurnRange[]; // Best first.
  words: string[]; // Lower case.
}

// Enough to mark a turn; the address stays short.
const kWordsMax = 8;
const kWordLengthMax = 40;

export function foundParameters(chunks: ChunkHit[], first: ChunkHit | undefined): URLSearchParams {
  const parameters = new URLSearchParams();
  const ordered = first === undefined ? chunks : [first, ...chunks.filter((chunk) => chunk !== first)];
  if (ordered.length === 0) return parameters;
  parameters.set("hits", ordered.map((chunk) => `${chunk.first_turn}-${chunk.last_turn}`).join("."));
  const words = new Set<string>();
  for (const part of ordered.flatMap((chunk) => chunk.snippet)) {
    const word = part.text.trim().toLowerCase();
    if (part.hit === true && word !== "" && word.length <= kWordLengthMax) words.add(word);
  }
  for (const word of [...words].slice(0, kWordsMax)) parameters.append("word", word);
  return parameters;
}

export function parseFound(parameters: URLSearchParams): Found {
  const ranges: TurnRange[] = [];
  for (const part of (parameters.get("hits") ?? "").split(".")) {
    const match = /^(\d{1,9})-(\d{1,9})$/.exec(part);
    if (match !== null) ranges.push({ first: Number(match[1]), last: Number(match[2]) });
  }
  return { ranges, words: parameters.getAll("word").slice(0, kWordsMax) };
}

// Matches whole words only; null if there are none to look for.
export function wordPattern(words: string[]): RegExp | null {
  const escaped = words
    .filter((word) => word !== "")
    .map((word) => word.replace(/[.*+?^${}()|[\]\\/]/g, "\\$&").replace(/\s+/g, "\\s+"));
  if (escaped.length === 0) return null;
  return new RegExp(`(?<![\\p{L}\\p{N}])(?:${escaped.join("|")})(?![\\p{L}\\p{N}])`, "giu");
}

// The turns to stop at, in order: in each range those that say a word, else its first turn.
export function stopsOf(turns: Turn[], found: Found): { stops: number[]; best: number } {
  const pattern = wordPattern(found.words);
  const stops = new Set<number>();
  let best = -1;
  for (const range of found.ranges) {
    const inside: number[] = [];
    for (let at = range.first; at <= range.last && at < turns.length; at += 1) {
      if (pattern !== null && (turns[at]?.text ?? "").search(pattern) >= 0) inside.push(at);
    }
    if (inside.length === 0 && range.first < turns.length) inside.push(range.first);
    for (const at of inside) stops.add(at);
    if (best < 0) best = inside[0] ?? -1;
  }
  const sorted = [...stops].sort((a, b) => a - b);
  return { stops: sorted, best: Math.max(0, sorted.indexOf(best)) };
}

// The text cut where the pattern matches.
export function cut(text: string, pattern: RegExp | null): Array<{ text: string; hit: boolean }> {
  if (pattern === null) return [{ text, hit: false }];
  const parts: Array<{ text: string; hit: boolean }> = [];
  let from = 0;
  for (const match of text.matchAll(pattern)) {
    if (match.index > from) parts.push({ text: text.slice(from, match.index), hit: false });
    parts.push({ text: match[0], hit: true });
    from = match.index + match[0].length;
  }
  if (from < text.length) parts.push({ text: text.slice(from), hit: false });
  return parts;
}
