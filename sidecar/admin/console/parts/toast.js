// Short news in the corner, read out by screen readers. <Toasts/> is in the shell already.
//
//   toast("Saved as version 12");
//   toast("Not saved", "bad");

import { html, useEffect, useState } from "../dom.js";

const SHOWN_MS = 6000;
let show = () => {};
let last = 0;

export function toast(text, tone = "good") {
  show({ id: ++last, text, tone });
}

export function Toasts() {
  const [shown, setShown] = useState([]);
  useEffect(() => {
    show = (one) => {
      setShown((all) => [...all.slice(-3), one]);
      setTimeout(() => setShown((all) => all.filter(({ id }) => id !== one.id)), SHOWN_MS);
    };
  }, []);
  return html`<div class="toasts" role="status" aria-live="polite">
    ${shown.map(({ id, text, tone }) => html`<p key=${id} class=${`toast ${tone}`}>${text}</p>`)}
  </div>`;
}
