// From a draft to a saved document: check, show the difference, confirm, save; and what to do when
// somebody else was quicker, or when Redis or control does not answer. Nothing typed is ever lost:
// the draft stays in the page, this dialog only sends it.
//
//   saving && html`<${SaveFlow} kind="backends" name=${name} etag=${etag}
//     before=${original /* null: create */} document=${draft /* null: delete */}
//     onSaved=${({ version, etag }) => …}         saved; go on
//     onFaults=${(faults) => …}                   wrong: show them at the fields
//     onTheirs=${(document, etag) => …}           take or edit theirs: the new `before` and its etag
//     onClose=${() => setSaving(false)} />`
//
// onTheirs gets (current, etag, keepMine): keepMine true means "edit again from theirs": the form
// keeps what was typed as the draft, on top of their document as the new original.

import { api, documentPath } from "../api.js";
import { html, useEffect, useRef, useState } from "../dom.js";
import { Banner } from "./banner.js";
import { Dialog } from "./dialog.js";
import { DiffView } from "./diff.js";
import { toast } from "./toast.js";

export function SaveFlow(given) {
  const { kind, name, document, before, onClose } = given;
  const [state, setState] = useState({ step: "checking", etag: given.etag });
  const act = actions(given, state, setState);
  const box = useRef(null);
  useEffect(() => void act.check(), []);
  useEffect(() => box.current.querySelector("[data-first]")?.focus(), [state.step]);
  const what = document === null ? "Delete" : before === null ? "Add" : "Save";
  const Step = STEPS[state.step];
  return html`<${Dialog} title=${`${what} ${kind} ${name}`} wide onClose=${onClose}>
    <div ref=${box}><${Step} ...${given} state=${state} act=${act} what=${what} /></div>
  </${Dialog}>`;
}

/** The steps that ask the API; each ends in a new state. */
function actions(given, state, setState) {
  const { name, document, onSaved, onFaults, onClose } = given;
  const guarded = (work, retry) => async () => {
    try {
      await work();
    } catch (error) {
      if (error.gone) setState({ ...state, step: "gone", error, retry });
      else if (error.status === 412) await conflict(given, error, setState);
      else if (error.faults?.length && onFaults) giveBack(error.faults, onFaults, onClose);
      else setState({ ...state, step: "refused", error });
    }
  };
  const check = guarded(async () => {
    setState({ ...state, step: "checking" });
    setState({ ...state, step: "review", ...(await tried(given, state.etag)) });
  }, "check");
  const save = guarded(async () => {
    setState({ ...state, step: "saving" });
    const { body, etag } = await send(given, state.etag, { skipTests: Boolean(state.failed?.length) });
    toast(`${name}: ${document === null ? "deleted" : "saved"} as version ${body.version}`);
    onSaved({ ...body, etag: body.etag ?? etag });
  }, "save");
  return { check, save };
}

function send({ kind, name, document, before }, etag, options) {
  const path = documentPath(kind, name);
  if (document === null) return api.remove(path, { etag, ...options });
  return api.put(path, document, { etag, create: before === null && !etag, ...options });
}

/** Save for trial: what would be warned of, and which rule tests would fail. Throws what is wrong. */
async function tried(given, etag) {
  try {
    const { body } = await send(given, etag, { dryRun: true });
    return { warnings: body.warnings ?? [], failed: [] };
  } catch (error) {
    const tests = error.faults?.length && error.faults.every(({ path }) => path.startsWith("tests."));
    if (!tests) throw error;
    const { body } = await send(given, etag, { dryRun: true, skipTests: true });
    return { warnings: body.warnings ?? [], failed: error.faults };
  }
}

/** Faults belong to the fields, or, where nobody takes them, into the dialog. */
function giveBack(faults, onFaults, onClose) {
  onFaults(faults);
  onClose();
}

async function conflict({ kind, name }, error, setState) {
  const now = await api.get(documentPath(kind, name)).catch((other) => other);
  const gone = now.status === 404;
  setState({ step: "conflict", theirs: gone ? null : (now.body ?? error.current), etag: gone ? null : now.etag });
}

function Checking() {
  return html`<p aria-live="polite">Checking against the live configuration…</p>`;
}

function Saving() {
  return html`<p aria-live="polite">Saving…</p>`;
}

function Review({ kind, name, before, document, state, act, what, onClose }) {
  const { failed = [], warnings = [] } = state;
  const dangerous = document === null || failed.length > 0;
  return html`<p>${document === null ? "This will be removed." : failed.length ? "Rule tests aside, this change passes every check." : "This change passes every check."}</p>
    ${warnings.length > 0 && html`<${Banner} tone="warn" title="To know"><ul>${warnings.map((text) => html`<li key=${text}>${text}</li>`)}</ul></${Banner}>`}
    ${failed.length > 0 && html`<${Banner} tone="warn" title="Rule tests fail with this change">
      <ul>${failed.map(({ path, message }) => html`<li key=${path}><code>${path}</code>: ${message}</li>`)}</ul></${Banner}>`}
    <${DiffView} before=${before} after=${document} label=${`${kind} ${name}`} />
    <div class="actions">
      <button type="button" onClick=${onClose}>Back</button>
      <button type="button" data-first class=${dangerous ? "danger" : "primary"} onClick=${act.save}>${failed.length ? `${what} all the same` : what}</button>
    </div>`;
}

function Conflict({ kind, name, before, document, state, act, onTheirs, onClose }) {
  const { theirs, etag } = state;
  const take = (keepMine) => {
    onTheirs?.(theirs, etag, keepMine);
    onClose();
  };
  return html`<${Banner} tone="warn" title="Somebody else changed this in the meantime">
      ${theirs === null ? "It has been deleted." : "Nothing of yours is lost. Choose what happens."}</${Banner}>
    <${DiffView} before=${before} after=${theirs} label="What they changed" />
    <${DiffView} before=${theirs} after=${document} label="What saving yours would change" />
    <div class="actions">
      <button type="button" data-first onClick=${() => take(false)}>Take theirs</button>
      ${theirs !== null && document !== null && html`<button type="button" onClick=${() => take(true)}>Edit again from theirs</button>`}
      <button type="button" class="danger" onClick=${act.save}>Overwrite with mine</button>
    </div>
    <p class="help">${`“Take theirs” drops what you typed. “Edit again from theirs” puts only your own changes on top of theirs, in the form. “Overwrite” saves exactly ${kind} ${name} as you typed it.`}</p>`;
}

function Gone({ state, act, onClose }) {
  const store = state.error.gone === "store";
  return html`<${Banner} tone="bad" title=${store ? "Redis does not answer" : "Control does not answer"}>
      ${store ? "The last good rules serve on. " : "Envoy and the workers may still serve. "}
      Your edits are kept in this page; save them when it is back.</${Banner}>
    <div class="actions">
      <button type="button" onClick=${onClose}>Back to the form</button>
      <button type="button" data-first class="primary" onClick=${act[state.retry]}>Try again</button>
    </div>`;
}

function Refused({ state, act, onClose }) {
  const { message, faults } = state.error;
  return html`<${Banner} tone="bad" title="Not saved">${message}
      <ul>${faults?.map((one) => html`<li key=${one.path + one.message}><code>${one.path}</code>: ${one.message}</li>`)}</ul></${Banner}>
    <div class="actions">
      <button type="button" data-first onClick=${onClose}>Back</button>
      <button type="button" onClick=${act.check}>Try again</button>
    </div>`;
}

const STEPS = { checking: Checking, saving: Saving, review: Review, conflict: Conflict, gone: Gone, refused: Refused };
