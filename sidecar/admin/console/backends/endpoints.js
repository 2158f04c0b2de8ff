// The addresses of a backend: one or more, each with a weight and a zone if there are several.

import { html } from "../dom.js";
import { Field } from "../parts.js";

const asObject = (one) => (typeof one === "string" ? { url: one } : one);

/** A plain address when that says all: what people write by hand stays as they wrote it. */
function asWritten({ url = "", ...more }) {
  const rest = Object.fromEntries(Object.entries(more).filter(([, value]) => value !== undefined));
  return Object.keys(rest).length ? { url, ...rest } : url;
}

export function Endpoints({ value, onChange, readonly }) {
  const all = Array.isArray(value) ? value : [];
  const put = (place, field) => (text) =>
    onChange(all.map((one, other) => (other === place ? asWritten({ ...asObject(one), [field]: text }) : one)));
  const drop = (place) => onChange(all.filter((_, other) => other !== place));
  return html`<fieldset><legend>Endpoints</legend>
    ${all.map((one, place) => html`<${Endpoint} key=${place} place=${place} one=${one} several=${all.length > 1} put=${put} drop=${drop} readonly=${readonly} />`)}
    ${!readonly && html`<button type="button" onClick=${() => onChange([...all, ""])}>Add an endpoint</button>`}
  </fieldset>`;
}

function Endpoint({ place, one, several, put, drop, readonly }) {
  const { url, weight, zone } = asObject(one);
  const path = `endpoints[${place}]`;
  return html`<div class="endpoint">
    <${Field} path=${typeof one === "string" ? path : `${path}.url`} label=${`Address ${place + 1}`} required value=${url} readonly=${readonly}
      placeholder="https://api.example.com/v1" onChange=${put(place, "url")} help="http:// or https://, host, port and path; no key in it." />
    <${Field} path=${`${path}.weight`} label=${`Weight ${place + 1}`} type="number" placeholder="1" value=${weight} readonly=${readonly} onChange=${put(place, "weight")} />
    <${Field} path=${`${path}.zone`} label=${`Zone ${place + 1}`} value=${zone} readonly=${readonly} onChange=${put(place, "zone")} />
    ${several && !readonly && html`<button type="button" aria-label=${`Remove address ${place + 1}`} onClick=${() => drop(place)}>Remove</button>`}
  </div>`;
}
