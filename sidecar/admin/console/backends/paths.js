// Reading and changing a value deep in a document by its path ("price.per_input_token").

export const read = (document, path) => path.split(".").reduce((value, key) => value?.[key], document);

/** A copy with the value at `path`; undefined takes the key out, and an object that is empty then. */
export function changed(document, path, value) {
  const [key, ...rest] = path.split(".");
  const next = rest.length ? changed(document?.[key] ?? {}, rest.join("."), value) : value;
  const copy = { ...document, [key]: next };
  const empty = rest.length > 0 && Object.keys(next).length === 0;
  if (next === undefined || empty) delete copy[key];
  return copy;
}
