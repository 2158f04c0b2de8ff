// What may be done with an experiment in its state, and what will happen then, in words.

const words = (share) => `${Number(share.toFixed(6))} %`;

/** Return [{action, label, tone?, happens}] for a document and its name. */
export function actionsFor(name, document) {
  const state = document.state || "draft";
  if (state === "draft") return [start()];
  if (state === "stopped") return [restart(document)];
  if (state === "paused") return [resumePaused(document), stop()];
  const rollout = document.rollout ? rolloutActions(document) : [];
  return [...rollout, pause(), stop()];
}

function rolloutActions(document) {
  const sides = sidesOf(document);
  if (!sides) return [];
  const automatic = document.rollout.automatic !== false;
  return [promote(document, sides), automatic ? hold() : resumeHeld(), rollBack(sides)].filter(Boolean);
}

/** Return control and candidate as the rollout names them: the first and the last arm if it does not. */
export function sidesOf(document) {
  const arms = document.arms || [];
  const rollout = document.rollout || {};
  const find = (name, otherwise) => (name ? arms.find((arm) => arm.name === name) : otherwise);
  const control = find(rollout.control, arms[0]);
  const candidate = find(rollout.candidate, arms[arms.length - 1]);
  return control && candidate && control !== candidate ? { control, candidate } : null;
}

function start() {
  return {
    action: "start", label: "Start", primary: true,
    happens: "Requests that match are put into arms from now on. Key, salt, group, and the arms' names, order and routers stay as they are from then on.",
  };
}

function promote(document, { control, candidate }) {
  const whole = control.share + candidate.share;
  const next = (document.rollout.steps || []).map((step) => Math.min(step, whole)).find((step) => step > candidate.share);
  if (next === undefined) return null;
  const again = candidate.share ? "" : " The data restarts under a new version.";
  return {
    action: "promote", label: `Promote to ${words(next)}`, primary: true,
    happens: `${candidate.name} goes from ${words(candidate.share)} to ${words(next)}, and ${control.name} gets what that leaves, ${words(whole - next)}, whatever the guards say at the moment.${again}`,
  };
}

function hold() {
  return { action: "hold", label: "Hold", happens: "No step is climbed until somebody resumes it. Guards still roll back." };
}

function resumeHeld() {
  return { action: "resume", label: "Resume", happens: "Steps are climbed again as soon as their guards are safe." };
}

function resumePaused(document) {
  const steps = document.rollout ? " Steps are climbed again, too." : "";
  return {
    action: "resume", label: "Resume", primary: true,
    happens: `Requests are put into arms again: everybody is where they were, and the data goes on.${steps}`,
  };
}

function restart(document) {
  const version = (document.version || 1) + 1;
  return { action: "resume", label: "Run again", happens: `It begins anew under version ${version}: what was learned before counts no more.` };
}

function rollBack({ control, candidate }) {
  const gets = `${candidate.name} gets nothing any more; its ${words(candidate.share)} go to ${control.name}`;
  return {
    action: "rollback", label: "Roll back", danger: true,
    happens: `${gets}. Nobody else moves. The experiment stays running, and nothing begins again by itself.`,
  };
}

function pause() {
  return {
    action: "pause", label: "Pause",
    happens: "Nobody is put into an arm; requests go on to the next route. It keeps its keys and its data.",
  };
}

function stop() {
  return {
    action: "stop", label: "Stop", danger: true,
    happens: "It is over: requests go on to the next route, and it does not run again under the same version.",
  };
}
