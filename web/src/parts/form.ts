// Fields of a form with a place each for what is wrong with them.
import { ApiError } from "../api";
import { h } from "../dom";
import { mistakesOf, nearest } from "../definition";
import { explain } from "../errors";

type Control = HTMLInputElement | HTMLTextAreaElement | HTMLSelectElement;

let count = 0;

// `pointer`: where the field stands in the JSON that is sent; by it a mistake finds its field.
export function formField(label: string, control: Control, pointer: string, hint = ""): HTMLElement {
  count += 1;
  const id = `field-${count}`;
  control.id = id;
  control.dataset["pointer"] = pointer;
  control.setAttribute("aria-describedby", `${id}-hint ${id}-problem`);
  const isBox = control.type === "checkbox";
  return h(
    "div",
    { class: isBox ? "field box" : "field" },
    isBox && control,
    h("label", { for: id }, label),
    !isBox && control,
    h("p", { class: "small muted hint", id: `${id}-hint` }, hint),
    h("p", { class: "problem small", id: `${id}-problem` }),
  );
}

export function setProblem(control: Element, text: string): void {
  control.setAttribute("aria-invalid", "true");
  const place = document.getElementById(`${control.id}-problem`);
  if (place !== null) place.textContent = [place.textContent, text].filter((one) => one !== "").join(". ");
  control.closest("details")?.setAttribute("open", "");
}

export function clearProblems(form: HTMLElement): void {
  for (const control of form.querySelectorAll("[aria-invalid]")) control.removeAttribute("aria-invalid");
  for (const place of form.querySelectorAll(".problem")) place.textContent = "";
}

// Each mistake goes to its field; what belongs to none goes into `rest`, which is an alert.
export function showMistakes(form: HTMLElement, error: unknown, rest: HTMLElement): void {
  clearProblems(form);
  const isInput = error instanceof ApiError && (error.status === 400 || error.status === 422);
  const { title, remedy } = explain(error);
  if (!isInput) {
    rest.textContent = `${title}. ${remedy}`;
    return;
  }
  const controls = new Map<string, HTMLElement>();
  for (const control of form.querySelectorAll<HTMLElement>("[data-pointer]")) {
    if (control.closest("[hidden]") === null) controls.set(control.dataset["pointer"] ?? "", control);
  }
  const others: string[] = [];
  for (const { pointer, rule } of mistakesOf(error.message)) {
    const field = nearest(pointer, [...controls.keys()]);
    const control = field === null ? undefined : controls.get(field);
    if (control === undefined) others.push(pointer === "" ? rule : `${pointer}: ${rule}`);
    else setProblem(control, field === pointer ? rule : `${pointer}: ${rule}`);
  }
  rest.textContent = others.length > 0 ? `${title}: ${others.join("; ")}` : "Mend what is marked, then save again.";
  (form.querySelector<HTMLElement>("[aria-invalid=true]") ?? rest).focus();
}

export function textInput(value: string, attributes: Record<string, string | number | boolean | undefined> = {}): HTMLInputElement {
  return h("input", { type: "text", value, autocomplete: "off", ...attributes });
}

export function numberInput(value: number | null | undefined, attributes: Record<string, string | number> = {}): HTMLInputElement {
  return h("input", { type: "number", value: value ?? undefined, step: "any", min: 0, inputmode: "decimal", ...attributes });
}

export function numberIn(input: HTMLInputElement): number | undefined {
  return input.value.trim() === "" ? undefined : Number(input.value);
}

export function checkbox(isChecked: boolean, name = ""): HTMLInputElement {
  return h("input", { type: "checkbox", checked: isChecked, name: name === "" ? undefined : name });
}

export function choice(options: string[], chosen: string, words: (option: string) => string = (option) => option): HTMLSelectElement {
  const all = options.includes(chosen) ? options : [...options, chosen];
  return h("select", {}, ...all.map((value) => h("option", { value, selected: value === chosen }, words(value))));
}

export function area(value: string, rows: number, attributes: Record<string, string | number> = {}): HTMLTextAreaElement {
  return h("textarea", { rows, spellcheck: "false", ...attributes }, value);
}

export const linesIn = (text: HTMLTextAreaElement): string[] =>
  text.value.split("\n").map((line) => line.trim()).filter((line) => line !== "");
