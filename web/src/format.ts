// Numbers, times and names as the reader's locale writes them.

const kNumber = new Intl.NumberFormat(undefined);
const kCompact = new Intl.NumberFormat(undefined, { notation: "compact", maximumFractionDigits: 1 });
const kRate = new Intl.NumberFormat(undefined, { maximumFractionDigits: 1 });
const kScore = new Intl.NumberFormat(undefined, { minimumFractionDigits: 2, maximumFractionDigits: 2 });
const kDate = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", year: "numeric" });
const kClock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const kMoment = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
const kExact = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "long" });
const kBytes = ["B", "kB", "MB", "GB", "TB"];

export const number = (value: number): string => kNumber.format(value);
export const compact = (value: number): string =>
  value < 100_000 ? kNumber.format(value) : kCompact.format(value);
export const rate = (value: number): string => kRate.format(value);
export const score = (value: number): string => kScore.format(value);
export const plural = (count: number, one: string, many: string): string =>
  `${kNumber.format(count)} ${count === 1 ? one : many}`;

function when(text: string | null | undefined): Date | null {
  if (text === undefined || text === null || text === "") return null;
  const date = new Date(text);
  return Number.isNaN(date.getTime()) ? null : date;
}

function written(text: string | null | undefined, format: Intl.DateTimeFormat): string {
  const date = when(text);
  return date === null ? "" : format.format(date);
}

export const dateOf = (text: string | null | undefined): string => written(text, kDate);
export const clockOf = (text: string | null | undefined): string => written(text, kClock);
export const momentOf = (text: string | null | undefined): string => written(text, kMoment);
export const exactOf = (text: string | null | undefined): string => written(text, kExact);

// "480 ms", "12 s", "3 min", "2 h 5 min", "4 d".
export function span(milliseconds: number): string {
  if (milliseconds < 1000) return `${Math.round(milliseconds)} ms`;
  const seconds = Math.round(milliseconds / 1000);
  if (seconds < 90) return `${seconds} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours >= 48) return `${Math.round(hours / 24)} d`;
  return minutes % 60 === 0 ? `${hours} h` : `${hours} h ${minutes % 60} min`;
}

export function between(from: string | undefined, to: string | undefined): string {
  const start = when(from);
  const end = when(to);
  if (start === null || end === null || end < start) return "";
  return span(end.getTime() - start.getTime());
}

export function tookMs(milliseconds: number): string {
  return `${new Intl.NumberFormat(undefined, { maximumFractionDigits: milliseconds < 10 ? 1 : 0 }).format(milliseconds)} ms`;
}

export function bytes(count: number): string {
  let value = count;
  let unit = 0;
  while (value >= 1000 && unit < kBytes.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${rate(value)} ${kBytes[unit]}`;
}

// What a conversation is called where it has no title.
export function nameOf(conversation: { title?: string; external_id?: string; id: string }): string {
  return conversation.title || conversation.external_id || conversation.id;
}

// Turns count from 1 for people.
export function turnsOf(first: number, last: number): string {
  return first === last ? `Turn ${first + 1}` : `Turns ${first + 1}–${last + 1}`;
}
