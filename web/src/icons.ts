// Line icons on a 20 x 20 grid, drawn with the colour of the text beside them.
import { svg } from "./dom";

const kPaths = {
  search: "M9 15.5a6.5 6.5 0 1 0 0-13 6.5 6.5 0 0 0 0 13zM13.7 13.7 17.5 17.5",
  list: "M3 5h14M3 10h14M3 15h9",
  pulse: "M2 10.5h4l2.5-6 3.5 11 2.5-5H18",
  trend: "M3 16.5h14M5 16V11M9 16V6M13 16V9M17 16V4",
  inbox: "M3 11l2.2-6.2a1.2 1.2 0 0 1 1.1-.8h7.4a1.2 1.2 0 0 1 1.1.8L17 11v4a1 1 0 0 1-1 1H4a1 1 0 0 1-1-1zM3 11h4l1.2 2.2h3.6L13 11h4",
  sun: "M10 13.5a3.5 3.5 0 1 0 0-7 3.5 3.5 0 0 0 0 7zM10 1.8v1.8M10 16.4v1.8M1.8 10h1.8M16.4 10h1.8M4.2 4.2l1.3 1.3M14.5 14.5l1.3 1.3M4.2 15.8l1.3-1.3M14.5 5.5l1.3-1.3",
  moon: "M16.8 11.9A7 7 0 0 1 8.1 3.2a7 7 0 1 0 8.7 8.7z",
  keyboard: "M3 5h14a1 1 0 0 1 1 1v8a1 1 0 0 1-1 1H3a1 1 0 0 1-1-1V6a1 1 0 0 1 1-1zM5 8h.01M8 8h.01M11 8h.01M14 8h.01M6 12h8",
  leave: "M8 3H4a1 1 0 0 0-1 1v12a1 1 0 0 0 1 1h4M12.5 13.5 16 10l-3.5-3.5M16 10H7.5",
  back: "M11.5 4.5 6 10l5.5 5.5",
  up: "M5 12.5 10 7.5l5 5",
  down: "M5 7.5l5 5 5-5",
  download: "M10 3v9M6.2 8.7 10 12.5l3.8-3.8M3.5 16.5h13",
  trash: "M3.5 5.5h13M8 5.5V3.8a.8.8 0 0 1 .8-.8h2.4a.8.8 0 0 1 .8.8v1.7M5 5.5l.8 10.6a1 1 0 0 0 1 .9h6.4a1 1 0 0 0 1-.9L15 5.5",
  close: "M5 5l10 10M15 5 5 15",
  copy: "M7 7h9a1 1 0 0 1 1 1v8a1 1 0 0 1-1 1H8a1 1 0 0 1-1-1zM4 13H3.8a.8.8 0 0 1-.8-.8V4a1 1 0 0 1 1-1h8.2a.8.8 0 0 1 .8.8V4",
  check: "M4 10.5 8 14.5 16 6",
  filter: "M3 5h14M5.5 10h9M8 15h4",
  warning: "M10 3.2 18 16.5H2zM10 8.2v3.6M10 14.2h.01",
  lock: "M5 9h10v7.5H5zM7 9V6.5a3 3 0 0 1 6 0V9",
  customer: "M10 9.5a3 3 0 1 0 0-6 3 3 0 0 0 0 6zM4 16.5a6 6 0 0 1 12 0",
  agent: "M4 12v-2a6 6 0 0 1 12 0v2M4 11h2v4H4.8a.8.8 0 0 1-.8-.8zM16 11h-2v4h1.2a.8.8 0 0 0 .8-.8zM14 15.2c0 1.2-1.2 1.8-3 1.8",
  bot: "M5 8h10v8H5zM10 8V4.5M8 11.5h.01M12 11.5h.01M8 14h4M10 4.5h.01",
  system: "M10 12.2a2.2 2.2 0 1 0 0-4.4 2.2 2.2 0 0 0 0 4.4zM10 3v2.2M10 14.8V17M3 10h2.2M14.8 10H17",
  spark: "M9 3l1.7 4.8L15.5 9.5l-4.8 1.7L9 16l-1.7-4.8L2.5 9.5l4.8-1.7zM16 13.5v4M14 15.5h4",
  edit: "M4 16l.9-3.4 8.6-8.6 2.5 2.5L7.4 15.1zM11.5 6l2.5 2.5",
  plus: "M10 4v12M4 10h12",
  pause: "M7.5 4.5v11M12.5 4.5v11",
  play: "M7 4.5l8.5 5.5L7 15.5z",
  redo: "M15.5 6.5A6.3 6.3 0 1 0 16.3 11M16 3v4h-4",
} as const;

export type IconName = keyof typeof kPaths;

export function icon(name: IconName): SVGElement {
  return svg(
    "svg",
    { viewBox: "0 0 20 20", class: "icon", "aria-hidden": "true", focusable: "false" },
    svg("path", { d: kPaths[name] }),
  );
}

// The mark of the product; keeps its colours in both themes.
export function logo(): SVGElement {
  return svg(
    "svg",
    { viewBox: "0 0 32 32", class: "logo", "aria-hidden": "true", focusable: "false" },
    svg("path", {
      class: "logo-bubble",
      d: "M8 3h16a6 6 0 0 1 6 6v10a6 6 0 0 1-6 6h-9l-6.4 4.8A1 1 0 0 1 7 29v-4.1A6 6 0 0 1 2 19V9a6 6 0 0 1 6-6z",
    }),
    svg("path", { class: "logo-line", d: "M9 10.5h14M18.5 17.5H23" }),
    svg("path", { class: "logo-hit", d: "M9 17.5h4.5" }),
  );
}
