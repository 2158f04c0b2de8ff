// What somebody types into a document: as fields and as JSON, kept until it is saved or dropped.

import { useMemo, useState } from "../dom.js";
import { merged } from "../parts/merge.js";

export const written = (document) => JSON.stringify(document, null, 2);

/** `first`: the document as it was loaded; `known`: its name, "" for a new one. */
export function useDraft({ kind, known, first, firstEtag, hasForm }) {
  const [saved, setSaved] = useState({ original: first, etag: firstEtag });
  const [draft, setDraft] = useState(first);
  const [name, setName] = useState(known);
  const [view, setView] = useState(hasForm ? "form" : "json");
  const [text, setText] = useState(() => written(first));
  const [invalid, setInvalid] = useState([]);
  const [faults, setFaults] = useState([]);
  const base = `${kind}.${name}`;
  const change = (next) => {
    setDraft(next);
    setText(written(next));
  };
  const type = (next, problem) => {
    setText(next);
    setInvalid(problem ? ["(json)"] : []);
    if (!problem) setDraft(JSON.parse(next));
  };
  const onInvalid = (field, bad) =>
    setInvalid((all) => [...all.filter((one) => one !== field), ...(bad ? [field] : [])]);
  /** Somebody else was quicker: go on from theirs, with or without what was typed here. */
  const onTheirs = (theirs, etag, keepMine) => {
    change(keepMine ? merged(saved.original, draft, theirs) : theirs ?? first);
    setSaved({ original: theirs, etag });
  };
  return {
    ...saved, draft, name, setName, view, setView, text, type, change, faults, setFaults, onInvalid, onTheirs,
    isInvalid: invalid.length > 0,
    dirty: (view === "json" ? text : written(draft)) !== written(saved.original),
    faultsAt: useMemo(() => ({ base, faults }), [base, faults]),
    set: (field, value) => change(withField(draft, field, value)),
  };
}

function withField(document, field, value) {
  if (value !== undefined) return { ...document, [field]: value };
  const { [field]: before, ...rest } = document;
  return rest;
}
