// Who changed what last.

import { html } from "../dom.js";
import { Table, format, link } from "../parts.js";

const COLUMNS = [
  { key: "version", title: "Version", fixed: true, cell: ({ version }) => html`<a href=${link("history", String(version))}>${version}</a>` },
  { key: "when", title: "When", fixed: true, cell: ({ when }) => html`<span title=${format.time(when)}>${format.ago(when)}</span>` },
  { key: "who", title: "Who", fixed: true },
  { key: "what", title: "What", fixed: true, cell: ({ what }) => (Array.isArray(what) ? what.join(", ") : what) },
];

export function LastChanges({ versions }) {
  return html`<section aria-labelledby="changes">
    <h2 id="changes">Last changes</h2>
    <${Table} caption="Last changes" columns=${COLUMNS} rows=${versions ?? []} rowKey=${({ version }) => version} empty="No changes are recorded." />
  </section>`;
}
