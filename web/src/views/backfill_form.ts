// Asks for analyses over history: what it would cost first, and only then the start.
import type { Analyzer, BackfillFilter, Estimate } from "../analysis_types";
import type { Client } from "../api";
import { h, replace } from "../dom";
import { titleOf } from "../findings";
import { number } from "../format";
import { openDialog } from "../parts/dialog";
import { formField, showMistakes, textInput } from "../parts/form";
import { dayEnd, dayStart } from "../search_query";

const kMoney = new Intl.NumberFormat(undefined, { style: "currency", currency: "USD", currencyDisplay: "narrowSymbol" });
const kCent = 0.01;

export const usd = (value: number): string => (value > 0 && value < kCent ? `less than ${kMoney.format(kCent)}` : kMoney.format(value));

export function estimateList(estimate: Partial<Estimate>): HTMLElement {
  const facts: Array<[string, string]> = [
    ["Conversations", number(estimate.conversations ?? 0)],
    ["Analyses by a language model", number(estimate.analyses ?? 0)],
    ["Tokens read, at the most", number(estimate.input_tokens ?? 0)],
    ["Tokens written", number(estimate.output_tokens ?? 0)],
    ["Cost", usd(estimate.usd ?? 0)],
  ];
  return h("dl", { class: "facts-list estimate" }, ...facts.map(([term, value]) => h("div", {}, h("dt", {}, term), h("dd", {}, value))));
}

// `chosen` are ticked at the start. `started` is called when the server has taken it.
export function askBackfill(client: Client, analyzers: Analyzer[], chosen: string[], started: () => void): void {
  const stopped = new AbortController();
  const active = analyzers.filter((analyzer) => analyzer.active);
  const boxes = active.map(({ name }) => h("input", { type: "checkbox", value: name, checked: chosen.includes(name) }));
  const from = h("input", { type: "date" });
  const to = h("input", { type: "date" });
  const channel = textInput("", { placeholder: "any" });
  const source = textInput("", { placeholder: "any" });
  const result = h("div", { class: "estimate-place", role: "status" });
  const problem = h("p", { class: "problem", role: "alert", tabindex: -1 });
  const action = h("button", { type: "submit", class: "primary" }, "Estimate the cost");
  let estimated: BackfillFilter | null = null;

  const filter = (): BackfillFilter => {
    const names = boxes.filter((box) => box.checked).map(({ value }) => value);
    const read: BackfillFilter = names.length > 0 ? { analyzers: names } : {};
    if (from.value !== "") read.from = dayStart(from.value);
    if (to.value !== "") read.to = dayEnd(to.value);
    if (channel.value.trim() !== "") read.channel = channel.value.trim();
    if (source.value.trim() !== "") read.source = source.value.trim();
    return read;
  };
  // What is started is what was estimated, and nothing else.
  const forget = (): void => {
    estimated = null;
    replace(result);
    action.textContent = "Estimate the cost";
  };
  const submit = async (event: SubmitEvent): Promise<void> => {
    event.preventDefault();
    action.disabled = true;
    try {
      if (estimated !== null) {
        await client.startBackfill(estimated);
        dialog.close();
        started();
        return;
      }
      const wanted = filter();
      const estimate = await client.estimateBackfill(wanted, stopped.signal);
      if (JSON.stringify(wanted) !== JSON.stringify(filter())) return;
      estimated = wanted;
      const note = estimate.sampled > 0 ? `Estimated from ${number(estimate.sampled)} of them. ` : "";
      replace(result, estimateList(estimate), h("p", { class: "small muted" }, `${note}What is known already is not made again.`));
      action.textContent = "Start the back-fill";
      problem.textContent = "";
      action.scrollIntoView({ block: "nearest" });
    } catch (error) {
      if (!stopped.signal.aborted) showMistakes(form, error, problem);
    } finally {
      action.disabled = false;
    }
  };
  const form = h(
    "form",
    { class: "form", onsubmit: submit, oninput: forget },
    h(
      "fieldset",
      { class: "choices" },
      h("legend", {}, "Analyzers, or none for all"),
      ...active.map(({ name }, at) => h("label", {}, boxes[at], titleOf(name))),
    ),
    h(
      "div",
      { class: "grid" },
      formField("From", from, "/from"),
      formField("To", to, "/to"),
      formField("Channel", channel, "/channel"),
      formField("Source", source, "/source"),
    ),
    result,
    problem,
    h("div", { class: "dialog-actions" }, h("button", { type: "button", onclick: () => dialog.close() }, "Cancel"), action),
  );
  const dialog = openDialog("Back-fill over history", h("p", { class: "muted small" }, "For conversations from before an analyzer was there, or before it was changed."), form);
  dialog.addEventListener("close", () => stopped.abort());
}
