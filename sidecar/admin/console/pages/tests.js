// What the rules should decide: run by every change that is checked.

import { html, useState } from "../dom.js";
import { api } from "../api.js";
import { Banner } from "../parts.js";
import { DESCRIPTION, formOf } from "../rules/forms.js";
import { fieldColumn, kindPage } from "../rules/kind-page.js";

const FIELDS = [
  { name: "request", label: "Request", type: "json", required: true, rows: 8, whole: true, help: '{"path", "headers", "body"}' },
  { name: "expect", label: "Expect", type: "json", required: true, rows: 4, whole: true, help: "route, strategy, backend, backends, parameters; or code; or share" },
  { name: "vary", label: "Vary", type: "text", help: "For shares: user.id gives each sample another one" },
  { name: "at", label: "At", type: "text", placeholder: "2026-01-05T12:00:00Z" },
  { name: "stats", label: "Statistics", type: "json", help: "What backends did: {BACKEND: {\"1m\": {…}}}" },
  DESCRIPTION,
];

function RunAll() {
  const [outcome, setOutcome] = useState(null);
  const run = async () => {
    setOutcome({ busy: true });
    // Nothing is laid over the live rules: what fails is what fails now.
    const answer = await api.post("config/validate", {}, { query: { merge: true } }).catch((error) => ({ error }));
    setOutcome(answer);
  };
  return html`<div><button type="button" onClick=${run} disabled=${outcome?.busy}>Run all tests</button></div>
    <div aria-live="polite"><${Outcome} outcome=${outcome} /></div>`;
}

function Outcome({ outcome }) {
  if (!outcome || outcome.busy) return null;
  if (outcome.error) return html`<p class="fault">${outcome.error.message}</p>`;
  const failed = outcome.body.failed_tests ?? [];
  if (!failed.length) return html`<p>✓ All tests pass with the live rules.</p>`;
  return html`<${Banner} tone="bad" title=${`${failed.length} fail with the live rules`}>
    <ul>${failed.map((one) => html`<li key=${one.path}><code>${one.path}</code>: ${one.message}</li>`)}</ul></${Banner}>`;
}

export default kindPage({
  kind: "tests", title: "Tests", one: "a test",
  blank: { request: { body: { model: "any" } }, expect: { route: "default" } },
  about: "What the rules should decide. A change under which a test fails is pointed out before it is saved.",
  empty: "No tests.",
  Form: formOf(FIELDS), fields: FIELDS.map((field) => field.name), Above: RunAll,
  columns: () => [
    { ...fieldColumn("expect", "Expects", (expect) => html`<code>${JSON.stringify(expect)}</code>`), fixed: true },
    fieldColumn("description", "Description"),
  ],
});
