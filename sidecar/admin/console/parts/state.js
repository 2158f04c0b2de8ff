// A state in a word and a colour: never in colour alone.
//
//   html`<${State} tone="good">healthy</${State}>`      tone: "good", "bad", "warn", "off"

import { html } from "../dom.js";

export function State({ tone = "off", title, children }) {
  return html`<span class=${`state ${tone}`} title=${title}>${children}</span>`;
}
