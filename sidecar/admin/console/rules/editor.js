// One document: its form and its JSON, two views of the same draft; saved through SaveFlow.
//
//   html`<${Editor} key=${name} kind="flags" name=${"" for a new one} blank=${{…}} Form=${FlagForm}
//          fields=${["enabled", …]} me=${me} aside=${({ draft, name, changed }) => …} />`
//
// `Form` gets { draft, set(field, value), onChange(document), onInvalid(field, bad) } and `formProps`;
// `fields`: those that it shows the faults of.
// Without `Form` there is the JSON only.

import { html, useState } from "../dom.js";
import { api, documentPath } from "../api.js";
import { FaultList, Faults, Field, JsonEditor, SaveFlow, go, may, useLoad, useUnsaved } from "../parts.js";
import { useDraft } from "./draft.js";
import { roleNeeded } from "./kinds.js";
import { DocumentSwitches } from "./switches.js";

export function Editor(given) {
  const { kind, name, blank } = given;
  const { data, error, reload } = useLoad(
    () => (name ? api.get(documentPath(kind, name)) : Promise.resolve({ body: blank, etag: null })), [kind, name]);
  if (error && !data) return html`<p class="fault" role="alert">${error.message}</p>`;
  if (!data) return html`<p class="loading">Loading…</p>`;
  return html`<${Draft} key=${data.etag} ...${given} first=${data.body} firstEtag=${data.etag} reload=${reload} />`;
}

function Draft({ kind, name: known, Form, me, aside, fields = [], hint, formProps = {}, first, firstEtag, reload }) {
  const state = useDraft({ kind, known, first, firstEtag, hasForm: Boolean(Form) });
  const [saving, setSaving] = useState(false);
  const writes = may(me, roleNeeded(kind));
  useUnsaved(writes && state.dirty && !saving);
  const save = (event) => {
    event.preventDefault();
    state.setFaults([]);
    setSaving(true);
  };
  const saved = () => {
    if (!known) return go(kind, state.name);
    setSaving(false);
    return reload();
  };
  return html`<div class=${aside ? "beside" : ""}>
    <form class="editor" onSubmit=${save}>
      <${Faults.Provider} value=${state.faultsAt}>
        <${FaultList} paths=${state.view === "json" ? [] : fields} />
        ${!known && html`<${Name} state=${state} />`}
        ${hint && html`<p class="help">${hint}</p>`}
        ${Form && html`<${Views} state=${state} />`}
        <fieldset class="plain" disabled=${!writes}>
          <legend class="unseen">${`${kind} ${state.name}`}</legend>
          ${state.view === "form"
            ? html`<${Form} ...${formProps} draft=${state.draft} set=${state.set} onChange=${state.change} onInvalid=${state.onInvalid} />`
            : html`<${JsonEditor} label="Document (JSON)" text=${state.text} rows=${18} onChange=${state.type} readonly=${!writes} />`}
        </fieldset>
      </${Faults.Provider}>
      ${writes ? html`<${Actions} kind=${kind} known=${known} state=${state} reload=${reload} />` : html`<p class="help">${why(kind)}</p>`}
    </form>
    ${aside && html`<div class="aside">${aside({ draft: state.draft, name: state.name, changed: state.dirty || !known })}</div>`}
    ${saving && html`<${SaveFlow} kind=${kind} name=${state.name} before=${known ? state.original : null} document=${state.draft}
      etag=${state.etag} onSaved=${saved} onFaults=${state.setFaults} onTheirs=${state.onTheirs} onClose=${() => setSaving(false)} />`}
  </div>`;
}

function Name({ state }) {
  return html`<${Field} path="(name)" label="Name" value=${state.name} onChange=${(next) => state.setName(next ?? "")} required
    help="Letters, digits and . _ : @ / -, the first a letter or a digit" />`;
}

function Actions({ kind, known, state, reload }) {
  const ready = state.name && !state.isInvalid && (state.dirty || !known);
  return html`<div class="actions">
    ${known && html`<${DocumentSwitches} kind=${kind} name=${known} document=${state.original} etag=${state.etag} onDone=${reload} />`}
    <button type="submit" class="primary" disabled=${!ready}>Check and save</button>
  </div>`;
}

function Views({ state }) {
  const choice = (one, label) => html`<button type="button" key=${one} aria-pressed=${String(state.view === one)}
    disabled=${state.isInvalid && state.view !== one} onClick=${() => state.setView(one)}>${label}</button>`;
  return html`<div class="segments" role="group" aria-label="View">${choice("form", "Form")}${choice("json", "JSON")}</div>`;
}

function why(kind) {
  return roleNeeded(kind) === "admin" ? "Only admins may change this." : "Your role may look at this, and not change it.";
}
