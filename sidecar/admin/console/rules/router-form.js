// The form of a router: a stored one's name, or a type with the fields of that type.
//
//   html`<${RouterForm} path="router" value=${route.router} onChange=${(router) => …}
//          onInvalid=${…} names=${["resilient", …]} />`
//
// `path`: where the router stands in its document; "" when it is the document itself.

import { html, useId, useState } from "../dom.js";
import { Field } from "../parts.js";
import { LongText } from "./long-text.js";
import { ROUTER_TYPES, WITHOUT_TARGETS } from "./router-types.js";

const COMMON = new Set(["type", "targets", "name", "on_error"]);

export function RouterForm({ path, value, onChange, onInvalid, names = [], named = true }) {
  const isNamed = typeof value === "string";
  const written = value && typeof value === "object" && !Array.isArray(value);
  const choose = (event) => {
    const type = event.target.value;
    if (type === "(named)") onChange(names[0] || "");
    else onChange(retyped(written ? value : {}, type));
  };
  const type = isNamed || !written ? "(named)" : value.type || "fallback";
  const id = useId();
  return html`<fieldset class="router-form">
    <legend>Router</legend>
    <div class="field">
      <label for=${id}>What decides</label>
      <select id=${id} value=${type} onChange=${choose}>
        ${named && html`<option key="(named)" value="(named)" selected=${type === "(named)"}>a stored router, or a target, by its name</option>`}
        ${typesFor(type).map((one) => html`<option key=${one} value=${one} selected=${one === type}>${one}</option>`)}
      </select>
      <p class="help">${isNamed ? "Several routes can name the same stored router." : (ROUTER_TYPES[type] || {}).does}</p>
    </div>
    ${type === "(named)"
      ? html`<${Named} path=${path} value=${value} names=${names} onChange=${onChange} />`
      : html`<${Typed} key=${type} path=${path} value=${value} type=${type} onChange=${onChange} onInvalid=${onInvalid} />`}
  </fieldset>`;
}

function typesFor(type) {
  const known = Object.keys(ROUTER_TYPES);
  return type === "(named)" || known.includes(type) ? known : [...known, type];
}

/** Keep what all types have; the fields of the type before would only be refused. */
function retyped(router, type) {
  const kept = Object.fromEntries(Object.entries(router).filter(([key]) => COMMON.has(key)));
  if (!kept.targets && !WITHOUT_TARGETS.has(type)) kept.targets = [];
  if (type === "experiment") delete kept.targets;
  return { ...kept, type };
}

function Named({ path, value, names, onChange }) {
  return html`<${Field} path=${path} label="Name" help=${names.length ? `Stored routers: ${names.join(", ")}` : "A backend, provider/model, or a stored router"}
    value=${typeof value === "string" ? value : ""} onChange=${(name) => onChange(name ?? "")} required />`;
}

function Typed({ path, value, type, onChange, onInvalid }) {
  const known = ROUTER_TYPES[type] || { fields: [] };
  const at = (name) => (path ? `${path}.${name}` : name);
  const set = (name) => (next) => onChange(withField(value, name, next));
  const rest = Object.keys(value).filter((name) => !COMMON.has(name) && !known.fields.some((one) => one.name === name));
  return html`
    ${known.targets !== false && html`<${Targets} path=${at("targets")} value=${value.targets} onChange=${set("targets")}
      optional=${WITHOUT_TARGETS.has(type)} />`}
    ${known.fields.map((field) => html`<${Typewise} key=${field.name} field=${field} path=${at(field.name)} value=${value[field.name]}
      onChange=${set(field.name)} onInvalid=${(bad) => onInvalid(at(field.name), bad)} />`)}
    ${type !== "experiment" && html`<${Field} path=${at("on_error")} type="select" label="When the chosen target fails"
      options=${[{ value: "", label: "try the others (next)" }, { value: "fail", label: "only the chosen one (fail)" }]}
      value=${value.on_error === "next" ? "" : value.on_error} onChange=${set("on_error")} />`}
    ${rest.length > 0 && html`<p class="help">Kept as they are, and edited as JSON: ${rest.join(", ")}.</p>`}`;
}

function withField(value, name, next) {
  const { [name]: before, ...rest } = value;
  if (next === undefined) return rest;
  return name in value ? { ...value, [name]: next } : { ...rest, [name]: next };
}

function Typewise({ field, ...given }) {
  const { label, hint, kind, choices } = field;
  if (kind === "longtext") return html`<${LongText} label=${label} help=${hint} ...${given} />`;
  const options = kind === "select" ? [{ value: "", label: "as documented" }, ...choices] : undefined;
  return html`<${Field} type=${kind} label=${label} help=${hint} options=${options} rows=${3} ...${given} />`;
}

/** One target per line; one that has parameters, or is a router, is a line of JSON. */
function Targets({ path, value = [], onChange, optional }) {
  const [shown, show] = useState(() => value.map((one) => (typeof one === "string" ? one : JSON.stringify(one))));
  const change = (lines) => {
    show(lines ?? []);
    onChange(lines ? lines.map(target) : optional ? undefined : []);
  };
  return html`<${Field} path=${path} type="list" label="Targets, one per line" required=${!optional} rows=${Math.min(10, Math.max(3, shown.length + 1))}
    help=${'A backend, provider/model, provider/*, router/name; with parameters as JSON: {"model": "large", "temperature": 0}'}
    value=${shown} onChange=${change} />`;
}

function target(line) {
  if (!line.startsWith("{")) return line;
  try {
    return JSON.parse(line);
  } catch {
    return line; // on the way to JSON; what is saved like this is refused with its place
  }
}
