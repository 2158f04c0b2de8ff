// What every file of the console draws with: Preact, its hooks, and htm bound to it.
//
//   import { html, useState } from "../dom.js";
//   html`<button onClick=${() => setCount(count + 1)}>${count}</button>`
//
// Values in the template become text or attributes, never markup: safe with data from anywhere.
// Always give a list's elements a `key`. `class`, not `className`.

import htm from "./vendor/htm.mjs";
import { h } from "./vendor/preact.mjs";

export { Component, Fragment, createContext, render } from "./vendor/preact.mjs";
export {
  useCallback, useContext, useEffect, useErrorBoundary, useId, useLayoutEffect, useMemo, useReducer,
  useRef, useState,
} from "./vendor/hooks.mjs";
export const html = htm.bind(h);
