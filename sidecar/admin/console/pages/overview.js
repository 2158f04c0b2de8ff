// What happens now: what is wrong, traffic, errors, times, tokens and cost per model, and who
// changed what last. Numbers of the last minute every 2 s, lines of the last hour every 10 s.

import { api } from "../api.js";
import { html, useState } from "../dom.js";
import { Charts } from "../overview/charts.js";
import { Figures } from "../overview/figures.js";
import { Health } from "../overview/health.js";
import { LastChanges } from "../overview/last-changes.js";
import { useLoad, usePoll } from "../parts.js";

const SPANS = [15, 30, 60];

export default function Overview({ live }) {
  const [minutes, setMinutes] = useState(15);
  const { data: series } = usePoll(() => api.get("stats/series", { query: { minutes } }).then(({ body }) => body), 10, [minutes]);
  const version = live.ready?.rules?.version ?? live.stats?.version ?? null;
  const { data: versions } = useLoad(() => api.get("config/versions", { query: { count: 5 } }).then(({ body }) => body.versions), [version]);
  return html`<div class="page-head">
      <h1>Overview</h1>
      <div class="row" role="group" aria-label="Time shown">
        ${SPANS.map((span) => html`<button key=${span} type="button" aria-pressed=${String(span === minutes)} class=${span === minutes ? "primary" : ""} onClick=${() => setMinutes(span)}>${span} min</button>`)}
      </div>
    </div>
    <${Figures} stats=${live.stats} version=${version} />
    <${Health} live=${live} />
    <${Charts} series=${series} />
    <${LastChanges} versions=${versions} />`;
}
