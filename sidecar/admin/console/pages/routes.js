// Routes in the order in which they decide, and one route with a request to try it on.

import { html } from "../dom.js";
import { api } from "../api.js";
import { may, useLoad } from "../parts.js";
import { Editor } from "../rules/editor.js";
import { DESCRIPTION, ENABLED, MATCH, formOf } from "../rules/forms.js";
import { Crumb, ListHead } from "../rules/kind-page.js";
import { RouteList } from "../rules/route-list.js";
import { RouterForm } from "../rules/router-form.js";
import { TryRequest } from "../rules/try.js";

const ABOUT = {
  kind: "routes", title: "Routes", one: "a route",
  about: "The first route that matches decides. One without a condition always matches, so nothing behind it is reached.",
};
const FIELDS = ["order", "enabled", "match", "router", "description"];
const BLANK = { order: 100, match: {}, router: { type: "fallback", targets: [] } };

const Head = formOf([
  { name: "order", label: "Order", type: "number", placeholder: "100", help: "Lower is tried first; equal ones by name" },
  ENABLED, MATCH,
]);
const Foot = formOf([DESCRIPTION]);

function RouteForm(given) {
  const { draft, set, onInvalid, stored } = given;
  return html`<${Head} ...${given} />
    <${RouterForm} path="router" value=${draft.router} names=${stored} onChange=${(router) => set("router", router)} onInvalid=${onInvalid} />
    <${Foot} ...${given} />`;
}

export default function Page({ route, me }) {
  const isNew = route.params.get("new") !== null;
  if (route.name || isNew) return html`<${One} key=${route.name} name=${route.name} me=${me} />`;
  return html`<${All} me=${me} />`;
}

function All({ me }) {
  const { data, error, reload } = useLoad(() => api.get("routes").then(({ body }) => body));
  return html`<${ListHead} about=${ABOUT} me=${me} />
    ${error && html`<p class="fault" role="alert">${error.message}</p>`}
    ${data && html`<div class="beside">
      <${RouteList} key=${data.version} items=${data.items} writes=${may(me, "operator")} me=${me} onDone=${reload} />
      <div class="aside"><${TryRequest} documents=${null} /></div>
    </div>`}`;
}

function One({ name, me }) {
  const { data: stored } = useLoad(() => api.get("routers").then(({ body }) => body.items.map((one) => one.name)));
  return html`<${Crumb} about=${ABOUT} name=${name} />
    ${stored && html`<${Editor} kind="routes" name=${name} blank=${BLANK} Form=${RouteForm} formProps=${{ stored }} fields=${FIELDS} me=${me} aside=${aside} />`}`;
}

const aside = ({ draft, name, changed }) => html`<${TryRequest}
  documents=${changed && name ? { routes: { [name]: draft } } : null} />`;
