// The definition of one analyzer as a form: fields for what is common, JSON for the rest.
import type { Question } from "../analysis_types";
import { type Form, hasTaxonomy, kKinds, kPriorities, kTriggers } from "../definition";
import { h, replace } from "../dom";
import { titleOf } from "../findings";
import { icon } from "../icons";
import { budgetFields } from "../parts/budget_fields";
import { area, checkbox, choice, formField, linesIn, numberIn, numberInput, setProblem, textInput } from "../parts/form";

const kTriggerWords: Record<string, string> = {
  ended: "when it ends",
  turn: "after a turn",
  tag: "with a tag",
  schedule: "on a schedule",
  demand: "when asked",
};

// A start for a company's own, to be changed.
const kSchema = { type: "object", properties: { urgent: { type: "boolean" } }, required: ["urgent"], additionalProperties: false };

interface QuestionRow {
  element: HTMLElement;
  read(): Question;
}

// The rows are numbered anew when one goes: mistakes name them by their place.
class QuestionList {
  readonly element: HTMLElement;
  private readonly list = h("ol", { class: "question-rows" });
  private rows: QuestionRow[];

  constructor(questions: Question[]) {
    this.rows = questions.map((question) => this.row(question));
    const add = h("button", { type: "button", class: "small-button", onclick: () => this.add() }, icon("plus"), "Add a question");
    this.element = h("fieldset", { class: "group" }, h("legend", {}, "Questions"), this.list, add);
    this.show();
  }

  read(): Question[] {
    return this.rows.map((row) => row.read());
  }

  private add(): void {
    this.rows.push(this.row({ id: `q${this.rows.length + 1}`, text: "", max: 1, weight: 1 }));
    this.show();
    this.rows.at(-1)?.element.querySelector("input")?.focus();
  }

  private show(): void {
    for (const [at, { element }] of this.rows.entries()) {
      for (const control of element.querySelectorAll<HTMLElement>("[data-pointer]")) {
        control.dataset["pointer"] = (control.dataset["pointer"] ?? "").replace(/^\/questions\/\d*/, `/questions/${at}`);
      }
    }
    replace(this.list, ...this.rows.map(({ element }) => element));
  }

  private row(question: Question): QuestionRow {
    const text = textInput(question.text);
    const id = textInput(question.id, { class: "mono" });
    const max = numberInput(question.max, { step: 1 });
    const weight = numberInput(question.weight);
    const remove = h(
      "button",
      {
        type: "button",
        class: "quiet square",
        "aria-label": "Remove this question",
        onclick: () => {
          this.rows = this.rows.filter((other) => other !== row);
          this.show();
        },
      },
      icon("trash"),
    );
    const row: QuestionRow = {
      element: h(
        "li",
        {},
        formField("Question", text, "/questions//text"),
        formField("Points", max, "/questions//max"),
        formField("Weight", weight, "/questions//weight"),
        formField("Id", id, "/questions//id"),
        remove,
      ),
      read: () => ({ id: id.value.trim(), text: text.value.trim(), max: numberIn(max) ?? 1, weight: numberIn(weight) ?? 1 }),
    };
    return row;
  }
}

export interface AnalyzerForm {
  element: HTMLElement;
  // Null if the JSON is none; it is then marked.
  read(): Form | null;
}

// `isNew`: its kind can still be chosen.
export function analyzerForm(form: Form, isNew: boolean): AnalyzerForm {
  const kind = choice(kKinds, form.kind, titleOf);
  kind.disabled = !isNew;
  const description = textInput(form.description);
  const instructions = area(form.instructions, 5, { spellcheck: "true" });
  const taxonomy = area(form.taxonomy.join("\n"), 5);
  const discover = checkbox(form.discover);
  const questions = new QuestionList(form.questions.length > 0 ? form.questions : [{ id: "q1", text: "", max: 1, weight: 1 }]);
  const on = choice(kTriggers, form.trigger.on, (value) => kTriggerWords[value] ?? value);
  const tag = textInput(form.trigger.tag ?? "");
  const quiet = numberInput(form.trigger.quiet_s, { step: 1, placeholder: "10" });
  const every = numberInput(form.trigger.every_s, { step: 1, placeholder: "86400" });
  const priority = choice(kPriorities, form.priority);
  const deadline = numberInput(form.deadlineS, { step: 1, placeholder: "none" });
  const sample = numberInput(form.samplePercent);
  const model = textInput(form.model, { placeholder: "the server's" });
  const language = textInput(form.language, { placeholder: "the company's" });
  const budget = budgetFields(form.budget);
  const isActive = checkbox(form.isActive);
  const hasRest = Object.keys(form.rest).length > 0;
  const rest = area(hasRest ? JSON.stringify(form.rest, null, 2) : "", 10, { class: "mono" });

  const taxonomyPart = h(
    "fieldset",
    { class: "group" },
    h("legend", {}, "Names to choose from"),
    formField("Names", taxonomy, "/taxonomy", "One a line. Empty: all are found in the conversations."),
    formField("Others may be found as well", discover, "/discover"),
  );
  const tagField = formField("Tag", tag, "/trigger/tag");
  const quietField = formField("Seconds of quiet", quiet, "/trigger/quiet_s", "After so long without another turn.");
  const everyField = formField("Seconds between", every, "/trigger/every_s");
  const restPart = h(
    "details",
    { class: "raw", open: hasRest || form.kind === "custom" },
    h("summary", {}, "The rest, as JSON"),
    // What no other field is for is a mistake in here.
    formField("Members", rest, "", "“schema”: the JSON Schema of a custom analyzer's value."),
  );
  const showParts = (): void => {
    taxonomyPart.hidden = !hasTaxonomy(kind.value);
    questions.element.hidden = kind.value !== "scorecard";
    tagField.hidden = on.value !== "tag";
    quietField.hidden = on.value !== "turn";
    everyField.hidden = on.value !== "schedule";
    if (kind.value === "custom" && rest.value.trim() === "") {
      rest.value = JSON.stringify({ schema: kSchema }, null, 2);
      restPart.open = true;
    } else if (kind.value !== "custom" && rest.value === JSON.stringify({ schema: kSchema }, null, 2)) {
      rest.value = "";
      restPart.open = false;
    }
  };
  kind.addEventListener("change", showParts);
  on.addEventListener("change", showParts);
  showParts();

  const readRest = (): Record<string, unknown> | null => {
    if (rest.value.trim() === "") return {};
    try {
      const value: unknown = JSON.parse(rest.value);
      if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
      setProblem(rest, "must be an object, like {\"schema\": …}");
    } catch (error) {
      setProblem(rest, `is not JSON: ${error instanceof Error ? error.message : String(error)}`);
    }
    rest.focus();
    return null;
  };
  const trigger = (): Form["trigger"] => {
    const [quietS, everyS] = [numberIn(quiet), numberIn(every)];
    return { on: on.value, tag: tag.value.trim(), ...(quietS === undefined ? {} : { quiet_s: quietS }), ...(everyS === undefined ? {} : { every_s: everyS }) };
  };
  return {
    element: h(
      "div",
      { class: "form-parts" },
      formField("Kind", kind, "/kind"),
      formField("Description", description, "/description"),
      formField("Instructions", instructions, "/instructions", "What a language model is told beside what belongs to the kind."),
      taxonomyPart,
      questions.element,
      h(
        "fieldset",
        { class: "group" },
        h("legend", {}, "When"),
        h("div", { class: "grid" }, formField("Runs", on, "/trigger"), tagField, quietField, everyField, formField("Priority", priority, "/priority"), formField("Deadline in seconds", deadline, "/deadline_s"), formField("Sample in percent", sample, "/sample", "Of the conversations: more than 0, at most 100.")),
        formField("Active", isActive, "/active"),
      ),
      budget.element,
      h("div", { class: "grid" }, formField("Model", model, "/model"), formField("Language", language, "/language", "Of what is written.")),
      restPart,
    ),
    read() {
      const others = readRest();
      if (others === null) return null;
      return {
        kind: kind.value,
        description: description.value.trim(),
        instructions: instructions.value.trim(),
        model: model.value.trim(),
        language: language.value.trim(),
        trigger: trigger(),
        priority: priority.value,
        deadlineS: numberIn(deadline) ?? null,
        samplePercent: numberIn(sample) ?? null,
        budget: budget.read(),
        isActive: isActive.checked,
        taxonomy: linesIn(taxonomy),
        discover: discover.checked,
        questions: questions.read(),
        rest: others,
      };
    },
  };
}
