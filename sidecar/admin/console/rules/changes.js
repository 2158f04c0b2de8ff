// The documents that differ between two versions, each with its difference.

import { html } from "../dom.js";
import { api } from "../api.js";
import { DiffView, useLoad } from "../parts.js";

/** `to` empty: what version `from` changed against the one before it. */
export function Changes({ from, to }) {
  const { data, error } = useLoad(
    () => api.get(`config/versions/${from}/changes`, { query: { to: to ?? undefined } }).then(({ body }) => body.changes), [from, to]);
  if (error) return html`<p class="fault" role="alert">${error.message}</p>`;
  if (!data) return html`<p class="loading">Loading…</p>`;
  return html`<${ChangeList} changes=${data} />`;
}

export function ChangeList({ changes }) {
  if (!changes.length) return html`<p class="quiet-text">No document differs.</p>`;
  return changes.map(({ kind, name, before, after }) => html`<${DiffView} key=${`${kind}.${name}`} before=${before} after=${after} label=${`${kind}.${name}`} />`);
}
