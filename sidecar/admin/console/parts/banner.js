// A message across the page that stays until its cause is gone.
//
//   html`<${Banner} tone="bad" title="Redis does not answer">The last good rules serve on.</${Banner}>`
//
// tone: "bad" (read out at once), "warn", "info".

import { html } from "../dom.js";

export function Banner({ tone = "info", title, children }) {
  const role = tone === "bad" ? "alert" : "status";
  return html`<div class=${`banner ${tone}`} role=${role}>
    <strong>${title}</strong>
    <div class="banner-text">${children}</div>
  </div>`;
}
