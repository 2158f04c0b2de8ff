// The shell: navigation, banners, login, and the page that the address names.

import { api, connection } from "./api.js";
import { html, render, useEffect, useErrorBoundary, useState } from "./dom.js";
import { Banner, Toasts, link, usePoll, useWatched } from "./parts.js";
import { isUnsaved, LEAVE } from "./parts/unsaved.js";
import { Help } from "./shell/help.js";
import { Login, leave } from "./shell/login.js";
import { Notices } from "./shell/notices.js";
import { PAGES } from "./shell/pages.js";

function Console() {
  const route = useRoute();
  const { control, wantsToken } = useWatched(connection);
  const { data: me, reload: askWho } = usePoll(() => api.get("me").then(({ body }) => body), 30, [control]);
  const live = useLive();
  return html`<a class="skip" href="#main" onClick=${toMain}>Skip to the page</a>
    <${Head} route=${route} me=${me} />
    <${Notices} live=${live} />
    <main id="main" tabindex="-1" data-page=${route.page}>
      ${me && html`<${Page} key=${route.page} route=${route} me=${me} live=${live} />`}
    </main>
    ${wantsToken && html`<${Login} onDone=${askWho} />`}
    <${Toasts} />`;
}

function Head({ route, me }) {
  const [open, setOpen] = useState(false);
  const [help, setHelp] = useState(false);
  useEffect(() => setOpen(false), [route.page]);
  return html`<header class="top">
    <a class="brand" href=${link("overview")}>Pointsman</a>
    <button type="button" class="menu" aria-expanded=${String(open)} aria-controls="pages" onClick=${() => setOpen(!open)}>Menu</button>
    <nav id="pages" class=${open ? "open" : ""} aria-label="Pages">
      ${Object.entries(PAGES).map(([name, { title }]) => html`<a key=${name} href=${link(name)} aria-current=${name === route.page ? "page" : undefined}>${title}</a>`)}
    </nav>
    <div class="who">
      ${me && html`<span title="Your name and role">${me.name} · ${me.role}</span>`}
      ${me?.auth === "token" && html`<button type="button" class="quiet" onClick=${leave}>Sign out</button>`}
      <button type="button" class="quiet" onClick=${() => setHelp(true)}>Help</button>
    </div>
    ${help && html`<${Help} onClose=${() => setHelp(false)} />`}
  </header>`;
}

function Page({ route, me, live }) {
  const [shown, setShown] = useState(null);
  const [error, reset] = useErrorBoundary();
  const known = PAGES[route.page];
  useEffect(() => {
    document.title = `${known?.title ?? "Not found"} · Pointsman`;
    known?.load().then((module) => setShown(() => module.default), () => setShown(() => Missing));
  }, []);
  if (!known) return html`<h1>No such page</h1><p><a href=${link("overview")}>To the overview</a></p>`;
  if (error) return html`<${Broken} error=${error} reset=${reset} />`;
  return shown ? html`<${shown} route=${route} me=${me} live=${live} />` : html`<p class="loading">Loading…</p>`;
}

function Missing() {
  return html`<h1>This page did not load</h1><p>Control may be restarting. Try again in a moment.</p>`;
}

function Broken({ error, reset }) {
  console.error(error);
  return html`<${Banner} tone="bad" title="This page has a defect">${String(error.message)}
    <button type="button" onClick=${reset}>Show it again</button></${Banner}>`;
}

/** What all pages show parts of, asked for once: /stats, with the report of /readyz in it. */
function useLive() {
  const { data: stats } = usePoll(() => api.get("stats").then(({ body }) => body), 2);
  useEffect(() => {
    if (stats) connection.set({ ...connection.get(), store: stats.store_up !== false });
  }, [stats]);
  return { stats, ready: stats?.readyz ?? null };
}

function useRoute() {
  const [route, setRoute] = useState(parse(location.hash));
  useEffect(() => {
    let last = location.hash;
    const change = () => {
      if (isUnsaved() && !confirm(LEAVE)) return void history.replaceState(null, "", last || "#");
      last = location.hash;
      setRoute(parse(last));
    };
    addEventListener("hashchange", change);
    return () => removeEventListener("hashchange", change);
  }, []);
  return route;
}

function parse(hash) {
  const [path, query = ""] = hash.replace(/^#\/?/, "").split("?");
  const [page, name = ""] = path.split("/");
  return { page: page || "overview", name: decodeURIComponent(name), params: new URLSearchParams(query) };
}

function toMain(event) {
  event.preventDefault();
  document.getElementById("main").focus();
}

const root = document.getElementById("console");
root.replaceChildren();
render(html`<${Console} />`, root);
