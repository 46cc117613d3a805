// A score card: what the machine gave for each question and, beside it, what a person says.
import type { Analysis, Override, Question } from "../analysis_types";
import type { Client } from "../api";
import { h } from "../dom";
import { type Answer, type Finding, readFinding } from "../findings";
import { exactOf, momentOf, rate } from "../format";
import { icon } from "../icons";
import { openDialog } from "../parts/dialog";
import { area, formField, showMistakes } from "../parts/form";
import { type Show, quotes } from "./finding_body";

type Card = Finding & { kind: "scorecard" };

export const percent = (score: number): string => `${rate(score * 100)} %`;

function cardOf(result: unknown): Card | null {
  const finding = readFinding(result);
  return finding.kind === "scorecard" ? finding : null;
}

// Points without the question that says of how many: the card has changed since.
function pointsWords(answer: Answer | undefined, question: Question | undefined): string {
  if (answer === undefined) return "–";
  if (answer.points === null) return "N/A";
  return question === undefined ? String(answer.points) : `${answer.points} of ${question.max}`;
}

function scoreLine(label: string, score: number | null | undefined): HTMLElement {
  return h("p", { class: "card-score" }, h("span", { class: "muted small" }, label), h("strong", {}, typeof score === "number" ? percent(score) : "N/A"));
}

interface Line {
  id: string;
  question: Question | undefined;
  machine: Answer | undefined;
  person: Answer | undefined;
}

// The questions in their order, then answers to questions that are no longer asked.
function linesOf(questions: Question[], machine: Card | null, person: Card | null): Line[] {
  const answers = [...(machine?.answers ?? []), ...(person?.answers ?? [])];
  const ids = new Set([...questions.map(({ id }) => id), ...answers.map(({ id }) => id)]);
  const by = (card: Card | null, id: string): Answer | undefined => card?.answers.find((answer) => answer.id === id);
  return [...ids].map((id) => ({
    id,
    question: questions.find((question) => question.id === id),
    machine: by(machine, id),
    person: by(person, id),
  }));
}

function lineItem(line: Line, hasPerson: boolean, show: Show): HTMLElement {
  const { question, machine, person } = line;
  const differs = hasPerson && person !== undefined && person.points !== (machine?.points ?? null);
  return h(
    "li",
    {},
    h("p", { class: "wrap", dir: "auto" }, question?.text ?? line.id, question !== undefined && question.weight !== 1 && h("span", { class: "small muted" }, ` weight ${rate(question.weight)}`)),
    h(
      "p",
      { class: "points" },
      h("span", { class: differs ? "corrected" : undefined }, pointsWords(machine, question)),
      hasPerson && h("span", { class: differs ? "person differs" : "person" }, icon("customer"), h("span", { class: "sr-only" }, "A person: "), pointsWords(person, question)),
    ),
    quotes(machine?.evidence ?? [], show),
  );
}

export function overrideNote(override: Override): HTMLElement {
  return h(
    "div",
    { class: "override" },
    override.note ? h("p", { class: "written", dir: "auto" }, override.note) : null,
    h("p", { class: "small muted wrap" }, `By ${override.by}, `, h("time", { datetime: override.made_at, title: exactOf(override.made_at) }, momentOf(override.made_at))),
  );
}

export function scorecardBody(analysis: Analysis, questions: Question[], show: Show): Element[] {
  const machine = cardOf(analysis.result);
  const { override } = analysis;
  const person = override ? cardOf(override.result) : null;
  const lines = linesOf(questions, machine, person).map((line) => lineItem(line, person !== null, show));
  return [
    h(
      "div",
      { class: "card-scores" },
      scoreLine("Machine", analysis.score ?? machine?.score),
      override ? scoreLine("A person", override.score ?? person?.score) : null,
    ),
    ...(override ? [overrideNote(override)] : []),
    h("ol", { class: "questions" }, ...lines),
  ];
}

function pointsChoice(question: Question, given: Answer | undefined): HTMLSelectElement {
  const chosen = given === undefined || given.points === null ? "" : String(given.points);
  const values = Array.from({ length: question.max + 1 }, (_, points) => String(points));
  const words = (value: string): string => (question.max === 1 ? (value === "1" ? "1 – yes" : "0 – no") : `${value} of ${question.max}`);
  return h(
    "select",
    {},
    h("option", { value: "", selected: chosen === "" }, "N/A"),
    ...values.map((value) => h("option", { value, selected: value === chosen }, words(value))),
  );
}

// `saved` is called when the server has it.
export function editScorecard(client: Client, conversation: string, analysis: Analysis, questions: Question[], saved: () => void): void {
  const before = cardOf(analysis.override?.result ?? analysis.result);
  const choices = questions.map((question) => ({
    question,
    select: pointsChoice(question, before?.answers.find(({ id }) => id === question.id)),
  }));
  const note = area(analysis.override?.note ?? "", 3, { spellcheck: "true" });
  const problem = h("p", { class: "problem", role: "alert", tabindex: -1 });
  const save = h("button", { type: "submit", class: "primary" }, "Save");
  const submit = async (event: SubmitEvent): Promise<void> => {
    event.preventDefault();
    save.disabled = true;
    const answers = choices.map(({ question, select }) => ({ id: question.id, points: select.value === "" ? null : Number(select.value) }));
    const said = note.value.trim();
    try {
      await client.putOverride(conversation, analysis.analyzer, { result: { answers }, ...(said === "" ? {} : { note: said }) });
      dialog.close();
      saved();
    } catch (error) {
      showMistakes(form, error, problem);
      save.disabled = false;
    }
  };
  const form = h(
    "form",
    { class: "form", onsubmit: submit },
    ...choices.map(({ question, select }, at) => formField(question.text, select, `/result/answers/${at}`)),
    formField("Note", note, "/note", "Why: whoever reads the score sees it."),
    problem,
    h("div", { class: "dialog-actions" }, h("button", { type: "button", onclick: () => dialog.close() }, "Cancel"), save),
  );
  const dialog = openDialog("What a person says", h("p", { class: "muted small" }, "Kept beside the machine's answers, whatever those become."), form);
}
