// Elements by function call. Text becomes text nodes and nothing else: there is no way in here for
// markup, inline handlers, styles or foreign addresses.

type Child = Node | string | number | null | undefined | false;
type Handler = (event: never) => void;
type Attributes = Record<string, string | number | boolean | undefined | Handler>;

const kForbidden = new Set(["style", "srcdoc", "src", "action", "formaction"]);

function setAttribute(element: Element, name: string, value: Attributes[string]): void {
  if (value === undefined || value === false) return;
  if (typeof value === "function") {
    element.addEventListener(name.replace(/^on/, ""), value as EventListener);
    return;
  }
  const text = value === true ? "" : String(value);
  // The dashboard links only to its own pages and to downloads that it made itself.
  if (kForbidden.has(name) || (name === "href" && !/^(#|blob:)/.test(text))) {
    throw new Error(`the dashboard never sets ${name}="${text}"`);
  }
  element.setAttribute(name, text);
}

export function append(parent: Element, ...children: Child[]): void {
  for (const child of children) {
    if (child === null || child === undefined || child === false) continue;
    parent.append(child instanceof Node ? child : String(child));
  }
}

export function h<Tag extends keyof HTMLElementTagNameMap>(
  tag: Tag,
  attributes: Attributes = {},
  ...children: Child[]
): HTMLElementTagNameMap[Tag] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) setAttribute(element, name, value);
  append(element, ...children);
  return element;
}

export function svg(tag: string, attributes: Attributes = {}, ...children: Child[]): SVGElement {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) setAttribute(element, name, value);
  append(element, ...children);
  return element;
}

export function replace(parent: Element, ...children: Child[]): void {
  parent.replaceChildren();
  append(parent, ...children);
}
