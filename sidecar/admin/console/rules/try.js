// "Try a request": what saved rules, or those with an unsaved change in them, would do with it.

import { html, useState } from "../dom.js";
import { api } from "../api.js";
import { Explained } from "./explained.js";

const bodyFor = (model) => JSON.stringify({ model, messages: [{ role: "user", content: "Hello" }] }, null, 2);

/** What was tried last: it is still there when another rule is opened. */
let last = { path: "/v1/chat/completions", headers: "x-user-id: ann", body: bodyFor("any") };

const PATHS = ["/v1/chat/completions", "/v1/completions", "/v1/embeddings", "/v1/responses", "/v1/messages"];

/**
 * `documents`: {kind: {name: document or null}} laid over the live rules; null: nothing is unsaved.
 * `model`: what the request asks for at first.
 */
export function TryRequest({ documents, model }) {
  const [asked, ask] = useState(() => (model ? { ...last, body: bodyFor(model) } : last));
  const [unsaved, useUnsaved] = useState(true);
  const [answer, setAnswer] = useState(null);
  const [busy, setBusy] = useState(false);
  const change = (field) => (event) => {
    last = { ...asked, [field]: event.target.value };
    ask(last);
  };
  const run = async (event) => {
    event.preventDefault();
    setBusy(true);
    setAnswer(await explained(asked, documents && unsaved ? documents : null));
    setBusy(false);
  };
  return html`<section class="try" aria-labelledby="try-title">
    <h2 id="try-title">Try a request</h2>
    <form onSubmit=${run} class="try-form">
      <label>Path <select value=${asked.path} onChange=${change("path")}>
        ${PATHS.map((path) => html`<option key=${path} value=${path}>${path}</option>`)}
      </select></label>
      <label>Headers, one per line <textarea rows="3" spellcheck=${false} value=${asked.headers} onInput=${change("headers")}></textarea></label>
      <label>Body (JSON) <textarea rows="11" spellcheck=${false} class="code" value=${asked.body} onInput=${change("body")}></textarea></label>
      ${documents && html`<label class="check">
        <input type="checkbox" checked=${unsaved} onChange=${(event) => useUnsaved(event.target.checked)} /> with the unsaved change
      </label>`}
      <p><button type="submit" disabled=${busy}>Try it</button> <span class="quiet-text">The request goes nowhere.</span></p>
    </form>
    <div aria-live="polite" aria-busy=${busy}><${Answer} answer=${answer} /></div>
  </section>`;
}

function Answer({ answer }) {
  if (!answer) return null;
  if (answer.error) return html`<${Faults} error=${answer.error} />`;
  return html`<p class="quiet-text">${answer.unsaved ? "By the rules with the unsaved change:" : "By the saved rules:"}</p>
    <${Explained} found=${answer.found} />`;
}

function Faults({ error }) {
  return html`<div class="banner bad" role="alert">
    <p>${error.message}</p>
    ${error.faults && error.faults.length > 0 && html`<ul>
      ${error.faults.map((fault) => html`<li key=${fault.path}><code>${fault.path}</code>: ${fault.message}</li>`)}
    </ul>`}
  </div>`;
}

async function explained(asked, documents) {
  try {
    const request = { path: asked.path, headers: headersOf(asked.headers), body: bodyOf(asked.body) };
    const { body } = await api.post("explain", documents ? { request, documents } : { request });
    return { found: body, unsaved: Boolean(documents) };
  } catch (error) {
    return { error };
  }
}

/** A body that is no JSON is sent as it stands: it can be tried, too. */
function bodyOf(text) {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

function headersOf(text) {
  const lines = text.split("\n").map((line) => line.trim()).filter(Boolean);
  return Object.fromEntries(lines.map((line) => {
    const [name, ...value] = line.split(":");
    return [name.trim().toLowerCase(), value.join(":").trim()];
  }));
}
