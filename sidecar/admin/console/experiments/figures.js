// How values and intervals of experiments are written; as `pointsman experiments report` does.

/** "1.21 %", "+2.38 points", "206 ms", "$0.000208"; `signed` for differences. */
export function written(number, unit, signed = false) {
  if (number === null || number === undefined) return "?";
  const sign = signed && number > 0 ? "+" : "";
  if (unit === "share") return `${sign}${plain(100 * number)} ${signed ? "points" : "%"}`;
  if (unit === "US$") return `${number < 0 ? "-" : sign}$${plain(Math.abs(number))}`;
  return `${sign}${plain(number)} ${unit}`.trimEnd();
}

/** Three digits that tell, never in powers of ten. */
export function plain(number) {
  if (Math.abs(number) >= 1000) return Math.round(number).toLocaleString("en-US");
  const digits = number ? 2 - Math.floor(Math.log10(Math.abs(number))) : 0;
  return number.toFixed(Math.min(20, Math.max(0, digits)));
}

export function span(figure, unit, signed = false) {
  if (figure.note) return figure.note;
  if (figure.low === null && figure.high === null) return "not known yet";
  return `${written(figure.low, unit, signed)} to ${written(figure.high, unit, signed)}`;
}

export function chance(probability) {
  if (probability < 0.001) return "< 0.1 %";
  return probability > 0.999 ? "> 99.9 %" : `${(100 * probability).toFixed(1)} %`;
}

const BETTER = { increase: "higher is better", decrease: "lower is better" };

/** What is to be known of a metric besides its name. */
export function metricTitle(metric) {
  const unit = metric.unit === "share" ? "share" : metric.unit;
  return [metric.feedback && "feedback", metric.kind === "quantile" && "quantile", unit, BETTER[metric.direction]]
    .filter(Boolean).join(", ");
}

export function verdictWords(between, control) {
  if (between.verdict === "better") return `better than ${control}`;
  if (between.verdict === "worse") return `worse than ${control}`;
  return "no difference can be told yet";
}
