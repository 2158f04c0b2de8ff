// The fields of a backend's document, with the help that operators need.

const perMillion = (help) => (value) =>
  typeof value === "number" ? `${help} This is $${Number((value * 1e6).toPrecision(6))} per million tokens.` : help;

export const SECTIONS = [
  {
    title: "Model",
    fields: [
      { path: "model", label: "Model", placeholder: "the backend's name", help: "What the upstream calls it; put into each request." },
      { path: "provider", label: "Provider", placeholder: "default", help: "Targets may say provider/model or provider/*." },
      { path: "type", label: "Type", type: "select", options: ["openai", "ollama", "vllm", "mlx", "auto"], shown: "openai", help: "Which API the upstream speaks." },
      { path: "description", label: "Description", help: "For people; shown to services in the public list." },
      { path: "enabled", label: "Enabled", type: "checkbox", shown: true, help: "A disabled backend gets no request, whatever routes say." },
      { path: "priority", label: "Priority", type: "number", placeholder: "100", help: "Lower is preferred in the default chain." },
    ],
  },
  {
    title: "Limits and health",
    fields: [
      { path: "timeout_seconds", label: "Time limit (seconds)", type: "number", placeholder: "60", help: "Of one attempt. 0.001 to 3600." },
      { path: "limits.max_context_size", label: "Context size (tokens)", type: "number", help: "Longer requests go elsewhere. Empty: not declared." },
      { path: "capabilities", label: "Capabilities", type: "list", placeholder: "tools\nvision", help: "One per line. Requests that need what is not listed go elsewhere. Empty: not declared." },
      { path: "region", label: "Region", placeholder: "eu-west", help: "For routes by region and the strategy “nearest”." },
      { path: "health.path", label: "Health check path", placeholder: "/health", help: "Envoy asks it; a backend that fails gets no traffic. Empty: no check." },
      { path: "health.interval_seconds", label: "Health check interval (seconds)", type: "number", placeholder: "10", help: "Only with a path." },
    ],
  },
  {
    title: "Price in US dollars per token",
    fields: [
      { path: "price.per_input_token", label: "Input token", type: "number", placeholder: "0", note: perMillion("Of the prompt.") },
      { path: "price.per_output_token", label: "Output token", type: "number", placeholder: "0", note: perMillion("Of the answer.") },
      { path: "price.per_cached_input_token", label: "Cached input token", type: "number", placeholder: "as input", note: perMillion("Of the part of a prompt that the upstream had cached.") },
      { path: "price.periods", label: "Price periods", type: "json", help: "A list of calendars with other prices, such as cheaper nights. Empty: none." },
    ],
  },
  {
    title: "Credential",
    fields: [
      { path: "credential", label: "Credential", placeholder: "env:OPENAI_KEY or file:/run/secrets/key", help: "A reference, never the key itself: the key is read from the environment or a file beside Envoy." },
      { path: "credential_header", label: "Header", placeholder: "authorization", help: "The header that carries it." },
    ],
  },
  {
    title: "More",
    fields: [
      { path: "defaults", label: "Default parameters", type: "json", help: 'For requests that do not say otherwise, such as {"temperature": 0.2}.' },
      { path: "tags", label: "Tags", type: "pairs", placeholder: "team = search", help: "One key = value per line." },
    ],
  },
];
