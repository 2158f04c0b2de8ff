// The components that pages share. One import for all of them:
//
//   import { Table, Field, SaveFlow, usePoll } from "../parts.js";
//
// Each file in parts/ begins with its usage. A page is `pages/<name>.js`:
//
//   export default function Page({ route, me, live }) { … }
//
//   route  { page: "backends", name: "small" | "", params: URLSearchParams }  from #/backends/small?a=b
//   me     { name, role, auth }; ask `may(me, "operator")` before showing what writes
//   live   { stats, ready }: the last answer of /stats and the report of /readyz in it (null at first)
//
// `link("backends", "small", { edit: 1 })` → "#/backends/small?edit=1"; `go(…)` goes there.

export { Banner } from "./parts/banner.js";
export { Chart } from "./parts/chart.js";
export { ConfirmDialog, Dialog } from "./parts/dialog.js";
export { DiffView } from "./parts/diff.js";
export { FaultList, Faults, faultsAt, unplaced } from "./parts/faults.js";
export { Field } from "./parts/field.js";
export * as format from "./parts/format.js";
export { JsonEditor } from "./parts/json-editor.js";
export { merged } from "./parts/merge.js";
export { go, link, may, useLoad, usePoll, useWatched } from "./parts/use.js";
export { useUnsaved } from "./parts/unsaved.js";
export { SaveFlow } from "./parts/save-flow.js";
export { State } from "./parts/state.js";
export { Table } from "./parts/table.js";
export { Toasts, toast } from "./parts/toast.js";
