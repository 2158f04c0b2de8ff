// The totals of the last minute in big digits.

import { html } from "../dom.js";
import { format } from "../parts.js";

export function Figures({ stats, version }) {
  const totals = stats?.totals ?? {};
  const figures = [
    ["Requests", format.rate(totals.requests_per_second)],
    ["Error rate", format.percent(totals.error_rate)],
    ["First token p50 / p95", format.pair(totals.ttft_ms)],
    ["Latency p50 / p95", format.pair(totals.latency_ms)],
    ["Tokens", format.rate(totals.tokens_per_second)],
    ["Cost", totals.cost_usd_per_hour === undefined ? "–" : `${format.usd(totals.cost_usd_per_hour)}/h`],
    ["Live version", version ?? "–"],
  ];
  return html`<dl class="figures" aria-label="The last minute">
    ${figures.map(([title, text]) => html`<div key=${title}><dt>${title}</dt><dd data-figure=${title}>${text}</dd></div>`)}
  </dl>`;
}
