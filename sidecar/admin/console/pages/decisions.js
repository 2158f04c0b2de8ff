// Recent decisions, filtered and live; and one of them, with what came of it and why it was made.

import { html, useEffect, useState } from "../dom.js";
import { api } from "../api.js";
import { Field, State, Table, format, go, link, usePoll, useLoad } from "../parts.js";
import { Explained } from "../rules/explained.js";

const PAGE = 50;
const LIVE_SECONDS = 2;
const FILTERS = ["route", "backend", "status", "model"];
const STATUSES = [{ value: "", label: "any" }, "ok", "failed", "fallback"];

export default function Page({ route }) {
  return route.name ? html`<${One} key=${route.name} id=${route.name} />` : html`<${All} route=${route} />`;
}

function All({ route }) {
  const given = Object.fromEntries(FILTERS.map((name) => [name, route.params.get(name) || undefined]));
  const before = route.params.get("before") || undefined;
  const [live, setLive] = useState(true);
  const moves = live && !before;
  const { data, error } = usePoll(
    () => api.get("decisions", { query: { limit: PAGE, before, ...given } }).then(({ body }) => body),
    moves ? LIVE_SECONDS : 86400, [JSON.stringify(given), before, moves]);
  return html`<div class="page-head"><h1>Decisions</h1>
      <label class="check"><input type="checkbox" checked=${moves} disabled=${Boolean(before)} onChange=${(event) => setLive(event.target.checked)} /> live</label></div>
    <${Filters} given=${given} />
    ${error && html`<p class="fault" role="alert">${error.message}</p>`}
    ${data && html`<${Table} caption="Decisions, the newest first" rows=${data.decisions} rowKey=${(row) => row.id} columns=${COLUMNS}
      empty=${before || Object.values(given).some(Boolean) ? "No decision like this." : "No decisions yet: they appear a moment after requests end."} />
    <div class="actions">
      ${before && html`<a class="button" href=${link("decisions", "", present(given))}>Newest</a>`}
      ${data.next && html`<a class="button" href=${link("decisions", "", { ...present(given), before: data.next })}>Older</a>`}
    </div>`}`;
}

const present = (values) => Object.fromEntries(Object.entries(values).filter(([, value]) => value));

function Filters({ given }) {
  const [draft, setDraft] = useState(given);
  useEffect(() => setDraft(given), [JSON.stringify(given)]);
  const field = (name, label, more) => html`<${Field} path=${name} label=${label} value=${draft[name]} onChange=${(value) => setDraft({ ...draft, [name]: value })} ...${more} />`;
  return html`<form class="filters" aria-label="Filters" onSubmit=${(event) => { event.preventDefault(); go("decisions", "", present(draft)); }}>
    ${field("route", "Route")} ${field("backend", "Backend")} ${field("model", "Backend's model")}
    ${field("status", "Status", { type: "select", options: STATUSES })}
    <div class="filter-buttons"><button type="submit">Filter</button> <a class="button" href=${link("decisions")}>All</a></div>
  </form>`;
}

const COLUMNS = [
  { key: "at", title: "When", cell: (row) => html`<a href=${link("decisions", row.id)}>${format.time(row.at)}</a>` },
  { key: "model", title: "Backend's model" },
  { key: "route", title: "Route" },
  { key: "strategy", title: "Strategy" },
  { key: "backend", title: "Backend", value: (row) => answered(row) },
  { key: "status", title: "Outcome", value: (row) => row.outcome?.status, cell: (row) => html`<${Outcome} entry=${row} />` },
  { key: "latency", title: "Latency", number: true, value: (row) => row.outcome?.latency_ms, cell: (row) => format.ms(row.outcome?.latency_ms) },
  { key: "cost", title: "Cost", number: true, value: (row) => row.outcome?.cost_usd, cell: (row) => format.usd(row.outcome?.cost_usd) },
];

const answered = (entry) => entry.outcome?.backend || entry.backends?.[0];

function Outcome({ entry }) {
  const outcome = entry.outcome ?? {};
  const fell = outcome.backend && entry.backends?.length && outcome.backend !== entry.backends[0];
  if (!outcome.answered) return html`<${State} tone="bad">${outcome.status || "failed"}</${State}>`;
  return fell ? html`<${State} tone="warn">${outcome.status}, fallback</${State}>` : html`<${State} tone="good">${outcome.status}</${State}>`;
}

function One({ id }) {
  const { data, error } = useLoad(() => api.get(`decisions/${encodeURIComponent(id)}`).then(({ body }) => body), [id]);
  return html`<p class="crumb"><a href=${link("decisions")}>Decisions</a></p>
    <h1 class="decision-id">Decision ${id}</h1>
    ${error && html`<p class="fault" role="alert">${error.message}</p>`}
    ${data && html`<${Entry} entry=${data} />
      <h2>Why</h2>
      ${data.explanation ? html`<${Explained} found=${data.explanation} />`
        : html`<p class="quiet-text">${data.not_explained}</p>`}`}`;
}

function Entry({ entry }) {
  const outcome = entry.outcome ?? {};
  const facts = [
    ["Began", format.time(entry.at)], ["Backend's model", entry.model], ["Operation", entry.operation],
    ["Route", entry.route?.startsWith("(") ? entry.route : entry.route && html`<a href=${link("routes", entry.route)}>${entry.route}</a>`],
    ["Strategy", entry.strategy], ["Plan", (entry.backends ?? []).join(", ")],
    ["Probability of this plan", entry.probability ?? null],
    ["Feedback", (entry.feedback ?? []).map((one) => `${one.metric}: ${one.value}`).join(", ")],
    ["Arms", (entry.assignments ?? []).map((one) => `${one.experiment}: ${one.arm}`).join(", ")],
    ["Rules version", entry.version && html`<a href=${link("history", entry.version)}>${entry.version}</a>`],
    ["Outcome", html`<${Outcome} entry=${entry} />`], ["Answered by", outcome.backend], ["Attempts", outcome.attempts],
    ["Latency", format.ms(outcome.latency_ms)], ["Time to first token", format.ms(outcome.ttft_ms)],
    ["Tokens in, out", `${format.count(outcome.input_tokens)}, ${format.count(outcome.output_tokens)}`],
    ["Cost", format.usd(outcome.cost_usd)], ["Node", entry.node],
  ].filter(([, value]) => value !== null && value !== undefined && value !== "");
  return html`<dl class="facts">${facts.map(([title, value]) => html`<div key=${title}><dt>${title}</dt><dd>${value}</dd></div>`)}</dl>`;
}
