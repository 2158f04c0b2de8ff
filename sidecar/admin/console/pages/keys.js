// Who comes with an API key.

import { DESCRIPTION, ENABLED, formOf, namesOf } from "../rules/forms.js";
import { fieldColumn, kindPage } from "../rules/kind-page.js";

const FIELDS = [
  { name: "tenant", label: "Tenant", type: "text" },
  { name: "tier", label: "Tier", type: "text" },
  { name: "user", label: "User", type: "text" },
  { name: "tags", label: "Tags, one per line", type: "list" },
  ENABLED, DESCRIPTION,
];

export default kindPage({
  kind: "keys", title: "Keys", one: "a key", blank: {},
  about: "Who comes with an API key. A name is the first 16 hex digits of the key's SHA-256, or * for everybody else; the key itself is stored nowhere.",
  hint: "What is empty here may be said by the client's own headers.",
  empty: "No keys: rules go by what clients' headers say.",
  Form: formOf(FIELDS), fields: namesOf(FIELDS),
  columns: () => [
    fieldColumn("tenant", "Tenant"), fieldColumn("tier", "Tier"), fieldColumn("user", "User"),
    fieldColumn("tags", "Tags", (tags) => tags && tags.join(", ")),
    fieldColumn("enabled", "State", (enabled) => (enabled === false ? "off" : "on")),
    fieldColumn("description", "Description"),
  ],
});
