// Versions: who changed what, when and why; what lies between two; and the way back.

import { html, useId, useState } from "../dom.js";
import { api } from "../api.js";
import { Table, format, go, link, may, useLoad } from "../parts.js";
import { Changes } from "../rules/changes.js";
import { RollBack } from "../rules/roll-back.js";

const PAGE = 50;

export default function Page({ route, me }) {
  if (route.name) return html`<${One} key=${`${route.name} ${route.params.get("to")}`} version=${Number(route.name)} to=${route.params.get("to")} me=${me} />`;
  return html`<${All} me=${me} />`;
}

function All({ me }) {
  const [before, setBefore] = useState([]);
  const { data, error, reload } = useLoad(
    () => api.get("config/versions", { query: { count: PAGE, before: before.at(-1) } }).then(({ body }) => body.versions), [before.length]);
  const newest = before.length ? null : data?.[0]?.version;
  return html`<div class="page-head"><h1>History</h1></div>
    <p class="quiet-text">Every change of the rules is a version, whoever made it and however.</p>
    ${error && html`<p class="fault" role="alert">${error.message}</p>`}
    ${data && html`<${Compare} versions=${data} />
      <${Table} caption="Versions" rows=${data} rowKey=${(row) => row.version} empty="No versions." columns=${columns(me, newest, reload)} />`}
    <div class="actions">
      ${before.length > 0 && html`<button type="button" onClick=${() => setBefore(before.slice(0, -1))}>Newer</button>`}
      ${data?.length === PAGE && html`<button type="button" onClick=${() => setBefore([...before, data.at(-1).version])}>Older</button>`}
    </div>`;
}

function columns(me, newest, reload) {
  return [
    { key: "version", title: "Version", cell: (row) => html`<a href=${link("history", row.version)}>${row.version}</a>${row.version === newest ? " (live)" : ""}` },
    { key: "when", title: "When", cell: (row) => html`<time datetime=${row.when} title=${row.when}>${format.time(row.when)}</time>` },
    { key: "who", title: "Who" },
    { key: "what", title: "What", fixed: true },
    ...(may(me, "operator") ? [{ key: "back", title: "Actions", fixed: true,
      cell: (row) => row.version !== newest && html`<${RollBack} version=${row.version} onDone=${reload} />` }] : []),
  ];
}

/** What lies between any two versions of the page. */
function Compare({ versions }) {
  const [from, setFrom] = useState(versions[1]?.version);
  const [to, setTo] = useState(versions[0]?.version);
  if (versions.length < 2) return null;
  const id = useId();
  const choice = (label, value, set) => html`<label for=${id + label}>${label}</label> <select id=${id + label} value=${value} onChange=${(event) => set(Number(event.target.value))}>
    ${versions.map((one) => html`<option key=${one.version} value=${one.version} selected=${one.version === value}>${one.version}</option>`)}
  </select>`;
  return html`<form class="row compare" onSubmit=${(event) => { event.preventDefault(); go("history", from, { to }); }}>
    ${choice("From", from, setFrom)} ${choice("to", to, setTo)} <button type="submit">Show the difference</button>
  </form>`;
}

function One({ version, to, me }) {
  const { data, error } = useLoad(() => api.get(`config/versions/${version}`).then(({ body }) => body));
  return html`<p class="crumb"><a href=${link("history")}>History</a></p>
    <div class="page-head"><h1>${to ? `From version ${version} to ${to}` : `Version ${version}`}</h1>
      ${may(me, "operator") && html`<${RollBack} version=${version} onDone=${() => go("history")} />`}</div>
    ${error && html`<p class="fault" role="alert">${error.message}</p>`}
    ${data && !to && html`<p>${data.what} <span class="quiet-text">${data.who}, ${format.time(data.when)}</span></p>`}
    <h2>${to ? "What lies between" : "What it changed"}</h2>
    <${Changes} from=${version} to=${to} />
    ${data?.evidence && !to && html`<h2>Evidence</h2><pre class="json-shown" tabindex="0" aria-label="Evidence">${JSON.stringify(data.evidence, null, 2)}</pre>`}`;
}
