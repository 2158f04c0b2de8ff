// Ask for a token above whatever is on the page, so that nothing typed there is lost.

import { api, token } from "../api.js";
import { html, useState } from "../dom.js";
import { Dialog } from "../parts/dialog.js";

export function Login({ onDone }) {
  const [text, setText] = useState("");
  const [problem, setProblem] = useState("");
  const enter = async (event) => {
    event.preventDefault();
    token.set(text.trim());
    try {
      await api.get("me");
      onDone();
    } catch (error) {
      token.set("");
      setProblem(error.status === 401 ? "This token is not known." : error.message);
    }
  };
  return html`<${Dialog} title="Sign in" stays>
    <form onSubmit=${enter}>
      <p>Paste an API token. Whoever runs Pointsman makes one with <code>pointsman token new</code>.</p>
      <div class=${`field ${problem ? "wrong" : ""}`}>
        <label for="token">Token</label>
        <input id="token" type="password" autocomplete="off" autofocus value=${text} aria-describedby="token-help token-fault"
          aria-invalid=${problem ? "true" : undefined} onInput=${(event) => setText(event.target.value)} />
        <p class="help" id="token-help">Kept in this tab only; closing the tab forgets it.</p>
        <p class="fault" id="token-fault" role="alert">${problem}</p>
      </div>
      <div class="actions"><button class="primary" disabled=${!text.trim()}>Sign in</button></div>
    </form>
  </${Dialog}>`;
}

/** Forget the token, and everything that the page knows by it. */
export function leave() {
  token.set("");
  location.reload();
}
