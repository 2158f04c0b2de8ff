// Warn before the tab is closed or the page is left with something typed and not saved.
//
//   useUnsaved(JSON.stringify(draft) !== JSON.stringify(original));

import { useEffect } from "../dom.js";

export const LEAVE = "What you typed here is not saved. Leave this page?";
let holding = 0;

/** Whether a form on the page has something that is not saved. */
export const isUnsaved = () => holding > 0;

export function useUnsaved(dirty) {
  useEffect(() => {
    if (!dirty) return undefined;
    const ask = (event) => event.preventDefault();
    holding += 1;
    addEventListener("beforeunload", ask);
    return () => {
      holding -= 1;
      removeEventListener("beforeunload", ask);
    };
  }, [dirty]);
}
