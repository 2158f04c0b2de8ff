// The HTTP API as the pages use it, and what is known of the connection to it.
//
//   const { body, etag } = await api.get(documentPath("backends", "small"));
//   await api.put(documentPath("backends", "small"), document, { etag });        // If-Match
//   await api.put(documentPath("backends", "new"), document, { create: true });  // If-None-Match: *
//   await api.remove(documentPath("backends", "small"), { etag });
//   await api.post("config/rollback", { version: 7 });
//   await api.get("decisions", { query: { limit: 50, route: "default" } });
//
// Everything answers `{ body, etag, status }` or throws an ApiError:
//   status      HTTP status; 0 when control did not answer
//   message     one sentence for people (problem+json's detail)
//   faults      [{ path, message }], path as in "backends.small.endpoints[0]"
//   current     412: the document as it is now; `difference` what differs
//   gone        "control", "store" or null: what does not answer
//
// `connection` says what is up; `token` keeps the token of this tab. Both can be subscribed to.

const ROOT = "api/v1/";
const TOKEN = "pointsman.token";
const TIMEOUT_MS = 15000;

/** A value that can be watched: `get()`, `set(value)`, `subscribe(listener)` → unsubscribe. */
export function watched(value) {
  const listeners = new Set();
  return {
    get: () => value,
    set(next) {
      if (JSON.stringify(next) === JSON.stringify(value)) return;
      value = next;
      listeners.forEach((listener) => listener(next));
    },
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}

/** What answers: `{ control: bool, store: bool, wantsToken: bool }`. */
export const connection = watched({ control: true, store: true, wantsToken: false });

/** The token of this tab: in sessionStorage, so that it ends with the tab; never in a cookie. */
export const token = {
  get: () => sessionStorage.getItem(TOKEN) ?? "",
  set: (text) => (text ? sessionStorage.setItem(TOKEN, text) : sessionStorage.removeItem(TOKEN)),
};

export class ApiError extends Error {
  constructor(status, problem = {}) {
    super(problem.detail || problem.title || `The API answered ${status}.`);
    this.status = status;
    this.title = problem.title ?? "";
    this.faults = problem.faults ?? [];
    this.current = problem.current;
    this.difference = problem.difference ?? [];
    this.etag = problem.etag ?? null;
    this.gone = status === 0 ? "control" : status === 503 ? "store" : null;
  }
}

/** The path of a document; names may hold / : @ and dots. */
export const documentPath = (kind, name) => `${kind}/${encodeURIComponent(name)}`;

export const api = {
  get: (path, { query, signal } = {}) => request("GET", path, { query, signal }),
  post: (path, body, { query, etag } = {}) => request("POST", path, { body, query, etag }),
  put: (path, body, { etag, create, ...more } = {}) => request("PUT", path, { body, etag, create, query: switches(more) }),
  remove: (path, { etag, ...more } = {}) => request("DELETE", path, { etag, query: switches(more) }),
};

const switches = ({ force, dryRun, skipTests }) => ({ force, dry_run: dryRun, skip_tests: skipTests });

async function request(method, path, { body, query, etag, create, signal } = {}) {
  const answer = await send(address(path, query), {
    method,
    headers: headers(body, etag, create),
    body: body === undefined ? undefined : JSON.stringify(body),
    signal: signal ?? AbortSignal.timeout(TIMEOUT_MS),
    cache: "no-store",
    credentials: "omit",
  });
  const read = await content(answer);
  if (!answer.ok) throw refused(answer, read);
  connection.set({ ...connection.get(), control: true, wantsToken: false });
  return { body: read, etag: answer.headers.get("etag"), status: answer.status };
}

async function send(url, options) {
  try {
    return await fetch(url, options);
  } catch (error) {
    if (error.name === "AbortError") throw error; // the page was left: nobody waits
    connection.set({ ...connection.get(), control: false });
    throw new ApiError(0, { detail: "Pointsman's control process does not answer." });
  }
}

function refused(answer, problem) {
  const etag = answer.headers.get("etag");
  const error = new ApiError(answer.status, { etag, ...(problem ?? {}) });
  const now = { ...connection.get(), control: true };
  if (answer.status === 401 || answer.status === 429) now.wantsToken = true; // 429: too many of them
  if (error.gone === "store") now.store = false;
  connection.set(now);
  return error;
}

async function content(answer) {
  const type = answer.headers.get("content-type") ?? "";
  if (!type.includes("json")) return null;
  return answer.json().catch(() => null);
}

function headers(body, etag, create) {
  const all = { accept: "application/json" };
  if (body !== undefined) all["content-type"] = "application/json";
  if (etag) all["if-match"] = etag;
  if (create) all["if-none-match"] = "*";
  if (token.get()) all.authorization = `Bearer ${token.get()}`;
  return all;
}

function address(path, query = {}) {
  const given = Object.entries(query).filter(([, value]) => value !== undefined && value !== "");
  const text = new URLSearchParams(given).toString();
  return ROOT + path + (text && `?${text}`);
}
