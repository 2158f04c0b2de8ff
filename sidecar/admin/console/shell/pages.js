// The pages of the console, in the order of the navigation; each is loaded when it is shown.

export const PAGES = {
  overview: { title: "Overview", load: () => import("../pages/overview.js") },
  backends: { title: "Backends", load: () => import("../pages/backends.js") },
  routes: { title: "Routes", load: () => import("../pages/routes.js") },
  routers: { title: "Routers", load: () => import("../pages/routers.js") },
  experiments: { title: "Experiments", load: () => import("../pages/experiments.js") },
  decisions: { title: "Decisions", load: () => import("../pages/decisions.js") },
  flags: { title: "Flags", load: () => import("../pages/flags.js") },
  budgets: { title: "Budgets", load: () => import("../pages/budgets.js") },
  keys: { title: "Keys", load: () => import("../pages/keys.js") },
  guards: { title: "Guards", load: () => import("../pages/guards.js") },
  tests: { title: "Tests", load: () => import("../pages/tests.js") },
  tests: { title: "Tests", load: () => import("../pages/tests.js") },
  history: { title: "History", load: () => import("../pages/history.js") },
};
