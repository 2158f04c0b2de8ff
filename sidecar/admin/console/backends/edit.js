// One backend: load it, edit it as a form or as JSON, save or delete it.

import { api, documentPath } from "../api.js";
import { html, useEffect, useRef, useState } from "../dom.js";
import { Banner, FaultList, Faults, JsonEditor, SaveFlow, go, link, may, merged, usePoll, useUnsaved } from "../parts.js";
import { localFaults } from "./check.js";
import { Form, fieldPaths } from "./form.js";

const FRESH = { body: { type: "openai", enabled: true, endpoints: [""] }, etag: null };

export function Edit({ name, me }) {
  const load = () => (name ? api.get(documentPath("backends", name)) : Promise.resolve(FRESH));
  const { data, error } = usePoll(load, 5, [name]);
  const first = useRef(null);
  first.current ??= data;
  const heading = html`<div class="page-head"><h1>${name ? `Backend ${name}` : "Add a backend"}</h1><a class="button" href=${link("backends")}>All backends</a></div>`;
  if (error?.status === 404) return html`${heading}<p>There is no backend of this name (any more).</p>`;
  if (!first.current) return html`${heading}${error ? html`<${Banner} tone="warn" title="It cannot be loaded yet">${error.message}</${Banner}>` : html`<p class="loading">Loading…</p>`}`;
  return html`${heading}<${Editor} name=${name} loaded=${first.current} now=${data} me=${me} />`;
}

function Editor({ name: given, loaded, now, me }) {
  const [name, setName] = useState(given);
  const [base, setBase] = useState({ document: given ? loaded.body : null, etag: loaded.etag });
  const [draft, setDraft] = useState(loaded.body);
  const [faults, setFaults] = useState([]);
  const [step, setStep] = useState("editing");
  const changed = JSON.stringify(draft) !== JSON.stringify(base.document ?? FRESH.body);
  const saved = step === "saved";
  useUnsaved(changed && !saved);
  useEffect(() => void (saved && go("backends")), [saved]);
  const readonly = !may(me, "operator");
  const save = (event) => {
    event.preventDefault();
    const wrong = localFaults(name, draft);
    setFaults(wrong);
    setStep(wrong.length ? "editing" : "saving");
  };
  const theirs = (document, etag, keepMine) => {
    if (document === null) return setStep("saved"); // deleted, and that is taken
    setDraft(keepMine ? merged(base.document ?? {}, draft, document) : document);
    setBase({ document, etag });
  };
  const flow = { kind: "backends", name, etag: base.etag, before: base.document, onSaved: () => setStep("saved"), onFaults: setFaults, onTheirs: theirs, onClose: () => setStep((last) => (last === "saved" ? last : "editing")) };
  return html`<${Faults.Provider} value=${{ base: `backends.${name}`, faults }}>
    <form onSubmit=${save} aria-label=${given ? `Backend ${given}` : "New backend"} noValidate>
      <${FaultList} paths=${fieldPaths(draft)} />
      ${base.etag && now?.etag && now.etag !== base.etag && !saved && html`<${Banner} tone="warn" title="Somebody has changed this backend since you opened it">You will see the difference when you save.</${Banner}>`}
      <${Views} draft=${draft} setDraft=${setDraft} name=${name} setName=${given ? null : setName} readonly=${readonly} />
      ${!readonly && html`<div class="actions">
        ${given && html`<button type="button" class="danger first" onClick=${() => setStep("deleting")}>Delete</button>`}
        <button class="primary">Check and save</button>
      </div>`}
    </form>
    ${step === "saving" && html`<${SaveFlow} ...${flow} document=${draft} />`}
    ${step === "deleting" && html`<${SaveFlow} ...${flow} document=${null} />`}
  </${Faults.Provider}>`;
}

/** The same draft as a form or as JSON text. */
function Views({ draft, setDraft, readonly, ...naming }) {
  const [text, setText] = useState(null);
  const asJson = text !== null;
  const [broken, setBroken] = useState(false);
  const type = (next, problem) => {
    setText(next);
    setBroken(Boolean(problem));
    const value = problem ? null : JSON.parse(next);
    if (value && typeof value === "object" && !Array.isArray(value)) setDraft(value);
  };
  return html`<div class="row view-switch" role="group" aria-label="View">
      <button type="button" aria-pressed=${String(!asJson)} disabled=${broken} onClick=${() => setText(null)}>Form</button>
      <button type="button" aria-pressed=${String(asJson)} onClick=${() => setText(JSON.stringify(draft, null, 2))}>JSON</button>
    </div>
    ${asJson ? html`<${JsonEditor} label="Document" text=${text} onChange=${type} rows=${20} readonly=${readonly} />`
      : html`<${Form} draft=${draft} setDraft=${setDraft} readonly=${readonly} ...${naming} />`}`;
}
