// Drawings over time, one column a bucket. What they show is in words for those who do not see them.
import { h, svg } from "../dom";

export interface Column {
  title: string;
  parts: Array<{ style: string; value: number }>; // From the bottom up.
}

const kColumnsLeast = 12; // Fewer would be as wide as boards.

export function drawColumns(columns: Column[], width: number, height: number, label: string, highest?: number): SVGElement {
  const sum = ({ parts }: Column): number => parts.reduce((total, { value }) => total + value, 0);
  const most = highest ?? Math.max(1, ...columns.map(sum));
  const chart = svg("svg", { viewBox: `0 0 ${width} ${height}`, class: "columns-chart", preserveAspectRatio: "none", role: "img", "aria-label": label });
  const step = width / Math.max(columns.length, kColumnsLeast);
  const gap = Math.min(2, step / 4);
  chart.append(svg("path", { class: "chart-base", d: `M0 ${height - 0.5}H${width}` }));
  for (const [i, { title, parts }] of columns.entries()) {
    let y = height;
    const column = svg("g", {}, svg("title", {}, title));
    for (const { style, value } of parts) {
      const tall = (value / most) * height;
      if (tall <= 0) continue;
      y -= tall;
      column.append(
        svg("rect", { class: `share ${style}`, x: (i * step + gap / 2).toFixed(1), y: y.toFixed(1), width: (step - gap).toFixed(1), height: tall.toFixed(1) }),
      );
    }
    chart.append(column);
  }
  return chart;
}

export interface Point {
  title: string;
  value: number | null; // Null: nothing in this bucket, a gap.
}

// As far to the right as the columns above it.
export function drawLine(points: Point[], range: { low: number; high: number }, width: number, height: number, label: string): SVGElement {
  const chart = svg("svg", { viewBox: `0 0 ${width} ${height}`, class: "columns-chart line", preserveAspectRatio: "none", role: "img", "aria-label": label });
  const step = width / Math.max(points.length, kColumnsLeast);
  const inset = 6;
  const yOf = (value: number): number => inset + ((range.high - value) / (range.high - range.low || 1)) * (height - 2 * inset);
  for (const value of [range.low, 0, range.high]) {
    chart.append(svg("path", { class: "chart-base", d: `M0 ${yOf(value).toFixed(1)}H${width}` }));
  }
  let path = "";
  let isDrawn = false;
  const dots: SVGElement[] = [];
  for (const [i, { title, value }] of points.entries()) {
    if (value === null) {
      isDrawn = false;
      continue;
    }
    const x = ((i + 0.5) * step).toFixed(1);
    const y = yOf(value).toFixed(1);
    path += `${isDrawn ? "L" : "M"}${x} ${y}`;
    isDrawn = true;
    // A line of no length with round ends: a dot that the stretched drawing leaves round.
    dots.push(svg("path", { class: "chart-dot", d: `M${x} ${y}h0` }, svg("title", {}, title)));
  }
  chart.append(svg("path", { class: "chart-line", d: path }), ...dots);
  return chart;
}

export function axis(first: string, last: string): HTMLElement {
  return h("div", { class: "chart-axis small muted" }, h("span", {}, first), h("span", {}, last));
}
