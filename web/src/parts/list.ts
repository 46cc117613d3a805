// Moving through a list of links with the keyboard: the focus itself moves, so Enter opens.

function rowsIn(list: ParentNode): HTMLElement[] {
  return [...list.querySelectorAll<HTMLElement>("[data-row]")];
}

// `step` 1 or -1 from the row that has the focus. False if there is nowhere to go.
export function moveFocus(list: ParentNode, step: 1 | -1): boolean {
  const rows = rowsIn(list);
  const holder = document.activeElement?.closest("li, tr");
  const at = rows.findIndex((row) => row === document.activeElement || holder?.contains(row) === true);
  const next = at < 0 ? (step === 1 ? rows[0] : undefined) : rows[at + step];
  if (next === undefined) return at >= 0;
  next.focus({ preventScroll: true });
  (next.closest("li, tr") ?? next).scrollIntoView({ block: "nearest" });
  return true;
}

export function listKey(list: ParentNode, event: KeyboardEvent): boolean {
  if (event.key === "j" || event.key === "ArrowDown") return moveFocus(list, 1);
  if (event.key === "k" || event.key === "ArrowUp") return moveFocus(list, -1);
  return false;
}

export function focusRow(list: ParentNode, id: string): void {
  const row = rowsIn(list).find((candidate) => candidate.dataset["row"] === id);
  row?.focus({ preventScroll: true });
  row?.scrollIntoView({ block: "center" });
}
