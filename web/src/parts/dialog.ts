// Modal dialogs: the browser traps the focus, closes on Esc and gives the focus back.
import { h } from "../dom";
import { explain } from "../errors";
import { icon } from "../icons";

let next = 0;

export function openDialog(title: string, ...content: HTMLElement[]): HTMLDialogElement {
  next += 1;
  const id = `dialog-${next}`;
  const dialog = h(
    "dialog",
    { class: "dialog", "aria-labelledby": id, onclose: () => dialog.remove() },
    h(
      "div",
      { class: "dialog-head" },
      h("h2", { id }, title),
      h(
        "button",
        { type: "button", class: "quiet square", "aria-label": "Close", onclick: () => dialog.close() },
        icon("close"),
      ),
    ),
    ...content,
  );
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog) dialog.close();
  });
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}

export interface Question {
  title: string;
  text: string;
  action: string; // What the button says.
  tone: "danger" | "primary";
  run(): Promise<void>;
}

// Asks before something that cannot be undone. Stays open, with the reason, if it fails.
export function confirmThen(question: Question): void {
  const problem = h("p", { class: "problem", role: "alert", hidden: true });
  const cancel = h("button", { type: "button", onclick: () => dialog.close() }, "Cancel");
  const confirm = h(
    "button",
    {
      type: "button",
      class: question.tone,
      onclick: async () => {
        confirm.disabled = true;
        problem.hidden = true;
        try {
          await question.run();
          dialog.close();
        } catch (error) {
          const { title, remedy } = explain(error);
          problem.textContent = `${title}. ${remedy}`;
          problem.hidden = false;
          confirm.disabled = false;
        }
      },
    },
    question.action,
  );
  const dialog = openDialog(
    question.title,
    h("p", {}, question.text),
    problem,
    h("div", { class: "dialog-actions" }, cancel, confirm),
  );
  cancel.focus();
}

export function isDialogOpen(): boolean {
  return document.querySelector("dialog[open]") !== null;
}
