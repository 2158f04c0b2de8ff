// The lines that were added and removed between two lists of lines (longest common subsequence).

const MOST_CELLS = 4_000_000;

/** A document as lines; keys are sorted, so that their order is no difference. */
export function linesOf(document) {
  if (document === null || document === undefined) return [];
  return JSON.stringify(sorted(document), null, 2).split("\n");
}

function sorted(value) {
  if (Array.isArray(value)) return value.map(sorted);
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.keys(value).sort().map((key) => [key, sorted(value[key])]));
}

/** → [{ sign: " " | "-" | "+", text }] */
export function diffLines(before, after) {
  let start = 0;
  while (start < before.length && start < after.length && before[start] === after[start]) start += 1;
  let end = 0;
  while (end < before.length - start && end < after.length - start && before.at(-1 - end) === after.at(-1 - end)) end += 1;
  const same = (lines) => lines.map((text) => ({ sign: " ", text }));
  const middle = between(before.slice(start, before.length - end), after.slice(start, after.length - end));
  return [...same(before.slice(0, start)), ...middle, ...same(before.slice(before.length - end))];
}

function between(before, after) {
  if (before.length * after.length > MOST_CELLS) return [...signed("-", before), ...signed("+", after)];
  const lengths = table(before, after);
  const found = [];
  let [i, j] = [0, 0];
  while (i < before.length || j < after.length) {
    if (i < before.length && j < after.length && before[i] === after[j]) {
      found.push({ sign: " ", text: before[i] });
      i += 1;
      j += 1;
    } else if (j >= after.length || (i < before.length && lengths[i + 1][j] >= lengths[i][j + 1])) {
      found.push({ sign: "-", text: before[i++] });
    } else {
      found.push({ sign: "+", text: after[j++] });
    }
  }
  return found;
}

const signed = (sign, lines) => lines.map((text) => ({ sign, text }));

function table(before, after) {
  const lengths = Array.from({ length: before.length + 1 }, () => new Uint32Array(after.length + 1));
  for (let i = before.length - 1; i >= 0; i -= 1) {
    for (let j = after.length - 1; j >= 0; j -= 1) {
      lengths[i][j] = before[i] === after[j] ? lengths[i + 1][j + 1] + 1 : Math.max(lengths[i + 1][j], lengths[i][j + 1]);
    }
  }
  return lengths;
}
