// The door: an API key, and nothing of it leaves this page but the request that asks who it is.
import { ApiError } from "../api";
import { h } from "../dom";
import { explain } from "../errors";
import { logo } from "../icons";
import { forgetKey, isSendable, type Session, signIn } from "../session";

export interface SignInOptions {
  notice: string; // Why the reader is here again; may be empty.
  onSignedIn(session: Session): void;
  onRefused(): void; // The key stopped being accepted later on.
}

function wordsFor(error: unknown): string {
  if (error instanceof ApiError && error.status === 401) {
    return "The server does not know this key. Check that it was copied whole and has not been revoked.";
  }
  const { title, remedy } = explain(error);
  return `${title}. ${remedy}`;
}

export function signInPage(options: SignInOptions): HTMLElement {
  const key = h("input", {
    id: "key",
    type: "password",
    autocomplete: "off",
    autocapitalize: "off",
    spellcheck: "false",
    placeholder: "smt_…",
    required: true,
    "aria-describedby": "key-problem",
    class: "mono",
  });
  const remember = h("input", { type: "checkbox", id: "remember", "aria-describedby": "remember-help" });
  const button = h("button", { type: "submit", class: "primary wide" }, "Sign in");
  const problem = h("p", { id: "key-problem", class: "problem", role: "alert" }, options.notice);
  let isOpen = true;

  const submit = async (event: SubmitEvent): Promise<void> => {
    event.preventDefault();
    const text = key.value.trim();
    if (!isSendable(text)) {
      problem.textContent = "That is not an API key: keys begin with smt_ and have no spaces.";
      key.focus();
      return;
    }
    button.disabled = true;
    problem.textContent = "";
    forgetKey();
    try {
      const session = await signIn(text, remember.checked, () => {
        if (!isOpen) options.onRefused();
      });
      isOpen = false;
      options.onSignedIn(session);
    } catch (error) {
      problem.textContent = wordsFor(error);
      key.setAttribute("aria-invalid", "true");
      button.disabled = false;
      key.select();
    }
  };

  return h(
    "main",
    { class: "door" },
    h("div", { class: "brand" }, logo(), h("h1", {}, "Samtale")),
    h("p", { class: "muted" }, "Search your company's conversations by meaning and by words."),
    h(
      "form",
      { onsubmit: submit, novalidate: true },
      h("label", { for: "key" }, "API key"),
      key,
      problem,
      h(
        "div",
        { class: "choice" },
        remember,
        h("label", { for: "remember" }, "Stay signed in on this device"),
        h("p", { id: "remember-help", class: "small muted" }, "Until this tab is closed. Otherwise a reload asks again."),
      ),
      button,
    ),
    h(
      "p",
      { class: "small muted" },
      "The operator of the server makes keys with ",
      h("code", {}, "samtale key create"),
      ".",
    ),
  );
}
