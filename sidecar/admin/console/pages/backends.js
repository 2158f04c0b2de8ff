// Backends: their state and figures, and their documents.

import { html } from "../dom.js";

export default function Backends() {
  return html`<h1>Backends</h1>`;
}
