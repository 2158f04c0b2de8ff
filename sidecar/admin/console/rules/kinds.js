// What the kinds of documents have in common, and where they differ.

const ADMINS = new Set(["keys", "guards"]);
const SWITCHED = new Set(["backends", "routes", "flags"]);

/** The role that writes documents of a kind. */
export const roleNeeded = (kind) => (ADMINS.has(kind) ? "admin" : "operator");

/** Whether documents of a kind can be enabled and disabled at once. */
export const isSwitched = (kind) => SWITCHED.has(kind);

export const isEnabled = (document) => document.enabled !== false;
