// What is unhealthy, and why.

import { html } from "../dom.js";
import { State, format, link } from "../parts.js";

const ERRORS_WORTH_A_WORD = 0.05;

export function Health({ live }) {
  if (!live.stats && !live.ready) return null;
  const troubles = [...ofBackends(live.stats?.backends ?? {}), ...ofEnvoy(live.ready?.envoy ?? {})];
  return html`<section class="panel" aria-labelledby="health">
    <h2 id="health">Health</h2>
    ${troubles.length === 0 && html`<p><${State} tone="good">all backends are well</${State}></p>`}
    ${troubles.length > 0 && html`<ul class="plain">
      ${troubles.map(({ name, tone, word, why }) => html`<li key=${name + word}>
        <${State} tone=${tone}>${word}</${State}> ${name && html`<a href=${link("backends", name)}>${name}</a>`} ${why}</li>`)}
    </ul>`}
  </section>`;
}

function ofBackends(backends) {
  return Object.entries(backends).flatMap(([name, one]) => {
    const errors = one.error_rate ? `${format.percent(one.error_rate)} of its attempts failed in the last minute` : "";
    const why = [one.reason, errors].filter(Boolean).join("; ");
    if (one.enabled === false) return [{ name, tone: "off", word: "disabled", why: "gets no traffic until it is enabled" }];
    if (one.healthy === false) return [{ name, tone: "bad", word: "unhealthy", why }];
    if (one.healthy === null) return [{ name, tone: "warn", word: "not known", why }];
    return one.error_rate > ERRORS_WORTH_A_WORD ? [{ name, tone: "warn", word: "errors", why }] : [];
  });
}

function ofEnvoy({ reachable, warnings = [] }) {
  const gone = reachable === false ? [{ name: "", tone: "bad", word: "Envoy", why: "does not answer at its admin address" }] : [];
  const warned = warnings.map((text) => ({ name: "", tone: "warn", word: "warning", why: String(text) }));
  return [...gone, ...warned];
}
