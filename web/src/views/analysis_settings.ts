// How a company's analyses are made: budget, masking, language.
import type { AnalysisSettings } from "../analysis_types";
import { isAbort } from "../api";
import { h, replace } from "../dom";
import { budgetFields } from "../parts/budget_fields";
import { area, checkbox, clearProblems, formField, linesIn, showMistakes, textInput } from "../parts/form";
import { failed, skeleton } from "../parts/states";
import { toast } from "../parts/toast";
import { may } from "../session";
import type { Context } from "../view";

export class SettingsPanel {
  readonly element = h("div");

  constructor(
    private readonly context: Context,
    private readonly stopped: AbortSignal,
  ) {
    void this.load();
  }

  private async load(): Promise<void> {
    replace(this.element, skeleton(3));
    try {
      const settings = await this.context.session.client.analysisSettings(this.stopped);
      if (!this.stopped.aborted) replace(this.element, this.form(settings));
    } catch (error) {
      if (isAbort(error) || this.stopped.aborted) return;
      replace(this.element, failed(error, () => void this.load()));
    }
  }

  private form(settings: AnalysisSettings): HTMLElement {
    const isEditor = may(this.context.session, "admin");
    const budget = budgetFields(settings.budget);
    const maskPii = checkbox(settings.mask_pii);
    const names = area(settings.mask_names.join("\n"), 4);
    const language = textInput(settings.language, { list: "languages", placeholder: "of the conversation" });
    const problem = h("p", { class: "problem", role: "alert", tabindex: -1 });
    const save = h("button", { type: "submit", class: "primary" }, "Save");
    const submit = async (event: SubmitEvent): Promise<void> => {
      event.preventDefault();
      save.disabled = true;
      try {
        await this.context.session.client.putAnalysisSettings({
          budget: budget.read(),
          mask_pii: maskPii.checked,
          mask_names: linesIn(names),
          language: language.value.trim(),
        });
        clearProblems(form);
        toast("Saved");
      } catch (error) {
        showMistakes(form, error, problem);
      } finally {
        save.disabled = false;
      }
    };
    const form = h(
      "form",
      { class: "form card", novalidate: true, onsubmit: submit },
      h(
        "fieldset",
        { class: "plain", disabled: !isEditor },
        h("p", { class: "muted small" }, "What all analyses of the company may cost together. Where it is spent, they stop until the day or month has ended."),
        budget.element,
        h(
          "fieldset",
          { class: "group" },
          h("legend", {}, "Personal data"),
          formField("Mask personal data", maskPii, "/mask_pii", "Before anything leaves this machine. It is put back into the result."),
          formField("Names to mask as well", names, "/mask_names", "One a line, besides those of the parties."),
        ),
        formField("Language of what is written", language, "/language", "Like da or en. Empty: as in the conversation."),
        h("datalist", { id: "languages" }, ...["da", "en", "de", "sv", "nb"].map((value) => h("option", { value }))),
      ),
      problem,
      isEditor ? h("div", { class: "form-actions" }, save) : h("p", { class: "small muted" }, "To change this, sign in with a key that has the admin scope."),
    );
    return form;
  }
}
