// Hooks and small functions around loading, links and roles.
//
//   const { data, error, reload } = useLoad(() => api.get("routes").then((a) => a.body), [name]);
//   const { data, error, reload } = usePoll(() => api.get("stats").then((a) => a.body), 2, []);
//       every 2 s; pauses while the tab is hidden or a token is asked for; keeps the last data when an answer fails
//   const { store } = useWatched(connection);
//   may(me, "operator"); link("routes", name); go("routes", name);

import { connection } from "../api.js";
import { useCallback, useEffect, useRef, useState } from "../dom.js";

const ROLES = ["viewer", "operator", "admin"];

/** Whether `me` has at least this role. */
export const may = (me, role) => ROLES.indexOf(me?.role) >= ROLES.indexOf(role);

/** The address of a page: `link("backends", "a/b", { edit: 1 })` → "#/backends/a%2Fb?edit=1". */
export function link(page, name = "", params = {}) {
  const query = new URLSearchParams(params).toString();
  return `#/${page}${name && `/${encodeURIComponent(name)}`}${query && `?${query}`}`;
}

export const go = (...place) => void (location.hash = link(...place));

/** The current value of something `watched` in api.js; draws again when it changes. */
export function useWatched(source) {
  const [value, setValue] = useState(source.get());
  useEffect(() => {
    setValue(source.get());
    return source.subscribe(setValue);
  }, [source]);
  return value;
}

/** Load once, and again when `inputs` change or `reload()` is called. */
export function useLoad(load, inputs = []) {
  const [state, setState] = useState({ data: null, error: null });
  const [turn, setTurn] = useState(0);
  useEffect(() => {
    let wanted = true;
    const keep = (next) => wanted && setState((last) => ({ ...last, ...next }));
    load().then((data) => keep({ data, error: null }), (error) => keep({ error }));
    return () => void (wanted = false);
  }, [turn, ...inputs]);
  const reload = useCallback(() => setTurn((last) => last + 1), []);
  return { ...state, reload };
}

/** `useLoad`, again and again every `seconds` while somebody can see it and may. */
export function usePoll(load, seconds, inputs = []) {
  const { reload, ...state } = useLoad(load, inputs);
  const { wantsToken } = useWatched(connection);
  const refused = useRef(false);
  useEffect(() => {
    if (refused.current && !wantsToken) reload();
    refused.current = wantsToken;
    if (wantsToken) return undefined; // asking without a token only fills the log of failures
    const visible = () => document.visibilityState === "visible";
    const timer = setInterval(() => visible() && reload(), seconds * 1000);
    const back = () => visible() && reload();
    document.addEventListener("visibilitychange", back);
    return () => {
      clearInterval(timer);
      document.removeEventListener("visibilitychange", back);
    };
  }, [seconds, wantsToken, ...inputs]);
  return { ...state, reload };
}
