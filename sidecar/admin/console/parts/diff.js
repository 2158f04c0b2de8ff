// What differs between two JSON documents, line by line; unchanged parts are left out.
//
//   html`<${DiffView} before=${document | null} after=${document | null} label="backends small" />`

import { html } from "../dom.js";
import { diffLines, linesOf } from "./diff-lines.js";

const AROUND = 3;
const SIGNS = { "+": "added", "-": "removed", " ": "" };

export function DiffView({ before, after, label }) {
  const lines = diffLines(linesOf(before), linesOf(after));
  const changed = lines.some(({ sign }) => sign !== " ");
  return html`<figure class="diff">
    ${label && html`<figcaption>${label}${verb(before, after)}</figcaption>`}
    ${changed ? html`<pre tabindex="0" aria-label=${`Difference${label ? ` of ${label}` : ""}`}>${near(lines).map(Line)}</pre>` : html`<p class="quiet-text">No difference.</p>`}
  </figure>`;
}

const absent = (document) => document === null || document === undefined;
const verb = (before, after) => (absent(before) ? ": new" : absent(after) ? ": removed" : "");

function Line({ sign, text, gap }, place) {
  if (gap) return html`<span key=${place} class="gap">${`⋯ ${gap} lines\n`}</span>`;
  const word = SIGNS[sign];
  return html`<span key=${place} class=${`line ${word}`}><span aria-hidden="true">${sign}</span>${word && html`<span class="unseen">${word}: </span>`} ${text}${"\n"}</span>`;
}

/** Keep the lines around changes; say how many are left out. */
function near(lines) {
  const kept = lines.map((_, place) =>
    lines.slice(Math.max(0, place - AROUND), place + AROUND + 1).some(({ sign }) => sign !== " "));
  const shown = [];
  lines.forEach((line, place) => {
    if (kept[place]) shown.push(line);
    else if (shown.at(-1)?.gap) shown.at(-1).gap += 1;
    else shown.push({ gap: 1 });
  });
  return shown;
}
