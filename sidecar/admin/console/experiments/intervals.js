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

const TALL = 180;
const WIDE = 640;
const LEFT = 90;

/**
 * Intervals of arms over time. `points`: [{at: Unix seconds, arms: {ARM: figure}}], in order;
 * `write(value)` and `when(seconds)` make the labels.
 */
export function IntervalsOverTime({ points, arms, label, write, when }) {
  const scale = scaleOf(points.flatMap((one) => Object.values(one.arms)));
  if (!scale || points.length < 2) return null;
  const [first, last] = [points[0].at, points[points.length - 1].at];
  const x = (at, place) => LEFT + 12 + ((at - first) / (last - first || 1)) * (WIDE - LEFT - 50) + place * 5;
  const y = (value) => TALL - 36 - ((value - scale.low) / (scale.high - scale.low)) * (TALL - 52);
  return html`<svg class="intervals-over-time" viewBox=${`0 0 ${WIDE} ${TALL}`} role="img" aria-label=${label}>
    <${Axis} scale=${scale} y=${y} write=${write} left=${when(first)} right=${when(last)} />
    ${arms.map((arm, place) => html`<g key=${arm} class=${`key-${place % 8 + 1}`}>
      ${points.map((one) => html`<${Moment} key=${one.at} figure=${one.arms[arm]} x=${x(one.at, place)} y=${y} scale=${scale} />`)}
    </g>`)}
  </svg>`;
}

function Axis({ scale, y, write, left, right }) {
  const middle = (scale.low + scale.high) / 2;
  return html`<g class="axis">
    ${[scale.low, middle, scale.high].map((value) => html`<g key=${value}>
      <line x1=${LEFT} x2=${WIDE - 8} y1=${y(value)} y2=${y(value)} />
      <text x=${LEFT - 6} y=${y(value) + 4} text-anchor="end">${write(value)}</text>
    </g>`)}
    <text x=${LEFT} y=${TALL - 8}>${left}</text>
    <text x=${WIDE - 8} y=${TALL - 8} text-anchor="end">${right}</text>
  </g>`;
}

function Moment({ figure, x, y, scale }) {
  if (!figure || typeof figure.estimate !== "number") return null;
  const bounded = typeof figure.low === "number" || typeof figure.high === "number";
  return html`${bounded && html`<line class="interval-line" x1=${x} x2=${x} y1=${y(figure.low ?? scale.low)} y2=${y(figure.high ?? scale.high)} />`}
    <circle class="interval-dot" cx=${x} cy=${y(figure.estimate)} r="3.5" />`;
}
