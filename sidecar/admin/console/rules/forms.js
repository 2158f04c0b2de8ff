// Forms that are made of a table of fields.
//
//   const GuardForm = formOf([{ name: "url", label: "URL", type: "text", required: true, help: "…" }, …]);

import { html } from "../dom.js";
import { Field } from "../parts.js";

export function formOf(fields) {
  return function Form({ draft, set, onInvalid }) {
    return html`<div class="fields">${fields.map(({ name, absent, ...field }) => html`<div key=${name} class=${field.whole ? "whole" : ""}>
      <${Field} path=${name} ...${field} value=${draft[name] === undefined ? absent : draft[name]}
        onChange=${(value) => set(name, value)} onInvalid=${(bad) => onInvalid(name, bad)} />
    </div>`)}</div>`;
  };
}

/** `enabled` is true when it is absent; written out only when somebody says so. */
export const ENABLED = { name: "enabled", label: "Enabled", type: "checkbox", absent: true };

export const DESCRIPTION = { name: "description", label: "Description", type: "text", help: "For people", whole: true };

export const MATCH = {
  name: "match", label: "Match", type: "json", whole: true, rows: 5,
  help: 'A condition; empty: always. {"user.tier": "premium", "prompt.tokens": {"gt": 2000}}, {"any": […]}, {"not": …}, {"expr": "CEL"}',
};

export const namesOf = (fields) => fields.map((field) => field.name);
