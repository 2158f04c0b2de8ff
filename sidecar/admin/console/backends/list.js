// All backends with what they do now; enable and disable.

import { api } from "../api.js";
import { html, useState } from "../dom.js";
import { Banner, SaveFlow, State, Table, format, link, may, usePoll } from "../parts.js";

export function List({ me, live }) {
  const { data, error, reload } = usePoll(() => api.get("backends").then(({ body }) => body.items), 5);
  const [change, setChange] = useState(null);
  const [faults, setFaults] = useState([]);
  const rows = (data ?? []).map((item) => ({ ...item, now: live.stats?.backends?.[item.name] ?? {} }));
  const switchOne = ({ name, document, etag }) => {
    setFaults([]);
    setChange({ name, etag, before: document, document: { ...document, enabled: document.enabled === false } });
  };
  const done = () => (setChange(null), reload());
  return html`<div class="page-head">
      <h1>Backends</h1>
      ${may(me, "operator") && html`<a class="button primary" href=${link("backends", "", { new: 1 })}>Add a backend</a>`}
    </div>
    ${error && !data && html`<${Banner} tone="warn" title="The backends cannot be listed">${error.message}</${Banner}>`}
    ${faults.length > 0 && html`<${Banner} tone="bad" title="Not saved"><ul>${faults.map(({ path, message }) => html`<li key=${path + message}><code>${path}</code>: ${message}</li>`)}</ul></${Banner}>`}
    ${data && html`<${Table} caption="Backends" columns=${columns(me, switchOne)} rows=${rows} rowKey=${({ name }) => name}
      sort=${{ key: "name", descending: false }} empty="No backends yet. Add the first one." />`}
    ${change && html`<${SaveFlow} kind="backends" ...${change} onSaved=${done} onFaults=${setFaults} onTheirs=${reload} onClose=${() => setChange(null)} />`}`;
}

const figure = (key, title, value, write) => ({ key, title, number: true, value: ({ now }) => value(now), cell: ({ now }) => write(value(now)) });

function columns(me, switchOne) {
  const buttons = (row) => html`<div class="actions">
    <a class="button" href=${link("backends", row.name)} aria-label=${`Edit ${row.name}`}>${may(me, "operator") ? "Edit" : "Show"}</a>
    ${may(me, "operator") && html`<button type="button" onClick=${() => switchOne(row)} aria-label=${`${isOn(row) ? "Disable" : "Enable"} ${row.name}`}>${isOn(row) ? "Disable" : "Enable"}</button>`}
  </div>`;
  return [
    { key: "name", title: "Name", cell: ({ name, document }) => html`<strong>${name}</strong>${document.description && html`<br /><span class="help">${document.description}</span>`}` },
    { key: "model", title: "Model", value: modelOf, cell: (row) => modelOf(row) },
    { key: "state", title: "State", value: (row) => stateOf(row)[1], cell: StateCell },
    figure("share", "Share", (now) => now.share, format.percent),
    figure("rate", "Requests", (now) => now.requests_per_second, format.rate),
    figure("errors", "Errors", (now) => now.error_rate, format.percent),
    figure("ttft", "First token p50", (now) => now.ttft_ms?.p50, format.ms),
    { ...figure("latency", "Latency p50 / p95", (now) => now.latency_ms?.p50, format.ms), cell: ({ now }) => format.pair(now.latency_ms) },
    figure("tokens", "Tokens", (now) => now.tokens_per_second, format.rate),
    figure("cost", "Cost/h", (now) => now.cost_usd_per_hour, format.usd),
    { key: "actions", title: "Actions", fixed: true, cell: buttons },
  ];
}

const isOn = ({ document }) => document.enabled !== false;
const modelOf = ({ name, document }) => `${document.provider ?? "default"}/${document.model ?? name}`;

function stateOf(row) {
  if (!isOn(row)) return ["off", "disabled"];
  if (row.now.healthy === false) return ["bad", "unhealthy"];
  return row.now.healthy ? ["good", "healthy"] : ["off", "no word yet"];
}

function StateCell(row) {
  const [tone, word] = stateOf(row);
  return html`<${State} tone=${tone}>${word}</${State}>`;
}
