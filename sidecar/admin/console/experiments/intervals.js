// Intervals as pictures: a dot for the estimate, a bar for its interval. The numbers stand beside
// them in the table, so that nothing is said by the picture alone.

import { html } from "../dom.js";

const WIDTH = 240;
const HEIGHT = 22;
const EDGE = 8;

/** Return the span of all figures, and of `also`, with some room; null when nothing is known. */
export function scaleOf(figures, also = []) {
  const known = figures.flatMap((one) => [one.low, one.estimate, one.high])
    .filter((each) => typeof each === "number");
  if (!known.length) return null;
  const low = Math.min(...known, ...also);
  const high = Math.max(...known, ...also);
  return low === high ? { low: low - 1, high: high + 1 } : { low, high };
}

function along(value, scale) {
  return EDGE + ((value - scale.low) / (scale.high - scale.low)) * (WIDTH - 2 * EDGE);
}

/** One dot with its interval. `zero`: draw where there is no difference. */
export function IntervalBar({ figure, scale, tone = "", zero = false }) {
  if (!scale || typeof figure.estimate !== "number") return null;
  const middle = HEIGHT / 2;
  const low = along(figure.low ?? scale.low, scale);
  const high = along(figure.high ?? scale.high, scale);
  const bounded = figure.low !== null || figure.high !== null;
  return html`<svg class=${`interval ${tone}`} viewBox=${`0 0 ${WIDTH} ${HEIGHT}`} aria-hidden="true" focusable="false">
    ${zero && html`<line class="interval-zero" x1=${along(0, scale)} x2=${along(0, scale)} y1="0" y2=${HEIGHT} />`}
    ${bounded && html`<line class="interval-line" x1=${low} x2=${high} y1=${middle} y2=${middle} />`}
    ${bounded && figure.low !== null && html`<line class="interval-line" x1=${low} x2=${low} y1=${middle - 5} y2=${middle + 5} />`}
    ${bounded && figure.high !== null && html`<line class="interval-line" x1=${high} x2=${high} y1=${middle - 5} y2=${middle + 5} />`}
    <circle class="interval-dot" cx=${along(figure.estimate, scale)} cy=${middle} r="4.5" />
  </svg>`;
}

const TALL = 160;

/**
 * Intervals of arms over time. `points`: [{at: Unix seconds, arms: {ARM: figure}}], in order.
 */
export function IntervalsOverTime({ points, arms, label }) {
  const scale = scaleOf(points.flatMap((one) => Object.values(one.arms)));
  if (!scale || points.length < 2) return null;
  const first = points[0].at;
  const whole = points[points.length - 1].at - first || 1;
  const width = 600;
  const x = (at, place) => 16 + ((at - first) / whole) * (width - 40) + place * 5;
  const y = (value) => TALL - 12 - ((value - scale.low) / (scale.high - scale.low)) * (TALL - 24);
  return html`<svg class="intervals-over-time" viewBox=${`0 0 ${width} ${TALL}`} role="img" aria-label=${label}>
    ${arms.map((arm, place) => html`<g class=${`key-${place % 8 + 1}`}>
      ${points.map((one) => {
        const figure = one.arms[arm];
        if (!figure || typeof figure.estimate !== "number") return null;
        const left = x(one.at, place);
        return html`<line class="interval-line" x1=${left} x2=${left} y1=${y(figure.low ?? scale.low)} y2=${y(figure.high ?? scale.high)} />
          <circle class="interval-dot" cx=${left} cy=${y(figure.estimate)} r="3.5" />`;
      })}
    </g>`)}
  </svg>`;
}
