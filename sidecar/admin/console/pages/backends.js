// Backends: their state and figures in a table, and each one's document in a form.

import { Edit } from "../backends/edit.js";
import { List } from "../backends/list.js";
import { html } from "../dom.js";

export default function Backends({ route, me, live }) {
  if (route.name || route.params.has("new")) return html`<${Edit} key=${route.name} name=${route.name} me=${me} />`;
  return html`<${List} me=${me} live=${live} />`;
}
