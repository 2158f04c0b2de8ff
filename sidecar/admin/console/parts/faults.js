// From a fault's path to the field that it is about.
//
//   html`<${Faults.Provider} value=${{ base: "backends.small", faults }}>
//     <${FaultList} paths=${["model", "endpoints"]} />     what has no field of its own, on top
//     <${Field} path="model" … />                           shows the faults of model…
//     <${Field} path="endpoints" … />                       …and those of endpoints[0].url
//   </${Faults.Provider}>`
//
// `base` is what the API puts before the path inside the document: "<kind>.<name>".
// A fault goes to the field with the longest path that begins it.

import { createContext, html, useContext, useEffect, useRef } from "../dom.js";

export const Faults = createContext({ base: "", faults: [] });

/** The path inside the document; null when the fault is about another one. */
function inside(path, base) {
  if (path === base) return "";
  const rest = path.slice(base.length);
  return path.startsWith(base) && /^[.[]/.test(rest) ? rest.replace(/^\./, "") : null;
}

const covers = (field, path) =>
  path === field || path.startsWith(`${field}.`) || path.startsWith(`${field}[`);

/** The faults below `field` of the document at `base`: `[{ path, message }]`, path inside it. */
export function faultsAt({ faults = [], base = "" }, field) {
  return faults
    .map(({ path, message }) => ({ path: inside(path, base), message }))
    .filter(({ path }) => path !== null && (field === "" || covers(field, path)));
}

/** The faults that none of the fields `paths` shows. */
export function unplaced({ faults = [], base = "" }, paths) {
  return faults.filter((fault) => {
    const path = inside(fault.path, base);
    return path === null || !paths.some((field) => covers(field, path));
  });
}

/** All faults that no field shows, and how many are at fields; the focus goes to the first. */
export function FaultList({ paths = [] }) {
  const given = useContext(Faults);
  const box = useRef(null);
  useEffect(() => {
    const first = box.current?.closest("form")?.querySelector("[aria-invalid=true]");
    (first ?? box.current)?.focus();
  }, [given.faults]);
  const rest = unplaced(given, paths);
  const placed = (given.faults ?? []).length - rest.length;
  if (!given.faults?.length) return null;
  return html`<div class="banner bad" role="alert" tabindex="-1" ref=${box}>
    <strong>Not saved: ${given.faults.length} ${given.faults.length === 1 ? "fault" : "faults"}</strong>
    ${rest.length > 0 && html`<ul>${rest.map(({ path, message }) => html`<li key=${path + message}><code>${path}</code>: ${message}</li>`)}</ul>`}
    ${placed > 0 && html`<p>${placed} at the fields below.</p>`}
  </div>`;
}
