// Three-way merge of JSON documents: my changes on top of theirs.
//
//   merged(original, mine, theirs)    where both changed the same value, mine wins

const isObject = (value) => value !== null && typeof value === "object" && !Array.isArray(value);
const same = (a, b) => JSON.stringify(sorted(a)) === JSON.stringify(sorted(b));

function sorted(value) {
  if (Array.isArray(value)) return value.map(sorted);
  if (!isObject(value)) return value;
  return Object.fromEntries(Object.keys(value).sort().map((key) => [key, sorted(value[key])]));
}

export function merged(original, mine, theirs) {
  if (same(mine, original)) return theirs;
  if (!isObject(mine) || !isObject(theirs) || !isObject(original)) return mine;
  const keys = [...new Set([...Object.keys(theirs), ...Object.keys(mine)])];
  const pairs = keys.map((key) => [key, merged(original[key], mine[key], theirs[key])]);
  return Object.fromEntries(pairs.filter(([, value]) => value !== undefined));
}
