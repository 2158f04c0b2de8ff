// Routes in the order of decision; moved by dragging, or by buttons and keys, and saved at once.

import { html, useMemo, useRef, useState } from "../dom.js";
import { link, useUnsaved } from "../parts.js";
import { isEnabled } from "./kinds.js";
import { changesFor, inOrder, moved, orderOf } from "./order.js";
import { ReorderDialog } from "./reorder.js";
import { EnableButton } from "./switches.js";

export function RouteList({ items, writes, me, onDone }) {
  const saved = useMemo(() => inOrder(items), [items]);
  const [shown, setShown] = useState(saved);
  const [saving, setSaving] = useState(false);
  const [said, say] = useState("");
  const [dragged, drag] = useState(null);
  const list = useRef(null);
  const touched = useRef(new Set());
  const changed = shown.some((one, place) => one !== saved[place]);
  useUnsaved(changed && !saving);
  const move = (from, to, refocus) => {
    if (to < 0 || to >= shown.length || from === to) return;
    touched.current.add(shown[from].name);
    setShown(moved(shown, from, to));
    say(`${shown[from].name} is number ${to + 1} of ${shown.length} now.`);
    if (refocus) setTimeout(() => focusAgain(list.current, to, refocus));
  };
  if (!items.length) return html`<p class="empty">No routes: the default chain decides everything that names no backend.</p>`;
  return html`<div>
    ${changed && html`<${Unsaved} onSave=${() => setSaving(true)} onDrop=${() => setShown(saved)} />`}
    <p class="unseen" aria-live="assertive">${said}</p>
    <ol class="route-list" ref=${list} aria-label="Routes in the order of decision">
      ${shown.map((item, place) => html`<${Row} key=${item.name} ...${{ item, place, writes, move, dragged, drag, onDone }} last=${shown.length - 1} locked=${changed} />`)}
    </ol>
    ${saving && html`<${ReorderDialog} changes=${changesFor(shown, touched.current)} items=${items} me=${me} onDone=${onDone} onClose=${() => setSaving(false)} />`}
  </div>`;
}

function Unsaved({ onSave, onDrop }) {
  return html`<div class="banner warn reorder-bar" role="status">
    <strong>The order is not saved.</strong>
    <div class="actions"><button type="button" onClick=${onDrop}>As it was</button>
      <button type="button" class="primary" onClick=${onSave}>Save the order…</button></div>
  </div>`;
}

function Row({ item, place, last, writes, move, dragged, drag, locked, onDone }) {
  const { name, document } = item;
  const off = !isEnabled(document);
  const drop = (event) => {
    event.preventDefault();
    if (dragged !== null) move(dragged, place);
    drag(null);
  };
  return html`<li class=${`route-row ${off ? "off" : ""} ${dragged === place ? "dragged" : ""}`} draggable=${writes}
      onDragStart=${(event) => { event.dataTransfer.effectAllowed = "move"; event.dataTransfer.setData("text/plain", name); drag(place); }}
      onDragOver=${(event) => dragged !== null && event.preventDefault()} onDrop=${drop} onDragEnd=${() => drag(null)}>
    <span class="route-order" title="order">${orderOf(item)}</span>
    <div class="route-what">
      <a href=${link("routes", name)}>${name}</a>${off && html` <span class="state off">off</span>`}
      <span class="route-why">${when(document.match)} → ${what(document.router)}</span>
      ${document.description && html`<span class="quiet-text">${document.description}</span>`}
    </div>
    ${writes && html`<div class="route-buttons">
      <${MoveButton} word="up" ...${{ name, place, move }} to=${place - 1} disabled=${place === 0} />
      <${MoveButton} word="down" ...${{ name, place, move }} to=${place + 1} disabled=${place === last} />
      ${!locked && html`<${EnableButton} kind="routes" name=${name} document=${document} etag=${item.etag} onDone=${onDone} />`}
    </div>`}
  </li>`;
}

function MoveButton({ word, name, place, to, move, disabled }) {
  // Not `disabled`: the focus would be lost when a route arrives at an end.
  const press = () => !disabled && move(place, to, word);
  const keys = (event) => {
    const step = { ArrowUp: -1, ArrowDown: 1 }[event.key];
    if (!step) return;
    event.preventDefault();
    move(place, place + step, word);
  };
  return html`<button type="button" class="move" data-move=${word} aria-disabled=${String(disabled)} onClick=${press} onKeyDown=${keys}
    aria-label=${`Move ${name} ${word}`}><span aria-hidden="true">${word === "up" ? "↑" : "↓"}</span></button>`;
}

function focusAgain(list, place, word) {
  list?.children[place]?.querySelector(`[data-move="${word}"]`)?.focus();
}

function when(match) {
  return match && Object.keys(match).length ? JSON.stringify(match) : "always";
}

function what(router) {
  if (typeof router === "string") return router;
  if (!router || typeof router !== "object") return "?";
  if (router.type === "experiment") return `experiment (${router.experiment})`;
  const targets = (router.targets || []).map((one) => (typeof one === "string" ? one : one.model ?? "a router"));
  return `${router.type ?? router.model ?? "?"}${targets.length ? ` (${targets.join(", ")})` : ""}`;
}
