// Back to an earlier version: its difference to what is live comes first.

import { html, useState } from "../dom.js";
import { api } from "../api.js";
import { ConfirmDialog, toast, useLoad } from "../parts.js";
import { Changes } from "./changes.js";

export function RollBack({ version, onDone }) {
  const [asked, ask] = useState(false);
  return html`<button type="button" onClick=${() => ask(true)} aria-label=${`Roll back to version ${version}`}>Roll back…</button>
    ${asked && html`<${Confirm} version=${version} onDone=${onDone} onClose=${() => ask(false)} />`}`;
}

function Confirm({ version, onDone, onClose }) {
  const { data: live } = useLoad(() => api.get("config/versions", { query: { count: 1 } }).then(({ body }) => body.versions[0].version));
  const run = async () => {
    const { body } = await api.post("config/rollback", { version });
    toast(`Rolled back to version ${version}: version ${body.version}`);
    onDone();
  };
  return html`<${ConfirmDialog} title=${`Roll back to version ${version}?`} confirm="Roll back" danger onConfirm=${run} onClose=${onClose}>
    <p>The rules become what they were at version ${version}, as a new version. This is what changes:</p>
    ${live ? html`<${Changes} from=${live} to=${version} />` : html`<p class="loading">Loading…</p>`}
  </${ConfirmDialog}>`;
}
