// Enable, disable, delete: what is done to a document as a whole.

import { html, useState } from "../dom.js";
import { api, documentPath } from "../api.js";
import { ConfirmDialog, go, toast } from "../parts.js";
import { isEnabled, isSwitched } from "./kinds.js";

export function DocumentSwitches({ kind, name, document, etag, onDone }) {
  const [removing, setRemoving] = useState(false);
  return html`
    ${isSwitched(kind) && html`<${EnableButton} kind=${kind} name=${name} document=${document} etag=${etag} onDone=${onDone} />`}
    <button type="button" class="danger" onClick=${() => setRemoving(true)}>Delete…</button>
    ${removing && html`<${RemoveDialog} kind=${kind} name=${name} etag=${etag} onClose=${() => setRemoving(false)} />`}`;
}

/** One click, one write; what it did can be undone by another one. */
export function EnableButton({ kind, name, document, etag, onDone }) {
  const [busy, setBusy] = useState(false);
  const word = isEnabled(document) ? "disable" : "enable";
  const run = async () => {
    setBusy(true);
    try {
      await switched(kind, name, word, etag);
      onDone();
    } catch (error) {
      toast(sentence(error, name), "bad");
      onDone();
    }
    setBusy(false);
  };
  return html`<button type="button" disabled=${busy} onClick=${run} aria-label=${`${word === "enable" ? "Enable" : "Disable"} ${name}`}>
    ${word === "enable" ? "Enable" : "Disable"}</button>`;
}

export async function switched(kind, name, word, etag) {
  const { body } = await api.post(`${documentPath(kind, name)}/${word}`, undefined, { etag });
  toast(`${name} ${word}d: version ${body.version}`);
}

/** What went wrong, in a sentence; with the first fault, for it says where. */
export function sentence(error, name) {
  if (error.status === 412) return `Somebody else changed ${name} meanwhile. Look at it again.`;
  const fault = error.faults[0];
  return fault ? `${error.message} ${fault.path}: ${fault.message}` : error.message;
}

function RemoveDialog({ kind, name, etag, onClose }) {
  const remove = async () => {
    const { body } = await api.remove(documentPath(kind, name), { etag });
    toast(`${name} deleted: version ${body.version}`);
    go(kind);
  };
  return html`<${ConfirmDialog} title=${`Delete ${name}?`} confirm="Delete" danger onConfirm=${remove} onClose=${onClose}>
    <p>The document is removed from the rules at once. The history keeps it: rolling back brings it again.</p>
  </${ConfirmDialog}>`;
}
