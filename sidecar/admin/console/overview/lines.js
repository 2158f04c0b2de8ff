// From the counts of /stats/series to what a chart draws.

const MOST_LINES = 8;
const sum = (values) => values.reduce((total, value) => total + (value ?? 0), 0);

/** The names of the backends with the most requests, in the order of names. */
export function busiest(backends) {
  return Object.entries(backends)
    .map(([name, one]) => [name, sum(one.requests)])
    .sort((a, b) => b[1] - a[1])
    .slice(0, MOST_LINES)
    .map(([name]) => name)
    .sort();
}

export const scaled = (values, factor) =>
  values.map((value) => (value === null ? null : value * factor));

/** Share of `parts` in `wholes`; a gap where there was nothing. */
export const ratio = (parts, wholes) =>
  parts.map((part, place) => (wholes[place] ? part / wholes[place] : null));
