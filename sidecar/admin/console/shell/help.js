// A page's worth of help: what is where, and the keys.

import { html } from "../dom.js";
import { Dialog } from "../parts/dialog.js";

export function Help({ onClose }) {
  return html`<${Dialog} title="Help" onClose=${onClose}>
    <p>Every change is checked against the whole configuration and shown as a difference before it is
      saved. Saved is live: the next request follows it. History takes any version back.</p>
    <dl>
      <dt>Backends</dt><dd>Models that requests can go to. Disabling one takes its traffic away at once.</dd>
      <dt>Routes</dt><dd>Tried in order; the first that matches decides. Routers are named targets for them.</dd>
      <dt>Decisions</dt><dd>What happened to recent requests, and why.</dd>
      <dt>Roles</dt><dd>A viewer sees everything, an operator changes documents, an admin also keys and guards.</dd>
    </dl>
    <h3>Keys</h3>
    <dl>
      <dt><kbd>Tab</kbd></dt><dd>goes on to the next field, out of editors too</dd>
      <dt><kbd>Esc</kbd></dt><dd>closes a dialog; what you typed in the page stays</dd>
      <dt><kbd>Ctrl</kbd> <kbd>]</kbd> and <kbd>Ctrl</kbd> <kbd>[</kbd></dt><dd>move lines in and out in a JSON editor</dd>
    </dl>
    <p>The API that this page uses is described at <a href="docs">/docs</a>.</p>
  </${Dialog}>`;
}
