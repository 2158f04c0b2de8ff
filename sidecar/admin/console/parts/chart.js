// Lines over time (uPlot), with the same as a table for who cannot see them.
//
//   html`<${Chart} title="Requests" times=${[unix seconds…]} write=${format.rate}
//          series=${[{ name: "small", values: [1, 2, null…] }]} />`
//
// `write(value)` makes axis labels and cells. A missing value is a gap in the line. Colours come
// from --chart-1 … --chart-8 and differ in dash as well, so that colour alone says nothing.

import { html, useEffect, useRef, useState } from "../dom.js";
import uPlot from "../vendor/uplot.mjs";

const HEIGHT = 180;
const DASHES = [[], [8, 4], [2, 4], [10, 4, 2, 4]];
const DARK = matchMedia("(prefers-color-scheme: dark)");

export function Chart({ title, times, series, write = String }) {
  const box = useRef(null);
  const plot = useRef(null);
  const [dark, setDark] = useState(DARK.matches);
  const names = series.map(({ name }) => name).join("\n");
  const data = [times, ...series.map(({ values }) => values)];
  useEffect(() => {
    const change = () => setDark(DARK.matches);
    DARK.addEventListener("change", change);
    return () => DARK.removeEventListener("change", change);
  }, []);
  useEffect(() => {
    const element = box.current;
    const drawn = new uPlot(options(element, series, write), data, element);
    const sizes = new ResizeObserver(() => drawn.setSize({ width: element.clientWidth, height: HEIGHT }));
    sizes.observe(element);
    plot.current = drawn;
    return () => {
      sizes.disconnect();
      drawn.destroy();
    };
  }, [names, dark]);
  useEffect(() => plot.current.setData(data), [times, series]);
  return html`<figure class="chart">
    <figcaption>${title}</figcaption>
    <div class="chart-box" ref=${box} aria-hidden="true"></div>
    <ul class="legend" aria-hidden="true">${series.map(({ name }, place) => html`<li key=${name} class=${`key-${(place % 8) + 1} dash-${place % 4}`}>${name}</li>`)}</ul>
    <${AsTable} title=${title} times=${times} series=${series} write=${write} />
  </figure>`;
}

function options(box, series, write) {
  const css = getComputedStyle(document.documentElement);
  const colour = (name) => css.getPropertyValue(name).trim();
  const axis = { stroke: colour("--text-2"), grid: { stroke: colour("--line"), width: 1 }, ticks: { stroke: colour("--line"), width: 1 }, font: "12px system-ui, sans-serif" };
  return {
    width: box.clientWidth,
    height: HEIGHT,
    legend: { show: false },
    cursor: { y: false, points: { size: 6 } },
    scales: { y: { range: (_, low, high) => [Math.min(0, low ?? 0), high > 0 ? high * 1.1 : 1] } },
    axes: [
      { ...axis, values: [[60, "{HH}:{mm}", null, null, null, null, null, null, 1], [1, "{HH}:{mm}:{ss}", null, null, null, null, null, null, 1]] },
      { ...axis, size: 64, values: (_, values) => values.map((value) => write(value)) },
    ],
    series: [{}, ...series.map((_, place) => ({
      stroke: colour(`--chart-${(place % 8) + 1}`),
      dash: DASHES[place % DASHES.length],
      width: 2,
      points: { show: false },
    }))],
  };
}

const ROWS = 12;

/** At most twelve points in time, the latest first. */
function AsTable({ title, times, series, write }) {
  const step = Math.max(1, Math.ceil(times.length / ROWS));
  const places = times.map((_, place) => place).filter((place) => (times.length - 1 - place) % step === 0).reverse();
  return html`<details class="as-table"><summary>${title} as a table</summary><div class="table-scroll" tabindex="0" role="region" aria-label=${`${title} as a table`}>
    <table>
      <caption class="unseen">${title}</caption>
      <thead><tr><th scope="col">Time</th>${series.map(({ name }) => html`<th key=${name} scope="col">${name}</th>`)}</tr></thead>
      <tbody>${places.map((place) => html`<tr key=${times[place]}><th scope="row">${new Date(times[place] * 1000).toLocaleTimeString("en-GB")}</th>
        ${series.map(({ name, values }) => html`<td key=${name}>${values[place] === null || values[place] === undefined ? "–" : write(values[place])}</td>`)}</tr>`)}</tbody>
    </table></div></details>`;
}
