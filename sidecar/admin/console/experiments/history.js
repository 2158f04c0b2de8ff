// What the history and the time since this page was opened tell about an experiment.

import { html, useState } from "../dom.js";
import { format } from "../parts.js";
import { IntervalsOverTime } from "./intervals.js";
import { metricTitle, span, written } from "./figures.js";

const MOST_POINTS = 400;
/** Experiment → intervals that were seen while the console was open: reports keep no past. */
const seen = new Map();

/** Remember a report's intervals; returns all of this version, oldest first. */
export function remember(report) {
  const key = `${report.experiment} ${report.version}`;
  const points = seen.get(key) || [];
  const at = Date.parse(report.at) / 1000;
  const last = points[points.length - 1];
  if (!last || at - last.at >= 1) {
    points.push({ at, arms: Object.fromEntries(Object.entries(report.arms).map(([arm, one]) => [arm, one.metrics])) });
  }
  // Every second one of the older half goes: the picture keeps its width, and memory its bounds.
  const kept = points.length > MOST_POINTS ? points.filter((_, place) => place > MOST_POINTS / 2 || place % 2 === 0) : points;
  seen.set(key, kept);
  return kept;
}

/** Return the points of the versions whose evidence is about this experiment, oldest first. */
export function pointsOf(versions, name, version) {
  return versions
    .filter((one) => one.evidence && one.evidence.experiment === name && one.evidence.version === version)
    .map((one) => ({ at: Date.parse(one.when) / 1000, arms: one.evidence.arms }))
    .reverse();
}

export function OverTime({ report, versions, points }) {
  const names = Object.keys(report.metrics).filter((name) => Object.values(report.arms).some((arm) => arm.metrics[name]));
  const decides = names.find((name) => report.metrics[name].decides) || names[0];
  const [chosen, choose] = useState(decides);
  const name = names.includes(chosen) ? chosen : decides;
  const arms = Object.keys(report.arms);
  const all = [...pointsOf(versions, report.experiment, report.version), ...points]
    .map((one) => ({ at: one.at, arms: pick(one.arms, name) }))
    .filter((one) => Object.keys(one.arms).length).sort((a, b) => a.at - b.at);
  if (!name) return null;
  return html`<section><h2>Intervals over time</h2>
    <p class="quiet-text">From the rollout's steps in the history, and from since this page was opened.</p>
    <label class="chosen">Metric <select value=${name} onChange=${(event) => choose(event.target.value)}>
      ${names.map((one) => html`<option value=${one}>${one}</option>`)}
    </select></label>
    ${all.length < 2 ? html`<p>There is one moment so far; a picture needs two.</p>` : html`
      <ul class="legend">${arms.map((arm, place) => html`<li class=${`key-${place % 8 + 1} dash-${place % 4}`}>${arm}</li>`)}</ul>
      <${IntervalsOverTime} points=${all} arms=${arms} write=${(value) => written(value, report.metrics[name].unit)} when=${format.time}
        label=${`${name} of each arm over time, ${metricTitle(report.metrics[name])}`} />
      <${PointsTable} points=${all} arms=${arms} unit=${report.metrics[name].unit} />`}
  </section>`;
}

function pick(arms, metric) {
  return Object.fromEntries(Object.entries(arms || {}).filter(([, one]) => one[metric]).map(([arm, one]) => [arm, one[metric]]));
}

function PointsTable({ points, arms, unit }) {
  return html`<details><summary>As a table (${points.length} moments)</summary>
    <div class="table-scroll" tabindex="0" role="region" aria-label="Intervals over time"><table>
      <thead><tr><th scope="col">When</th>${arms.map((arm) => html`<th scope="col">${arm}</th>`)}</tr></thead>
      <tbody>${points.slice(-50).map((one) => html`<tr>
        <td>${format.time(one.at)}</td>
        ${arms.map((arm) => html`<td>${cell(one.arms[arm], unit)}</td>`)}
      </tr>`)}</tbody>
    </table></div>
  </details>`;
}

function cell(figure, unit) {
  return figure ? `${written(figure.estimate, unit)} (${span(figure, unit)})` : "";
}

/** What was done to the experiment, newest first, with what it rests on. */
export function Steps({ versions, name }) {
  const about = versions.filter((one) => isAbout(one, name));
  if (!about.length) return null;
  return html`<section><h2>What was done</h2>
    <ul class="timeline">${about.map((one) => html`<li>
      <a href=${`#/history/${one.version}`}>version ${one.version}</a>
      <span class="quiet-text"> ${format.time(one.when)} · ${one.who}</span><br />${one.what}
      ${one.evidence && html`<details><summary>evidence</summary><pre class="json-shown">${JSON.stringify(one.evidence, null, 2)}</pre></details>`}
    </li>`)}</ul>
  </section>`;
}

function isAbout(version, name) {
  if (version.evidence) return version.evidence.experiment === name;
  return (version.what || "").split(/[\s,:]+/).some((word) => word === `experiments.${name}` || word === name);
}
