// Where a text stops being JSON: `problemOf('{"a": }')` → { message, line, column } or null.
// Browsers word their errors differently and not all give a place, so it is found here.

export function problemOf(text, mayBeEmpty) {
  if (mayBeEmpty && !text.trim()) return null;
  try {
    JSON.parse(text);
    return null;
  } catch (error) {
    const at = place(text, String(error.message));
    const before = text.slice(0, at).split("\n");
    return {
      message: words(text, at),
      line: before.length,
      column: before.at(-1).length + 1,
    };
  }
}

/** The position that the browser names; without one, the end of the text. */
function place(text, message) {
  const position = message.match(/position (\d+)/);
  if (position) return Math.min(Number(position[1]), text.length);
  const line = message.match(/line (\d+) column (\d+)/);
  if (!line) return found(text, message);
  const before = text.split("\n").slice(0, Number(line[1]) - 1);
  return before.join("\n").length + (before.length ? 1 : 0) + Number(line[2]) - 1;
}

/** Chromium's "Unexpected token 'x', ..."text"... is not valid JSON" shows the place by its text. */
function found(text, message) {
  const shown = message.match(/Unexpected token .*?, (?:\.\.\.)?"([\s\S]*?)"(?:\.\.\.)? is not valid/);
  const token = message.match(/Unexpected token '([\s\S]+?)'/);
  if (!shown || !token) return text.length;
  const start = Math.max(0, text.indexOf(shown[1]));
  return start + Math.max(0, shown[1].indexOf(token[1], Math.min(10, Math.max(0, start))));
}

function words(text, at) {
  if (at >= text.length) return "the text ends too early: a bracket or a quote is not closed";
  const before = text.slice(0, at).trimEnd().at(-1);
  if (before === "," && /[\]}]/.test(text[at])) return "no comma before a closing bracket";
  return `${JSON.stringify(text[at])} is not expected here`;
}
