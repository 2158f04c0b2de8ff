// What one router made of a request: its ranking with scores, who was left out and why, its draws.

import { html } from "../dom.js";

export function RouterNote({ note }) {
  const rows = rowsOf(note);
  const chance = note.probability === 1 ? "" : ` probability ${note.probability.toPrecision(4)}`;
  const draws = (note.draws || []).map((draw) => draw.toFixed(6)).join(", ");
  return html`<details open>
    <summary><strong>${note.router}</strong> <span class="quiet-text">${note.type}${chance}${draws && `, drew ${draws}`}</span></summary>
    ${Object.entries(note.notes || {}).map(([key, value]) => html`<p class="quiet-text">${key}: <code>${JSON.stringify(value)}</code></p>`)}
    ${rows.length ? html`<${Ranking} rows=${rows} />` : html`<p class="explained-warning">nothing to try</p>`}
    ${(note.inner || []).length > 0 && html`<ul class="tree">
      ${note.inner.map((one) => html`<li><${RouterNote} note=${one} /></li>`)}
    </ul>`}
  </details>`;
}

function Ranking({ rows }) {
  const scored = rows.some((row) => row.score !== null);
  return html`<table class="ranking">
    <thead><tr>
      <th scope="col">Place</th><th scope="col">Candidate</th>
      ${scored && html`<th scope="col">Score</th>`}<th scope="col">Why</th>
    </tr></thead>
    <tbody>${rows.map((row) => html`<tr class=${row.place ? "" : "quiet-text"}>
      <td>${row.place || html`<span aria-hidden="true">✗</span><span class="unseen">left out</span>`}</td>
      <td>${row.name}</td>
      ${scored && html`<td>${row.score === null ? "" : Number(row.score.toPrecision(6))}</td>`}
      <td>${row.why}</td>
    </tr>`)}</tbody>
  </table>`;
}

/** Return the ranking, best first, and then what is not in it. */
function rowsOf(note) {
  const left = [...(note.candidates || [])];
  const ranked = (note.order || []).map(([target, backend], place) => {
    const found = take(left, target, backend);
    const name = target === backend ? target : `${target} → ${backend}`;
    return { place: place + 1, name, score: found ? found.score ?? null : null, why: found ? details(found) : "" };
  });
  const out = left.filter((one) => one.excluded).map((one) => ({
    place: 0, name: [one.target, ...one.backends.filter((each) => each !== one.target)].join(", "),
    score: one.score ?? null, why: one.excluded,
  }));
  return [...ranked, ...out];
}

/** Remove and return the note about a candidate of the ranking. */
function take(notes, target, backend) {
  const place = notes.findIndex((one) => one.target === target && !one.excluded
    && (!(one.backends || []).length || one.backends[0] === backend));
  return place < 0 ? null : notes.splice(place, 1)[0];
}

function details(note) {
  return Object.entries(note.details || {}).map(([key, value]) => `${key} ${JSON.stringify(value)}`).join(", ");
}
