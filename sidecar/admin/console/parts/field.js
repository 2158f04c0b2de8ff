// A labelled input with its help, its faults, and the type of its value.
//
//   html`<${Field} path="timeout_seconds" type="number" label="Time limit (s)" help="Per attempt."
//          value=${draft.timeout_seconds} placeholder="60" onChange=${(v) => set("timeout_seconds", v)} />`
//
// type      value given to onChange
// text      string, or undefined when empty (so that the document leaves the key out)
// number    number, or undefined; text that is no number stays shown and is passed on as it is,
//           so that the API says what is wrong with it
// select    string; `options`: ["a", "b"] or [{ value, label }]; undefined for ""
// checkbox  boolean
// list      array of strings, one per line; undefined when empty
// pairs     object of strings, one `key = value` per line; undefined when empty
// json      any JSON value; a text that is no JSON shows its error here and calls onInvalid(true)
//
// More: required, placeholder, readonly, rows, autofocus, spellcheck=false always.

import { html, useContext, useEffect, useId, useRef, useState } from "../dom.js";
import { Faults, faultsAt } from "./faults.js";
import { JsonEditor } from "./json-editor.js";

export function Field(given) {
  const { path = "", label, help, type = "text", required } = given;
  const id = useId();
  const faults = faultsAt(useContext(Faults), path || "\0");
  const described = [help && `${id}-help`, faults.length && `${id}-fault`].filter(Boolean).join(" ");
  const attributes = {
    id,
    "aria-describedby": described || undefined,
    "aria-invalid": faults.length ? "true" : undefined,
  };
  const Input = INPUTS[type];
  return html`<div class=${`field ${type} ${faults.length ? "wrong" : ""}`} data-path=${path}>
    <label for=${id} class=${required ? "needed" : ""}>${label}</label>
    <${Input} ...${given} attributes=${attributes} />
    ${help && html`<p class="help" id=${`${id}-help`}>${help}</p>`}
    ${faults.length > 0 && html`<p class="fault" id=${`${id}-fault`}>
      ${faults.map((one) => html`<span key=${one.path + one.message}>${one.path !== path && html`<code>${one.path}</code> `}${one.message}</span>`)}
    </p>`}
  </div>`;
}

function TextInput({ value, onChange, attributes, placeholder, readonly, required, autofocus }) {
  return html`<input ...${attributes} type="text" value=${value ?? ""} placeholder=${placeholder}
    readonly=${readonly} required=${required} autofocus=${autofocus} spellcheck="false" autocomplete="off"
    autocapitalize="off" onInput=${(event) => onChange(event.target.value || undefined)} />`;
}

function NumberInput({ value, onChange, attributes, placeholder, readonly, required }) {
  // Text of its own: "0." and "1e-" are on the way to a number and must not be rewritten.
  const [text, setText] = useState(written(value));
  useEffect(() => {
    if (numberOf(text) !== value) setText(written(value));
  }, [value]);
  const type = (event) => {
    setText(event.target.value);
    onChange(numberOf(event.target.value));
  };
  return html`<input ...${attributes} type="text" inputmode="decimal" value=${text} onInput=${type}
    placeholder=${placeholder} readonly=${readonly} required=${required} autocomplete="off" />`;
}

/** 1.5e-7 → "0.00000015": prices are read digit by digit. */
function written(value) {
  const [digits, power] = String(value ?? "").split("e-");
  return power ? value.toFixed(Math.min(100, Number(power) + (digits.split(".")[1] ?? "").length)) : digits;
}

function numberOf(text) {
  const number = Number(text);
  return text.trim() === "" ? undefined : Number.isFinite(number) ? number : text;
}

function SelectInput({ value, onChange, attributes, options, readonly }) {
  const all = options.map((one) => (typeof one === "string" ? { value: one, label: one } : one));
  return html`<select ...${attributes} disabled=${readonly} value=${value ?? ""}
    onChange=${(event) => onChange(event.target.value || undefined)}>
    ${all.map((one) => html`<option key=${one.value} value=${one.value} selected=${one.value === (value ?? "")}>${one.label}</option>`)}
  </select>`;
}

function CheckboxInput({ value, onChange, attributes, readonly }) {
  return html`<input ...${attributes} type="checkbox" checked=${Boolean(value)} disabled=${readonly}
    onChange=${(event) => onChange(event.target.checked)} />`;
}

/** A textarea whose lines are parts of a value; keeps what is typed while it is typed. */
function Lines({ value, onChange, attributes, placeholder, readonly, rows, read, write }) {
  const sent = useRef(value);
  const [text, setText] = useState(write(value));
  useEffect(() => {
    if (JSON.stringify(value) !== JSON.stringify(sent.current)) setText(write(value));
    sent.current = value;
  }, [value]);
  const type = (event) => {
    setText(event.target.value);
    sent.current = read(event.target.value);
    onChange(sent.current);
  };
  const high = rows ?? Math.min(8, Math.max(2, text.split("\n").length));
  return html`<textarea ...${attributes} rows=${high} value=${text} onInput=${type} spellcheck="false"
    placeholder=${placeholder} readonly=${readonly} autocapitalize="off"></textarea>`;
}

const lines = (text) => text.split("\n").map((line) => line.trim()).filter(Boolean);
const readList = (text) => (lines(text).length ? lines(text) : undefined);
const writeList = (value) => (value ?? []).join("\n");

function readPairs(text) {
  const pairs = lines(text).map((line) => {
    const at = line.search(/[=:]/);
    return at < 0 ? [line, ""] : [line.slice(0, at).trim(), line.slice(at + 1).trim()];
  });
  return pairs.length ? Object.fromEntries(pairs) : undefined;
}
const writePairs = (value) =>
  Object.entries(value ?? {}).map(([key, text]) => `${key} = ${text}`).join("\n");

function JsonInput({ value, onChange, onInvalid, attributes, readonly, rows, label }) {
  const sent = useRef(value);
  const [text, setText] = useState(writeJson(value));
  useEffect(() => {
    if (JSON.stringify(value) !== JSON.stringify(sent.current)) setText(writeJson(value));
    sent.current = value;
  }, [value]);
  const type = (next, problem) => {
    setText(next);
    onInvalid?.(Boolean(problem));
    if (problem) return;
    sent.current = next.trim() ? JSON.parse(next) : undefined;
    onChange(sent.current);
  };
  return html`<${JsonEditor} text=${text} onChange=${type} attributes=${attributes} label=${label}
    readonly=${readonly} rows=${rows ?? 4} mayBeEmpty />`;
}
const writeJson = (value) => (value === undefined ? "" : JSON.stringify(value, null, 2));

const INPUTS = {
  text: TextInput,
  number: NumberInput,
  select: SelectInput,
  checkbox: CheckboxInput,
  list: (given) => html`<${Lines} ...${given} read=${readList} write=${writeList} />`,
  pairs: (given) => html`<${Lines} ...${given} read=${readPairs} write=${writePairs} />`,
  json: JsonInput,
};
