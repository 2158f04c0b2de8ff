// What an experiment has shown: the split first when it is wrong, then advice, arms and intervals.

import { html } from "../dom.js";
import { Banner } from "../parts.js";
import { chance, metricTitle, plain, span, verdictWords, written } from "./figures.js";
import { IntervalBar, scaleOf } from "./intervals.js";

export function SplitWarning({ report }) {
  if (!report.srm.flag) return null;
  return html`<${Banner} tone="bad" title="Sample ratio mismatch">
    Requests did not reach the arms as the shares say (p = ${report.srm.p_value.toExponential(1)}).
    ${" "}Nothing below can be trusted: find out which requests are lost or counted twice.</${Banner}>`;
}

export function Report({ report }) {
  return html`
    <${Banner} title="Recommendation">${report.recommendation}</${Banner}>
    ${report.notes.map((note) => html`<p class="quiet-text">${note}</p>`)}
    <${Arms} report=${report} />
    <${Rollout} rollout=${report.rollout} metrics=${report.metrics} />
    ${ordered(report).map(([name, metric]) => html`<${Metric} key=${name} name=${name} metric=${metric} report=${report} />`)}
    <p class="quiet-text">Intervals hold at all times at once: ${plain(100 * report.level)} % of an arm,
      ${" "}${plain(100 * report.level_between)} % of what lies between two. By assignment: a request counts for the arm
      that it was put into, whoever answered it.</p>`;
}

function ordered(report) {
  const metrics = Object.entries(report.metrics);
  return [...metrics.filter(([, one]) => one.decides), ...metrics.filter(([, one]) => !one.decides)];
}

function Arms({ report }) {
  const split = report.srm.flag ? null
    : html`<p class="quiet-text">✓ Sample ratio: requests reached the arms as the shares say (p = ${plain(report.srm.p_value)}).</p>`;
  return html`<h2>Arms</h2>${split}
    <div class="table-scroll" tabindex="0" role="region" aria-label="Arms"><table role="table" class="intervals">
      <thead role="rowgroup"><tr role="row">
        <th role="columnheader" scope="col">Arm</th><th role="columnheader" scope="col" class="number">Share</th><th role="columnheader" scope="col" class="number">Assigned</th>
        <th role="columnheader" scope="col" class="number">Expected</th><th role="columnheader" scope="col" class="number">Served by its own backend</th>
      </tr></thead>
      <tbody role="rowgroup">${Object.entries(report.arms).map(([name, arm]) => html`<tr role="row">
        <th role="rowheader" scope="row">${name}${name === report.control ? " (control)" : ""}</th>
        <td role="cell" data-title="Share" class="number">${plain(arm.share)} %</td>
        <td role="cell" data-title="Assigned" class="number">${arm.assigned.toLocaleString("en-US")}</td>
        <td role="cell" data-title="Expected" class="number">${Math.round(arm.expected).toLocaleString("en-US")}</td>
        <td role="cell" data-title="Served by its own backend" class="number">${arm.served.toLocaleString("en-US")}</td>
      </tr>`)}</tbody>
    </table></div>`;
}

function Rollout({ rollout, metrics }) {
  if (!rollout) return null;
  const place = rollout.step === null ? "between its steps" : `step ${rollout.step + 1} of ${rollout.steps.length}`;
  return html`<h2>Rollout</h2>
    <ol class="steps">${rollout.steps.map((step, index) => html`<li
      class=${index === rollout.step ? "step step-now" : "step"} aria-current=${index === rollout.step ? "step" : null}>${step} %</li>`)}</ol>
    <p>${rollout.candidate} has ${plain(rollout.share)} % (${place}), ${rollout.exposures.toLocaleString("en-US")} requests in it.
      ${" "}Now: <strong>${rollout.action.replace("_", " ")}</strong>, ${rollout.reason}</p>
    ${rollout.guards.length > 0 && html`<ul class="guards">${rollout.guards.map((guard) => html`<li>
      <strong class=${`guard guard-${guard.state}`}>${guard.state}</strong> ${guard.metric}: ${guard.reason}
      ${" "}<span class="quiet-text">${guardSpan(guard, metrics)}</span>
    </li>`)}</ul>`}`;
}

function guardSpan({ interval, metric }, metrics) {
  if (interval.estimate === null || interval.estimate === undefined) return "";
  const unit = metrics[metric] ? metrics[metric].unit : "";
  return `(${interval.n.toLocaleString("en-US")} values${unit ? `, ${unit}` : ""})`;
}

function Metric({ name, metric, report }) {
  const arms = Object.entries(report.arms).filter(([, arm]) => arm.metrics[name]);
  if (!arms.length) return null;
  const scale = scaleOf(arms.map(([, arm]) => arm.metrics[name]));
  const others = Object.entries(report.against_control).filter(([, one]) => one[name]);
  const between = scaleOf(others.map(([, one]) => one[name].difference), [0]);
  const label = `${name}: estimates and intervals`;
  return html`<section class="metric">
    <h2>${name} <span class="quiet-text">${metricTitle(metric)}${metric.decides ? "" : " (for information)"}</span></h2>
    <div class="table-scroll" tabindex="0" role="region" aria-label=${label}><table role="table" class="intervals">
      <thead role="rowgroup"><tr role="row">
        <th role="columnheader" scope="col">Arm</th><th role="columnheader" scope="col" class="number">Values</th><th role="columnheader" scope="col" class="number">Estimate</th>
        <th role="columnheader" scope="col">Interval</th><th role="columnheader" scope="col">Picture</th>
      </tr></thead>
      <tbody role="rowgroup">
        ${arms.map(([arm, one], place) => html`<${Row} title=${arm} figure=${one.metrics[name]} unit=${metric.unit} scale=${scale} tone=${`key-${place % 8 + 1}`} />`)}
        ${others.map(([arm, one]) => html`<${Row} title=${`${arm} − ${report.control}`} figure=${one[name].difference}
          unit=${metric.unit} scale=${between} signed=${true} tone="key-difference" />`)}
      </tbody>
    </table></div>
    ${others.map(([arm, one]) => html`<p class=${`verdict verdict-${one[name].verdict}`}>${arm}: ${told(one[name], report.control, arm)}</p>`)}
  </section>`;
}

function Row({ title, figure, unit, scale, signed = false, tone }) {
  return html`<tr role="row">
    <th role="rowheader" scope="row">${title}</th>
    <td role="cell" data-title="Values" class="number">${figure.n.toLocaleString("en-US")}</td>
    <td role="cell" data-title="Estimate" class="number">${written(figure.estimate, unit, signed)}</td>
    <td role="cell" data-title="Interval">${span(figure, unit, signed)}</td>
    <td role="cell" data-title="Picture" class="picture"><${IntervalBar} figure=${figure} scale=${scale} tone=${tone} zero=${signed} /></td>
  </tr>`;
}

function told(between, control, arm) {
  const words = [verdictWords(between, control)];
  if (between.ratio.estimate !== null && !between.ratio.note) {
    words.push(`${plain(between.ratio.estimate)} times ${control}'s`);
  }
  if (between.probability_better !== null) {
    words.push(`probability that ${arm} is better: ${chance(between.probability_better)}`);
  }
  return words.join("; ");
}
