// The page of a kind of documents: a table, and one document in its editor.
//
//   export default kindPage({ kind: "guards", title: "Guards", about: "…", one: "a guard",
//     blank: {…}, Form, fields: […], columns: ({ reload, me }) => […] });
//
// `#/guards` is the table, `#/guards/NAME` one of them, `#/guards?new=1` a new one.

import { html } from "../dom.js";
import { api } from "../api.js";
import { Table, link, may, useLoad } from "../parts.js";
import { Editor } from "./editor.js";
import { roleNeeded } from "./kinds.js";

export function kindPage(about) {
  return function Page({ route, me }) {
    const isNew = route.params.get("new") !== null;
    if (route.name || isNew) return html`<${One} key=${route.name} about=${about} name=${route.name} me=${me} />`;
    return html`<${All} about=${about} me=${me} />`;
  };
}

function One({ about, name, me }) {
  return html`<${Crumb} about=${about} name=${name} />
    <${Editor} ...${about} name=${name} me=${me} />`;
}

/** Where this is, with the way back. */
export function Crumb({ about, name }) {
  return html`<p class="crumb"><a href=${link(about.kind)}>${about.title}</a></p>
    <h1>${name || `Add ${about.one}`}</h1>`;
}

function All({ about, me }) {
  const { data, error, reload } = useLoad(() => api.get(about.kind).then(({ body }) => body));
  const { Above } = about;
  return html`<${ListHead} about=${about} me=${me} />
    ${Above && html`<${Above} />`}
    ${error && html`<p class="fault" role="alert">${error.message}</p>`}
    ${data ? html`<${Table} caption=${about.title} rows=${data.items} rowKey=${(row) => row.name}
      columns=${[nameColumn(about.kind), ...about.columns({ reload, me })]} empty=${about.empty} />` : !error && html`<p class="loading">Loading…</p>`}`;
}

export function ListHead({ about, me, children }) {
  return html`<div class="page-head">
      <h1>${about.title}</h1>
      ${may(me, roleNeeded(about.kind)) && html`<div class="actions">${children}
        <a class="button primary" href=${link(about.kind, "", { new: 1 })}>Add ${about.one}</a></div>`}
    </div>
    <p class="quiet-text">${about.about}</p>`;
}

export const nameColumn = (kind) => ({
  key: "name", title: "Name", cell: (row) => html`<a href=${link(kind, row.name)}>${row.name}</a>`,
});

/** A column of a field, as text. */
export const fieldColumn = (field, title, write = (value) => value) => ({
  key: field, title, value: (row) => row.document[field],
  cell: (row) => write(row.document[field], row.document) ?? "–",
});
