// The frame around every page: where one is, who one is, and the way out.
import { h, replace } from "./dom";
import { icon, type IconName, logo } from "./icons";
import { openDialog } from "./parts/dialog";
import type { PageName } from "./route";
import type { Session } from "./session";
import { currentTheme, toggleTheme } from "./theme";

const kPages: Array<{ page: PageName; href: string; label: string; icon: IconName }> = [
  { page: "search", href: "#/search", label: "Search", icon: "search" },
  { page: "browse", href: "#/conversations", label: "Conversations", icon: "list" },
  { page: "trends", href: "#/trends", label: "Trends", icon: "trend" },
  { page: "analyzers", href: "#/analyzers", label: "Analyzers", icon: "spark" },
  { page: "live", href: "#/live", label: "Live", icon: "pulse" },
  { page: "dead-letters", href: "#/dead-letters", label: "Dead letters", icon: "inbox" },
];

export interface Shell {
  element: HTMLElement;
  main: HTMLElement;
  mark(page: PageName): void;
}

function themeButton(): HTMLButtonElement {
  const button = h("button", { type: "button", class: "quiet square theme-toggle" });
  const show = (): void => {
    const other = currentTheme() === "dark" ? "light" : "dark";
    button.setAttribute("aria-label", `Use the ${other} theme`);
    button.title = `Use the ${other} theme`;
    replace(button, icon(other === "dark" ? "moon" : "sun"));
  };
  button.addEventListener("click", () => {
    toggleTheme();
    show();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", show);
  show();
  return button;
}

function account(session: Session): HTMLElement {
  const { company, key, label, scopes } = session.who;
  return h(
    "div",
    { class: "who" },
    h("strong", { class: "company" }, company),
    h("span", { class: "small muted", title: key }, label || key),
    h(
      "ul",
      { class: "scopes", "aria-label": "What this key may do" },
      ...scopes.map((scope) => h("li", { class: "tag" }, scope)),
    ),
  );
}

export function showKeys(): void {
  const rows: Array<[string, string]> = [
    ["/", "Go to the search field"],
    ["j  k", "Next and previous result (or the arrow keys)"],
    ["Enter", "Open the result"],
    ["n  p", "Next and previous hit in a conversation"],
    ["Esc", "Back to the list"],
    ["?", "This list"],
  ];
  const list = h("dl", { class: "keys" });
  for (const [keys, meaning] of rows) {
    const caps = keys.split("  ").map((cap) => h("kbd", {}, cap));
    list.append(h("div", {}, h("dt", {}, ...caps), h("dd", {}, meaning)));
  }
  openDialog("Keys", list);
}

export function makeShell(session: Session, signOut: () => void): Shell {
  const main = h("main", { id: "main", tabindex: -1 });
  const links = kPages.map(({ page, href, label, icon: name }) => {
    const link = h("a", { href }, icon(name), h("span", {}, label));
    return { page, link };
  });
  const who = (): HTMLElement => account(session);
  const side = h(
    "header",
    { class: "side" },
    h("a", { class: "brand", href: "#/search" }, logo(), h("span", {}, "Samtale")),
    h("nav", { "aria-label": "Pages" }, ...links.map(({ link }) => link)),
    h(
      "div",
      { class: "side-foot" },
      who(),
      h(
        "button",
        { type: "button", class: "quiet account-open", onclick: () => openDialog("Signed in", who()) },
        session.who.company,
      ),
      h(
        "div",
        { class: "tools" },
        themeButton(),
        h(
          "button",
          { type: "button", class: "quiet square keys-open", "aria-label": "Keys", title: "Keys (?)", onclick: showKeys },
          icon("keyboard"),
        ),
        h(
          "button",
          { type: "button", class: "quiet square sign-out", "aria-label": "Sign out", title: "Sign out", onclick: signOut },
          icon("leave"),
        ),
      ),
    ),
  );
  const skip = h("button", { type: "button", class: "skip", onclick: () => main.focus() }, "Skip to content");
  return {
    element: h("div", { class: "shell" }, skip, side, main),
    main,
    mark(page) {
      for (const { page: name, link } of links) {
        const isHere = name === page || (name === "browse" && page === "conversation") || (name === "analyzers" && page === "analyzer");
        if (isHere) link.setAttribute("aria-current", "page");
        else link.removeAttribute("aria-current");
      }
    },
  };
}
