// Switches that conditions read: on and off with one click, and for a share of callers.

import { html, useState } from "../dom.js";
import { Field, SaveFlow, may } from "../parts.js";
import { DESCRIPTION, ENABLED, MATCH, formOf, namesOf } from "../rules/forms.js";
import { fieldColumn, kindPage } from "../rules/kind-page.js";
import { isEnabled } from "../rules/kinds.js";
import { sentence, switched } from "../rules/switches.js";
import { toast } from "../parts.js";

const REST = [
  { name: "key", label: "Key", type: "text", placeholder: "user.id", help: "The subject that tells callers apart; a caller keeps the answer" },
  MATCH, DESCRIPTION,
];
const Switch = formOf([ENABLED]);
const Rest = formOf(REST);

function Form(given) {
  const { draft, set } = given;
  return html`<${Switch} ...${given} />
    <div class="fields"><div class="whole share-field">
      <${Field} path="share" label="Share of callers, %" type="number" placeholder="100" value=${draft.share} onChange=${(value) => set("share", value)} />
      <input type="range" min="0" max="100" aria-label="Share of callers" value=${typeof draft.share === "number" ? draft.share : 100}
        onInput=${(event) => set("share", Number(event.target.value))} />
    </div></div>
    <${Rest} ...${given} />`;
}

function OnOff({ row, me, reload }) {
  const [busy, setBusy] = useState(false);
  const on = isEnabled(row.document);
  if (!may(me, "operator")) return on ? "on" : "off";
  const flip = async () => {
    setBusy(true);
    await switched("flags", row.name, on ? "disable" : "enable", row.etag).catch((error) => toast(sentence(error, row.name), "bad"));
    setBusy(false);
    reload();
  };
  return html`<button type="button" role="switch" class="switch" aria-checked=${String(on)} aria-label=${`Flag ${row.name}`}
    disabled=${busy} onClick=${flip}>${on ? "on" : "off"}</button>`;
}

function Share({ row, me, reload }) {
  const stored = row.document.share ?? 100;
  const [share, setShare] = useState(stored);
  const [saving, setSaving] = useState(false);
  if (!may(me, "operator")) return `${stored} %`;
  const saved = () => {
    setSaving(false);
    reload();
  };
  return html`<span class="share-cell">
    <input type="range" min="0" max="100" value=${share} aria-label=${`Share of ${row.name}, percent`}
      onInput=${(event) => setShare(Number(event.target.value))} />
    <span class="share-number">${share} %</span>
    <button type="button" disabled=${share === stored} onClick=${() => setSaving(true)} aria-label=${`Save the share of ${row.name}`}>Save</button>
    ${saving && html`<${SaveFlow} kind="flags" name=${row.name} etag=${row.etag} before=${row.document} document=${{ ...row.document, share }}
      onSaved=${saved} onFaults=${(faults) => toast(faults[0].message, "bad")} onTheirs=${() => reload()} onClose=${() => setSaving(false)} />`}
  </span>`;
}

export default kindPage({
  kind: "flags", title: "Flags", one: "a flag", blank: { enabled: true },
  about: "Switches that conditions read as flags.NAME. One click is live on every worker at once.",
  empty: "No flags yet. A route with the match {\"flags.NAME\": true} follows one.",
  Form, fields: ["enabled", "share", ...namesOf(REST)],
  columns: ({ me, reload }) => [
    { key: "enabled", title: "State", value: (row) => Number(isEnabled(row.document)),
      cell: (row) => html`<${OnOff} row=${row} me=${me} reload=${reload} />` },
    { key: "share", title: "Share", value: (row) => row.document.share ?? 100,
      cell: (row) => html`<${Share} key=${row.etag} row=${row} me=${me} reload=${reload} />` },
    { ...fieldColumn("match", "Match", (match) => match && html`<code>${JSON.stringify(match)}</code>`), fixed: true },
    fieldColumn("description", "Description"),
  ],
});
