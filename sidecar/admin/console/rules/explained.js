// An explanation as a tree that people can read; the same facts as `pointsman explain` prints.

import { html } from "../dom.js";
import { RouterNote } from "./router-note.js";

const BY = {
  "(inline)": "by the router in the request",
  "(router)": "by the stored router that the model names",
  "(model)": "no route decided; by the backend that the model names",
  "(default)": "by the default chain",
  "(budget)": "by the router of a budget that is used up",
};

/** Show an answer of POST /explain, or `explanation` of a decision. */
export function Explained({ found }) {
  return html`<section class="explained" aria-label="Explanation">
    <${Headline} found=${found} />
    ${found.refusal && html`<${Refusal} refusal=${found.refusal} />`}
    ${(found.warnings || []).map((one) => html`<p class="explained-warning"><strong>Warning:</strong> ${one}</p>`)}
    <${Asked} request=${found.request} />
    <${Routes} found=${found} />
    <${Routers} routers=${found.routers || []} />
    <${Plan} plan=${found.plan} />
    <${More} found=${found} />
  </section>`;
}

function Headline({ found }) {
  const first = found.plan && found.plan.attempts[0];
  const how = BY[found.step] || (found.step ? `by route ${found.route}` : "");
  return html`<p class="explained-head">
    <strong>→ ${first ? first.backend : "refused"}</strong> ${how}
    <br /><small>${found.id} · rules version ${found.config_version} · ${found.at}</small>
  </p>`;
}

function Refusal({ refusal }) {
  const where = refusal.param ? ` (${refusal.param})` : "";
  return html`<p class="explained-refusal" role="status">
    <strong>Refused:</strong> ${refusal.status} ${refusal.code}: ${refusal.message}${where}
  </p>`;
}

function Asked({ request }) {
  if (!request) return null;
  return html`<p><small>
    ${request.operation}, model ${JSON.stringify(request.model)}, ${request.bytes} bytes${request.stream ? ", streamed" : ""}
  </small></p>`;
}

function Routes({ found }) {
  const routes = found.routes || [];
  const skipped = found.skipped || [];
  if (!routes.length && !skipped.length) return null;
  return html`<h3>Routes</h3>
    <ul class="tree">
      ${skipped.map((one) => html`<li class="quiet-text">${one.count} not asked: ${one.why} (${names(one)})</li>`)}
      ${routes.map((route) => html`<li><${Route} route=${route} /></li>`)}
    </ul>`;
}

function names(skipped) {
  return skipped.names.join(", ") + (skipped.count > skipped.names.length ? ", …" : "");
}

function Route({ route }) {
  const title = html`<${Mark} holds=${route.matched} /> <strong>${route.name}</strong>
    <span class="quiet-text"> order ${route.order}</span>
    ${route.passed_over && html`<span class="explained-warning"> passed over: it had nothing to try</span>`}`;
  if (!route.why) return html`${title} <span class="quiet-text">always</span>`;
  return html`<details open><summary>${title}</summary>
    <ul class="tree"><${Clause} clause=${route.why} /></ul>
  </details>`;
}

function Clause({ clause }) {
  const parts = clause.all || clause.any;
  if (parts) {
    if (parts.length === 1) return html`<${Clause} clause=${parts[0]} />`;
    return html`<li><${Mark} holds=${clause.holds} /> ${clause.all ? "all of" : "any of"}
      <ul class="tree">${parts.map((part) => html`<${Clause} clause=${part} />`)}</ul>
    </li>`;
  }
  if (clause.not) {
    return html`<li><${Mark} holds=${clause.holds} /> not
      <ul class="tree"><${Clause} clause=${clause.not} /></ul>
    </li>`;
  }
  return html`<li><${Mark} holds=${clause.holds} /> <code>${said(clause)}</code>
    <span class="quiet-text"> ${outcome(clause)}</span>
  </li>`;
}

function said(clause) {
  if (clause.expr !== undefined) return clause.expr;
  return `${clause.subject} ${clause.op} ${JSON.stringify(clause.operand)}`;
}

function outcome(clause) {
  if (clause.error !== undefined) return `failed: ${clause.error}`;
  if (clause.expr !== undefined) return "";
  return clause.value === undefined ? "is missing" : `is ${JSON.stringify(clause.value)}`;
}

function Mark({ holds }) {
  return holds
    ? html`<span class="mark mark-yes"><span aria-hidden="true">✓</span><span class="unseen">holds</span></span>`
    : html`<span class="mark mark-no"><span aria-hidden="true">✗</span><span class="unseen">does not hold</span></span>`;
}

function Routers({ routers }) {
  if (!routers.length) return null;
  return html`<h3>Routers</h3>
    <ul class="tree">${routers.map((one) => html`<li><${RouterNote} note=${one} /></li>`)}</ul>`;
}

function Plan({ plan }) {
  if (!plan) return null;
  const chance = plan.probability === 1 ? "" : `, probability ${plan.probability.toPrecision(4)}`;
  return html`<h3>Plan <span class="quiet-text">${plan.strategy}${chance}</span></h3>
    <ol class="tree">${plan.attempts.map((one) => html`<li><${Attempt} attempt=${one} /></li>`)}</ol>
    ${(plan.effects || []).map((one) => html`<p class="quiet-text">remembers <code>${JSON.stringify(one)}</code></p>`)}`;
}

function Attempt({ attempt }) {
  const parameters = Object.keys(attempt.parameters || {}).length > 0;
  return html`<strong>${attempt.backend}</strong>
    <span class="quiet-text"> ${attempt.provider}/${attempt.model}</span>
    ${parameters && html` <code>${JSON.stringify(attempt.parameters)}</code>`}
    ${attempt.changes && attempt.changes.length > 0 && html`<details>
      <summary>changes of the body (${attempt.changes.length})</summary>
      <ul class="tree">${attempt.changes.map((one) => html`<li>
        <code>body[${one.at}:${one.at + one.removed}] → ${one.text || "nothing"}</code>
      </li>`)}</ul>
    </details>`}`;
}

function More({ found }) {
  const notes = Object.entries(found.notes || {});
  const memory = found.memory || [];
  if (!notes.length && !memory.length) return null;
  return html`<h3>Remembered and noted</h3>
    <ul class="tree">
      ${memory.map((one) => html`<li>${one.kind} <code>${JSON.stringify(one.key)}: ${JSON.stringify(one.value)}</code></li>`)}
      ${notes.map(([key, value]) => html`<li>${key}: <code>${JSON.stringify(value)}</code></li>`)}
    </ul>`;
}
