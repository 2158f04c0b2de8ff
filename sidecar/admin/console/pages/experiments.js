// Experiments: all of them, and one with what it has shown and what can be done with it.

import { html, useState } from "../dom.js";
import { api, documentPath } from "../api.js";
import { ConfirmDialog, State, Table, link, may, toast, useLoad, usePoll } from "../parts.js";
import { actionsFor } from "../experiments/actions.js";
import { OverTime, Steps, remember } from "../experiments/history.js";
import { Report, SplitWarning } from "../experiments/report.js";
import { Editor } from "../rules/editor.js";
import { Crumb, ListHead, fieldColumn, nameColumn } from "../rules/kind-page.js";

const ABOUT = {
  kind: "experiments", title: "Experiments", one: "an experiment",
  about: "Who is split between which arms, what came of it, and how far a rollout is.",
};
const BLANK = {
  arms: [{ name: "control", router: "small", share: 95 }, { name: "candidate", router: "large", share: 5 }],
  key: "user.id", state: "draft",
  rollout: { steps: [5, 20, 50, 99], guards: [{ metric: "error_rate", max_increase: 0.01 }], min_exposures: 500 },
};
const TONES = { running: "good", paused: "warn", stopped: "off", draft: "off" };
const HISTORY = 200;

export default function Page({ route, me }) {
  const edits = route.params.get("edit") !== null;
  if (route.params.get("new") !== null) {
    return html`<${Crumb} about=${ABOUT} /><${Editor} key="new" kind="experiments" name="" blank=${BLANK} me=${me} hint=${HINT} />`;
  }
  if (!route.name) return html`<${All} me=${me} />`;
  if (!edits) return html`<${One} key=${route.name} name=${route.name} me=${me} />`;
  return html`<${Crumb} about=${ABOUT} name=${route.name} />
    <p><a href=${link("experiments", route.name)}>What it has shown</a></p>
    <${Editor} key=${route.name} kind="experiments" name=${route.name} me=${me} hint=${HINT} />`;
}

const HINT = "The first arm is the control. Once it has begun, key, salt, group, and the arms' names, order and routers stay as they are until version is raised.";

function All({ me }) {
  const { data, error } = useLoad(() => api.get("experiments").then(({ body }) => body));
  return html`<${ListHead} about=${ABOUT} me=${me} />
    ${error && html`<p class="fault" role="alert">${error.message}</p>`}
    ${data && html`<${Table} caption="Experiments" rows=${data.items} rowKey=${(row) => row.name} empty="No experiments yet." columns=${[
      nameColumn("experiments"),
      { ...fieldColumn("state", "State"), cell: (row) => html`<${StateOf} document=${row.document} />` },
      { ...fieldColumn("arms", "Arms", (arms) => arms.map((arm) => `${arm.name} ${arm.share} %`).join(", ")), fixed: true },
      fieldColumn("description", "Description"),
    ]} />`}`;
}

function StateOf({ document }) {
  const state = document.state || "draft";
  const held = state === "running" && document.rollout && document.rollout.automatic === false;
  return html`<${State} tone=${TONES[state]}>${held ? "running, held" : state}</${State}>`;
}

/** The document and what history tells change with versions, the report with every request. */
function One({ name, me }) {
  const { data: known, error, reload } = usePoll(() => api.get(documentPath("experiments", name)), 3, [name]);
  const { data: report, error: unread, reload: again } = usePoll(
    () => api.get(`${documentPath("experiments", name)}/report`).then(({ body }) => ({ report: body, points: remember(body) })), 3, [name]);
  const { data: versions, reload: history } = usePoll(
    () => api.get("config/versions", { query: { count: HISTORY } }).then(({ body }) => body.versions), 10, [name]);
  const refresh = () => [reload, again, history].forEach((one) => one());
  if (!known) return html`<${Crumb} about=${ABOUT} name=${name} />
    ${error ? html`<p class="fault" role="alert">${error.message}</p>` : html`<p class="loading">Loading…</p>`}`;
  const shown = report?.report;
  return html`<${Crumb} about=${ABOUT} name=${name} />
    ${shown && html`<${SplitWarning} report=${shown} />`}
    <p><${StateOf} document=${known.body} /> ${" "}version ${known.body.version || 1}, split by ${known.body.key || "user.id"}
      ${known.body.description && html`<br />${known.body.description}`}</p>
    <${Actions} name=${name} known=${known} me=${me} onDone=${refresh} />
    ${unread && html`<p class="fault" role="alert">${unread.message}</p>`}
    ${shown && html`<${Report} report=${shown} />
      <${OverTime} report=${shown} versions=${versions || []} points=${report.points} />`}
    <${Steps} versions=${versions || []} name=${name} />`;
}

function Actions({ name, known, me, onDone }) {
  const [asked, ask] = useState(null);
  if (!may(me, "operator")) return html`<p class="help">Your role may look at this, and not change it.</p>`;
  const run = async () => {
    const { body } = await api.post(`${documentPath("experiments", name)}/${asked.action}`, undefined, { etag: known.etag });
    toast(`${name}: ${asked.label.toLowerCase()}, version ${body.version}`);
    onDone();
  };
  return html`<div class="actions experiment-actions">
    ${actionsFor(name, known.body).map((one) => html`<button type="button" key=${one.action} onClick=${() => ask(one)}
      class=${one.danger ? "danger" : one.primary ? "primary" : ""}>${one.label}…</button>`)}
    <a class="button" href=${link("experiments", name, { edit: 1 })}>Edit the document</a>
    ${asked && html`<${ConfirmDialog} title=${`${asked.label}: ${name}`} confirm=${asked.label} danger=${asked.danger} onConfirm=${run} onClose=${() => ask(null)}>
      <p>${asked.happens}</p></${ConfirmDialog}>`}
  </div>`;
}
