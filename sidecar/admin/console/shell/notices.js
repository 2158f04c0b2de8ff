// The banners above every page: what does not answer, and a configuration that was rejected.

import { connection } from "../api.js";
import { html } from "../dom.js";
import { Banner } from "../parts/banner.js";
import * as format from "../parts/format.js";
import { useWatched } from "../parts/use.js";

export function Notices({ live }) {
  const { control, store } = useWatched(connection);
  return html`<div class="notices">
    ${!control && html`<${Banner} tone="bad" title="Control does not answer">
      Envoy and the workers may still serve. What you typed is kept in this page.</${Banner}>`}
    ${control && !store && html`<${Banner} tone="bad" title="Redis does not answer">
      The last good rules serve on; edits are kept in this page.</${Banner}>`}
    <${Rejected} rules=${live.ready?.rules} envoy=${live.ready?.envoy} />
  </div>`;
}

function Rejected({ rules, envoy }) {
  const rejection = rules?.rejection ?? null;
  const refused = envoy?.rejection ?? null;
  return html`
    ${rejection && html`<${Banner} tone="bad" title=${`A configuration was rejected ${format.ago(rejection.when)}: the last good rules serve on`}>
      <ul>${faultsOf(rejection).map(({ path, message }) => html`<li key=${path + message}>${path && html`<code>${path}</code>: `}${message}</li>`)}</ul></${Banner}>`}
    ${refused && html`<${Banner} tone="bad" title="Envoy refused its resources">${String(refused)}</${Banner}>`}`;
}

const faultsOf = (rejection) =>
  rejection.faults ?? [{ path: "", message: rejection.message ?? String(rejection) }];
