// Lines per backend over the last minutes, from /stats/series.

import { html } from "../dom.js";
import { Chart, format } from "../parts.js";
import { busiest, ratio, scaled } from "./lines.js";

const perHour = (value) => `${format.usd(value)}/h`;

export function Charts({ series }) {
  if (!series) return html`<p class="loading">Loading the last hour…</p>`;
  const { times, step_seconds: step } = series;
  const names = busiest(series.backends);
  if (times.length < 2 || names.length === 0) return html`<p class="empty">No traffic yet: lines appear with the first requests.</p>`;
  const of = (read) => names.map((name) => ({ name, values: read(series.backends[name]) }));
  const charts = [
    ["Requests per second", format.rate, of((one) => scaled(one.requests, 1 / step))],
    ["Error rate", format.percent, of((one) => ratio(one.errors, one.requests))],
    ["Time to first token, p50", format.ms, of((one) => one.ttft_ms_p50)],
    ["Time to first token, p95", format.ms, of((one) => one.ttft_ms_p95)],
    ["Latency, p50", format.ms, of((one) => one.latency_ms_p50)],
    ["Latency, p95", format.ms, of((one) => one.latency_ms_p95)],
    ["Tokens per second", format.rate, of((one) => scaled(one.tokens, 1 / step))],
    ["Cost per hour", perHour, of((one) => scaled(one.cost_usd, 3600 / step))],
  ];
  const more = Object.keys(series.backends).length - names.length;
  return html`<section aria-label="Over time"><div class="grid charts">
      ${charts.map(([title, write, lines]) => html`<${Chart} key=${title} title=${title} times=${times} series=${lines} write=${write} />`)}
    </div>
    ${more > 0 && html`<p class="help">The ${names.length} busiest backends; ${more} more are on the Backends page.</p>`}
  </section>`;
}
