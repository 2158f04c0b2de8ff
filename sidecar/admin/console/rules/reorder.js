// Saving another order of routes: only the numbers that must change, in one version where that can be.

import { html } from "../dom.js";
import { api, documentPath } from "../api.js";
import { ConfirmDialog, may, toast } from "../parts.js";

/** `changes`: {route: its new order}. */
export function ReorderDialog({ changes, items, me, onDone, onClose }) {
  const names = Object.keys(changes);
  const whole = may(me, "admin") || names.length === 1;
  const before = Object.fromEntries(items.map((one) => [one.name, one.document.order]));
  const save = async () => {
    const version = names.length > 1 && may(me, "admin") ? await together(changes, items) : await eachAlone(changes, items);
    toast(`The order is saved as version ${version}.`);
    onDone();
  };
  return html`<${ConfirmDialog} title="Save this order?" confirm="Save" onConfirm=${save} onClose=${onClose}>
    <p>${names.length === 1 ? "One route gets another number" : `${names.length} routes get other numbers`}, the others keep theirs.
      ${" "}${whole ? "It is one version, live at once." : "Your role writes route by route: for a moment, some are at their old place."}</p>
    <ul>${names.map((name) => html`<li key=${name}><strong>${name}</strong>: order ${before[name] ?? "100 (not written)"} → ${changes[name]}</li>`)}</ul>
  </${ConfirmDialog}>`;
}

/** One version for all: the whole configuration as it is, with the new numbers. */
async function together(changes, items) {
  const { body: config, etag } = await api.get("config");
  for (const [name, order] of Object.entries(changes)) {
    const shown = items.find((one) => one.name === name).document;
    if (JSON.stringify(config.routes[name]) !== JSON.stringify(shown)) throw new Error(`Somebody else changed ${name} meanwhile. Look at the routes again.`);
    config.routes[name] = { ...shown, order };
  }
  const { body } = await api.put("config", config, { etag });
  return body.version;
}

async function eachAlone(changes, items) {
  let version = 0;
  for (const [name, order] of Object.entries(changes)) {
    const { document, etag } = items.find((one) => one.name === name);
    const { body } = await api.put(documentPath("routes", name), { ...document, order }, { etag });
    version = body.version;
  }
  return version;
}
