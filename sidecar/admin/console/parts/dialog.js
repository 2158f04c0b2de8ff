// A window above the page. The browser's own <dialog>: it keeps the focus inside, Esc closes it,
// and the focus goes back to where it was.
//
//   open && html`<${Dialog} title="Add a backend" onClose=${() => setOpen(false)} wide>…</${Dialog}>`
//
//   asking && html`<${ConfirmDialog} title="Delete small?" confirm="Delete" danger
//       onConfirm=${remove} onClose=${() => setAsking(false)}>It gets no traffic any more.</${ConfirmDialog}>`
//
// `onConfirm` may be async: the button waits, and an ApiError is shown in the dialog.
// `stays`: Esc does not close it (the login).

import { html, useEffect, useId, useRef, useState } from "../dom.js";

export function Dialog({ title, onClose, wide, stays, children }) {
  const box = useRef(null);
  const heading = useId();
  useEffect(() => {
    const before = document.activeElement;
    box.current.showModal();
    return () => before?.isConnected && before.focus();
  }, []);
  const cancel = (event) => {
    event.preventDefault();
    if (!stays) onClose();
  };
  return html`<dialog ref=${box} class=${wide ? "wide" : ""} aria-labelledby=${heading} onCancel=${cancel}>
    <div class="dialog-head">
      <h2 id=${heading}>${title}</h2>
      ${!stays && html`<button type="button" class="quiet" aria-label="Close" onClick=${onClose}>✕</button>`}
    </div>
    <div class="dialog-body">${children}</div>
  </dialog>`;
}

export function ConfirmDialog({ title, confirm = "Confirm", danger, onConfirm, onClose, children }) {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState(null);
  const run = async () => {
    setBusy(true);
    try {
      await onConfirm();
      onClose();
    } catch (problem) {
      setError(problem);
      setBusy(false);
    }
  };
  return html`<${Dialog} title=${title} onClose=${onClose}>
    ${children}
    ${error && html`<p class="fault" role="alert">${error.message}
      ${error.faults?.map((one) => html`<br />${one.path}: ${one.message}`)}</p>`}
    <div class="actions">
      <button type="button" onClick=${onClose}>Cancel</button>
      <button type="button" class=${danger ? "danger" : "primary"} disabled=${busy} onClick=${run}>${confirm}</button>
    </div>
  </${Dialog}>`;
}
