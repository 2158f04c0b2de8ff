// A backend's document as typed fields.

import { html } from "../dom.js";
import { Field } from "../parts.js";
import { Endpoints } from "./endpoints.js";
import { changed, read } from "./paths.js";
import { SECTIONS } from "./sections.js";

/** The paths that have a field in the form; faults elsewhere are listed on top. */
export function fieldPaths({ endpoints }) {
  const urls = Array.isArray(endpoints) ? endpoints.map((_, place) => `endpoints[${place}]`) : [];
  return ["@name", ...urls, ...SECTIONS.flatMap(({ fields }) => fields.map(({ path }) => path))];
}

export function Form({ draft, setDraft, name, setName, readonly }) {
  const set = (path) => (value) => setDraft((last) => changed(last, path, value));
  return html`
    ${setName && html`<fieldset><legend>Name</legend>
      <${Field} path="@name" label="Name" required value=${name} onChange=${(text) => setName(text ?? "")} autofocus
        help="What routes and routers call it. Letters, digits and . _ : @ / -" /></fieldset>`}
    <${Endpoints} value=${draft.endpoints} onChange=${set("endpoints")} readonly=${readonly} />
    ${SECTIONS.map(({ title, fields }) => html`<fieldset key=${title}><legend>${title}</legend><div class="fields">
      ${fields.map(({ path, note, shown, ...field }) => html`<${Field} key=${path} path=${path} ...${field} readonly=${readonly}
        help=${note ? note(read(draft, path)) : field.help} value=${read(draft, path) ?? shown} onChange=${set(path)} />`)}
    </div></fieldset>`)}`;
}
