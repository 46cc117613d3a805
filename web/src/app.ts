// Starts the dashboard: theme, session, and the page that the address names.
import { h, replace } from "./dom";
import { isDialogOpen } from "./parts/dialog";
import { mountToasts } from "./parts/toast";
import { parseRoute, type Route } from "./route";
import { forgetKey, rememberedKey, type Session, signIn } from "./session";
import { makeShell, type Shell, showKeys } from "./shell";
import { applyTheme } from "./theme";
import type { Context, View } from "./view";
import { analyzerView } from "./views/analyzer";
import { analyzersView } from "./views/analyzers";
import { browseView } from "./views/browse";
import { conversationView } from "./views/conversation";
import { deadLettersView } from "./views/dead_letters";
import { liveView } from "./views/live";
import { searchView } from "./views/search";
import { trendsView } from "./views/trends";
import { signInPage } from "./views/sign_in";

applyTheme();

const root = h("div", { id: "app" });
let shell: Shell | null = null;
let context: Context | null = null;
let view: View | null = null;
let hasMoved = false; // Whether "back" stays within the dashboard.

function makeView(route: Route, given: Context): View {
  switch (route.page) {
    case "search":
      return searchView(given, route);
    case "conversation":
      return conversationView(given, route);
    case "browse":
      return browseView(given, route);
    case "trends":
      return trendsView(given, route);
    case "analyzers":
      return analyzersView(given, route);
    case "analyzer":
      return analyzerView(given, route);
    case "live":
      return liveView(given);
    case "dead-letters":
      return deadLettersView(given);
  }
}

function setTitle(title: string): void {
  document.title = title === "" ? "Samtale" : `${title} – Samtale`;
}

function showRoute(): void {
  if (shell === null || context === null) return;
  const route = parseRoute(location.hash);
  view?.close();
  view = makeView(route, context);
  shell.mark(route.page);
  setTitle(view.title);
  replace(shell.main, view.element);
  window.scrollTo(0, 0);
  // Screen readers hear the new page; a page with a better place for the focus takes it in shown().
  shell.main.focus({ preventScroll: true });
  view.shown?.();
}

function leave(notice: string): void {
  forgetKey();
  view?.close();
  view = null;
  shell = null;
  context = null;
  showDoor(notice);
}

const onRefused = (): void => {
  if (context !== null) leave("This key is no longer accepted. Sign in again.");
};

function enter(session: Session): void {
  context = {
    session,
    place: null,
    setTitle,
    go(hash) {
      hasMoved = true;
      if (location.hash === hash) showRoute();
      else location.hash = hash;
    },
    rewrite: (hash) => history.replaceState(null, "", hash),
    back() {
      if (hasMoved) history.back();
      else location.hash = "#/search";
    },
  };
  shell = makeShell(session, () => leave(""));
  replace(root, shell.element);
  showRoute();
}

function showDoor(notice: string): void {
  setTitle("Sign in");
  replace(root, signInPage({ notice, onSignedIn: enter, onRefused }));
  document.getElementById("key")?.focus();
}

function isTyping(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && target.matches("input, textarea, select, [contenteditable]");
}

function onKey(event: KeyboardEvent): void {
  if (context === null || event.defaultPrevented || event.isComposing) return;
  if (event.ctrlKey || event.metaKey || event.altKey || isDialogOpen()) return;
  if (isTyping(event.target) && event.key !== "Escape" && event.key !== "ArrowDown") return;
  if (view?.key?.(event) === true) {
    event.preventDefault();
  } else if (event.key === "?") {
    event.preventDefault();
    showKeys();
  } else if (event.key === "/") {
    event.preventDefault();
    context.go("#/search");
  }
}

async function start(): Promise<void> {
  document.body.append(root);
  mountToasts();
  document.addEventListener("keydown", onKey);
  window.addEventListener("hashchange", () => {
    hasMoved = true;
    showRoute();
  });
  const key = rememberedKey();
  if (key === null) {
    showDoor("");
    return;
  }
  try {
    enter(await signIn(key, true, onRefused));
  } catch {
    showDoor("Sign in again: the key of this tab could not be checked.");
  }
}

document.addEventListener("DOMContentLoaded", () => void start());
