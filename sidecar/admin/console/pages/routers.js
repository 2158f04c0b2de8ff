// Routers under names of their own, for several routes, with a request to try them on.

import { html } from "../dom.js";
import { fieldColumn, kindPage } from "../rules/kind-page.js";
import { RouterForm } from "../rules/router-form.js";
import { TryRequest } from "../rules/try.js";

const FIELDS = ["type", "targets", "on_error", "description"];

function Form({ draft, onChange, onInvalid }) {
  return html`<${RouterForm} path="" value=${draft} named=${false} onChange=${onChange} onInvalid=${onInvalid} />`;
}

const aside = ({ draft, name, changed }) => html`
  <p class="help">A request reaches this router by a route that names it, or by the model <code>router/${name || "NAME"}</code>.</p>
  <${TryRequest} key="try" model=${name && `router/${name}`} documents=${changed && name ? { routers: { [name]: draft } } : null} />`;

export default kindPage({
  kind: "routers", title: "Routers", one: "a router", blank: { type: "fallback", targets: [] },
  about: "Routers that several routes, other routers and requests can name. A router says which backends to try, and in which order.",
  empty: "No stored routers: each route has its own.",
  Form, fields: FIELDS, aside,
  columns: () => [
    fieldColumn("type", "Type"),
    { ...fieldColumn("targets", "Targets", (targets) => targets && targets.map(targetName).join(", ")), fixed: true },
  ],
});

function targetName(target) {
  if (typeof target === "string") return target;
  return target.model && !target.router ? `${target.model} with parameters` : `a router of type ${target.router?.type ?? "?"}`;
}
