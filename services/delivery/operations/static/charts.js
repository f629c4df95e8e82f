"use strict";

// Each chart is drawn from the table beside it, so that both say the same.

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
const drawn = new Map();

const numbers = (table) => {
  const heads = [...table.tHead.rows[0].cells].slice(1), lines = [...table.tBodies[0].rows];
  const value = (cell) => (cell.textContent === "" ? null : Number(cell.textContent));
  return {
    heads,
    data: [lines.map((line) => Number(line.dataset.at)), ...heads.map((_, n) => lines.map((line) => value(line.cells[n + 1])))],
  };
};

const draw = (chart) => {
  const place = chart.querySelector(".plot"), { heads, data } = numbers(chart.querySelector("details table"));
  const unit = chart.dataset.unit || "", most = Math.max(1, ...data.slice(1).flat().filter((each) => each !== null));
  const shown = (_, each) => (each === null || each === undefined ? "–" : `${each} ${unit}`.trim());
  const axis = { stroke: colour("quiet"), grid: { stroke: colour("line"), width: 1 }, ticks: { stroke: colour("line"), width: 1 } };
  drawn.get(chart)?.destroy();
  drawn.set(chart, new uPlot({
    width: place.clientWidth || chart.clientWidth,
    height: 240,
    tzDate: (at) => uPlot.tzDate(new Date(at * 1000), "Etc/UTC"),
    cursor: { drag: { x: false, y: false } },
    scales: { y: { range: [0, most * 1.1] } },
    axes: [
      { ...axis, values: (_, ats) => ats.map((at) => new Date(at * 1000).toISOString().slice(11, 16)) },
      { ...axis, size: 58, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 20000, 50000, 100000, 1000000] },
    ],
    series: [
      { label: "Time", value: (_, at) => (at === null || at === undefined ? "–" : new Date(at * 1000).toISOString().slice(11, 16)) },
      ...heads.map((head) => ({
        label: head.textContent, stroke: colour(head.dataset.line), width: 2, spanGaps: false, value: shown,
        dash: head.dataset.line === "quiet" ? [6, 4] : undefined,
        points: { size: 4 },
      })),
    ],
  }, data, place));
};

const all = () => {
  for (const chart of drawn.keys()) if (!chart.isConnected) { drawn.get(chart).destroy(); drawn.delete(chart); }
  document.querySelectorAll("[data-chart]").forEach(draw);
};
all();
document.addEventListener("refreshed", (event) => { if (event.detail.querySelector("[data-chart]")) all(); });
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", all);
let width = innerWidth;
addEventListener("resize", () => { if (innerWidth !== width) { width = innerWidth; all(); } });
