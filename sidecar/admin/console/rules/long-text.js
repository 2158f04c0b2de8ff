// A text of several lines, such as a script.

import { html, useContext, useId } from "../dom.js";
import { Faults, faultsAt } from "../parts.js";

export function LongText({ path, label, help, value, onChange, rows = 10 }) {
  const id = useId();
  const faults = faultsAt(useContext(Faults), path);
  return html`<div class=${`field ${faults.length ? "wrong" : ""}`} data-path=${path}>
    <label for=${id}>${label}</label>
    <textarea id=${id} rows=${rows} class="code" spellcheck="false" value=${value ?? ""} aria-describedby=${`${id}-help ${id}-fault`}
      aria-invalid=${faults.length ? "true" : undefined} onInput=${(event) => onChange(event.target.value || undefined)}></textarea>
    <p class="help" id=${`${id}-help`}>${help}</p>
    <p class=${faults.length ? "fault" : "unseen"} id=${`${id}-fault`}>
      ${faults.map((one) => html`<span key=${one.message}>${one.message}</span>`)}
    </p>
  </div>`;
}
