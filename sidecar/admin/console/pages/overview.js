// What happens now: traffic, errors, times and cost per model; what is wrong; who changed what.

import { html } from "../dom.js";

export default function Overview({ live }) {
  return html`<h1>Overview</h1><p>Version ${live.ready?.rules?.version ?? "–"}</p>`;
}
