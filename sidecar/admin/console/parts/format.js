// Numbers and times for people.   import { format } from "../parts.js";  format.ms(1234) → "1.2 s"
// Each gives "–" for null and undefined.

const wrap = (write) => (value, ...more) => (value === null || value === undefined || Number.isNaN(value) ? "–" : write(value, ...more));
const digits = (value, most) => value.toLocaleString("en", { maximumFractionDigits: most });
const short = (value) => digits(value, value >= 100 ? 0 : value >= 10 ? 1 : 2);

/** 1234567 → "1.2 M" */
export const count = wrap((value) => (value >= 1e6 ? `${short(value / 1e6)} M` : value >= 1e4 ? `${short(value / 1e3)} k` : digits(value, value >= 100 ? 0 : 1)));
/** 0.0123 → "1.2 %" */
export const percent = wrap((value) => `${digits(value * 100, value * 100 >= 10 ? 0 : 1)} %`);
/** Milliseconds: 87.4 → "87 ms", 2345 → "2.3 s" */
export const ms = wrap((value) => (value >= 1000 ? `${digits(value / 1000, 1)} s` : `${digits(value, value >= 10 ? 0 : 1)} ms`));
/** { p50, p95 } in milliseconds → "45 / 180 ms": the unit once, where it is the same */
export function pair(times) {
  const [low, high] = [ms(times?.p50), ms(times?.p95)];
  const unit = high.split(" ")[1];
  return `${unit && low.endsWith(` ${unit}`) ? low.slice(0, -unit.length - 1) : low} / ${high}`;
}
/** US dollars: 0.00012 → "$0.00012" */
export const usd = wrap((value) => (value === 0 ? "$0" : `$${value >= 1 ? value.toFixed(2) : Number(value.toPrecision(2))}`));
/** Per second: 12.34 → "12.3/s" */
export const rate = wrap((value) => `${short(value)}/s`);
/** Seconds: 4000 → "1 h 6 min" */
export const duration = wrap((seconds) => {
  if (seconds < 60) return `${Math.round(seconds)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
  return `${Math.floor(seconds / 86400)} d ${Math.floor((seconds % 86400) / 3600)} h`;
});
const date = (value) => new Date(typeof value === "number" ? value * 1000 : value);
/** Unix seconds or ISO text → "14:03:22" today, "2026-02-03 14:03" before */
export const time = wrap((value) => {
  const when = date(value);
  if (when.toDateString() === new Date().toDateString()) return when.toLocaleTimeString("en-GB");
  const two = (number) => String(number).padStart(2, "0");
  return `${when.getFullYear()}-${two(when.getMonth() + 1)}-${two(when.getDate())} ${two(when.getHours())}:${two(when.getMinutes())}`;
});
/** Unix seconds or ISO text → "3 min ago" */
export const ago = wrap((value) => {
  const seconds = Math.max(0, (Date.now() - date(value).getTime()) / 1000);
  return seconds < 5 ? "just now" : `${duration(seconds)} ago`;
});
