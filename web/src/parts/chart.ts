// A small line over the last minutes, drawn by a viewBox in time and rate.
import { svg } from "../dom";
import type { RateHistory } from "../rates";

const kWidth = 300;
const kHeight = 64;
const kTop = 4;

// Pieces without gaps, as lists of "x,y".
function pieces(history: RateHistory, now: number, keptMs: number, top: number): string[][] {
  const lines: string[][] = [];
  let line: string[] = [];
  for (const point of history.points) {
    if (point.perSecond === null) {
      if (line.length > 0) lines.push(line);
      line = [];
      continue;
    }
    const x = kWidth - ((now - point.at) / keptMs) * kWidth;
    const y = kHeight - 1 - (point.perSecond / top) * (kHeight - 1 - kTop);
    line.push(`${x.toFixed(1)},${y.toFixed(1)}`);
  }
  if (line.length > 0) lines.push(line);
  return lines;
}

export function drawChart(history: RateHistory, now: number, keptMs: number, label: string): SVGElement {
  const top = Math.max(1, history.max);
  const chart = svg("svg", {
    viewBox: `0 0 ${kWidth} ${kHeight}`,
    preserveAspectRatio: "none",
    class: "chart",
    role: "img",
    "aria-label": label,
  });
  chart.append(svg("path", { class: "chart-base", d: `M0 ${kHeight - 0.5}H${kWidth}` }));
  for (const line of pieces(history, now, keptMs, top)) {
    const first = line[0]?.split(",")[0] ?? "0";
    const last = line.at(-1)?.split(",")[0] ?? "0";
    const path = `M${line.join("L")}`;
    chart.append(svg("path", { class: "chart-area", d: `${path}L${last},${kHeight}L${first},${kHeight}Z` }));
    chart.append(svg("path", { class: "chart-line", d: path }));
  }
  return chart;
}
