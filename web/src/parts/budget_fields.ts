// The four limits of a budget, as fields.
import type { BudgetLimits } from "../analysis_types";
import { h } from "../dom";
import { formField, numberIn, numberInput } from "./form";

const kLimits: Array<{ key: keyof BudgetLimits; label: string }> = [
  { key: "tokens_per_day", label: "Tokens a day" },
  { key: "tokens_per_month", label: "Tokens a month" },
  { key: "usd_per_day", label: "US dollars a day" },
  { key: "usd_per_month", label: "US dollars a month" },
];

export function budgetFields(limits: BudgetLimits): { element: HTMLElement; read(): BudgetLimits } {
  const inputs = kLimits.map(({ key, label }) => ({ key, label, input: numberInput(limits[key], { placeholder: "no limit" }) }));
  return {
    element: h(
      "fieldset",
      { class: "group" },
      h("legend", {}, "Budget"),
      h("div", { class: "grid" }, ...inputs.map(({ key, label, input }) => formField(label, input, `/budget/${key}`))),
    ),
    read() {
      const read: BudgetLimits = {};
      for (const { key, input } of inputs) {
        const value = numberIn(input);
        if (value !== undefined) read[key] = value;
      }
      return read;
    },
  };
}
