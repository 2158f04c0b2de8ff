// JSON as text, with line numbers and the place of its error.
//
//   html`<${JsonEditor} label="Document" text=${text} rows=${16}
//          onChange=${(text, problem) => …} />`       problem: null or { message, line, column }
//
// Tab leaves the editor, as everywhere on the page (nobody is trapped in it); Ctrl+] and Ctrl+[
// move lines in and out, and Enter keeps the depth of the line before.
// More: mayBeEmpty, readonly, attributes (of the textarea, such as an id that a label names).

import { html, useEffect, useId, useRef } from "../dom.js";
import { problemOf } from "./json-problem.js";

export function JsonEditor({ text, onChange, label, rows = 12, readonly, mayBeEmpty, attributes = {} }) {
  const problem = problemOf(text, mayBeEmpty);
  const gutter = useRef(null);
  const area = useRef(null);
  const id = useId();
  const change = (next) => onChange(next, problemOf(next, mayBeEmpty));
  useEffect(() => follow(area.current, gutter.current), [text]);
  return html`<div class=${`json-editor ${problem ? "wrong" : ""}`}>
    <div class="json-text">
      <pre class="line-numbers" aria-hidden="true" ref=${gutter}>${numbers(text, problem)}</pre>
      <textarea ref=${area} rows=${rows} aria-label=${attributes.id ? undefined : label} ...${attributes}
        aria-describedby=${[attributes["aria-describedby"], problem && id].filter(Boolean).join(" ") || undefined}
        aria-invalid=${problem ? "true" : attributes["aria-invalid"]}
        wrap="off" spellcheck="false" autocapitalize="off" readonly=${readonly} value=${text}
        onInput=${(event) => change(event.target.value)} onKeyDown=${(event) => key(event, change)}
        onScroll=${() => follow(area.current, gutter.current)}></textarea>
    </div>
    ${problem && html`<p class="fault" id=${id}>Line ${problem.line}, column ${problem.column}: ${problem.message}</p>`}
  </div>`;
}

function numbers(text, problem) {
  return text.split("\n").map((_, place) => {
    const wrong = problem?.line === place + 1;
    return html`<span key=${place} class=${wrong ? "wrong-line" : ""}>${wrong ? "▸" : ""}${place + 1}${"\n"}</span>`;
  });
}

const follow = (area, gutter) => void (gutter.scrollTop = area.scrollTop);

function key(event, change) {
  if (event.key === "Enter" && !event.ctrlKey && !event.metaKey && !event.isComposing) {
    event.preventDefault();
    put(event.target, `\n${depth(event.target)}`, change);
  } else if ((event.ctrlKey || event.metaKey) && (event.key === "]" || event.key === "[")) {
    event.preventDefault();
    move(event.target, event.key === "]", change);
  }
}

const startOfLine = (area) => area.value.lastIndexOf("\n", area.selectionStart - 1) + 1;

function depth(area) {
  const line = area.value.slice(startOfLine(area), area.selectionStart);
  return line.match(/^ */)[0] + (/[[{]\s*$/.test(line) ? "  " : "");
}

function put(area, text, change) {
  area.setRangeText(text, area.selectionStart, area.selectionEnd, "end");
  change(area.value);
}

/** Move the lines of the selection in or out by two spaces. */
function move(area, inwards, change) {
  const start = startOfLine(area);
  const lines = area.value.slice(start, area.selectionEnd).split("\n");
  const moved = lines.map((line) => (inwards ? `  ${line}` : line.replace(/^ {1,2}/, "")));
  area.setRangeText(moved.join("\n"), start, area.selectionEnd, "select");
  change(area.value);
}
