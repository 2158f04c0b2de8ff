// Services that say yes or no about a request.

import { DESCRIPTION, formOf, namesOf } from "../rules/forms.js";
import { fieldColumn, kindPage } from "../rules/kind-page.js";

const FIELDS = [
  { name: "url", label: "URL", type: "text", required: true, help: "http or https", whole: true },
  { name: "timeout_ms", label: "Time limit (ms)", type: "number", placeholder: "200", help: "1 to 5000: the request waits for the answer" },
  {
    name: "on_error", label: "Without an answer in time", type: "select",
    options: [{ value: "", label: "no condition on it holds (fail)" }, { value: "pass", label: "it counts as passed (pass)" }],
  },
  { name: "credential", label: "Credential", type: "text", placeholder: "env:GUARD_KEY", help: "env:NAME or file:/path, never the secret itself" },
  { name: "credential_header", label: "Header of the credential", type: "text", placeholder: "authorization" },
  DESCRIPTION,
];

export default kindPage({
  kind: "guards", title: "Guards", one: "a guard", blank: { url: "" },
  about: "HTTP services of yours that conditional routers ask about a request, such as a toxicity filter.",
  empty: "No guards.",
  Form: formOf(FIELDS), fields: namesOf(FIELDS),
  columns: () => [
    fieldColumn("url", "URL"), fieldColumn("timeout_ms", "Time limit", (ms) => `${ms ?? 200} ms`),
    fieldColumn("on_error", "Without an answer", (what) => what ?? "fail"), fieldColumn("description", "Description"),
  ],
});
