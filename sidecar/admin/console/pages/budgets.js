// How much may be used in a period.

import { DESCRIPTION, MATCH, formOf, namesOf } from "../rules/forms.js";
import { fieldColumn, kindPage } from "../rules/kind-page.js";

const FIELDS = [
  { name: "limit", label: "Limit", type: "number", required: true },
  { name: "unit", label: "Unit", type: "select", options: ["", "tokens", "requests", "usd"] },
  { name: "per", label: "Per", type: "select", options: ["", "minute", "hour", "day", "month"] },
  { name: "scope", label: "Scope", type: "text", placeholder: "global", help: "global, or the subject whose values have a limit each: user.tenant" },
  { name: "then", label: "When it is used up", type: "json", help: '"reject", "warn", or {"router": …}' },
  { name: "on_store_down", label: "While the store is down", type: "select", options: ["", "allow", "reject"] },
  { name: "timezone", label: "Time zone", type: "text", placeholder: "UTC" },
  MATCH, DESCRIPTION,
];

export default kindPage({
  kind: "budgets", title: "Budgets", one: "a budget", blank: { limit: 100000, unit: "tokens", per: "day", scope: "user.tenant" },
  about: "How much may be used in a period, and what happens to requests then.",
  empty: "No budgets.",
  Form: formOf(FIELDS), fields: namesOf(FIELDS),
  columns: () => [
    fieldColumn("limit", "Limit", (limit, one) => (limit === undefined ? "–" : `${limit.toLocaleString("en")} ${one.unit ?? ""}`)),
    fieldColumn("per", "Per"), fieldColumn("scope", "Scope"),
    fieldColumn("then", "When used up", (then) => then && (typeof then === "string" ? then : JSON.stringify(then))),
    fieldColumn("description", "Description"),
  ],
});
