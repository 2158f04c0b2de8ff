// The types of routers and their own fields, as docs/rules.md describes them: the form is made of
// this table. What a type has beyond it is edited as JSON; the server checks all of it anyway.

const WEIGHTS = { name: "weights", label: "Weights", kind: "json", hint: "One number per target, e.g. [5, 1]" };
const WINDOW = {
  name: "window", label: "Window", kind: "select", choices: ["1m", "15m", "1h", "total"],
  hint: "How far back the samples reach",
};
const EXPLORE = { name: "explore", label: "Explore", kind: "number", hint: "Share of requests for targets without samples, 0 to 1" };
const KEY = { name: "key", label: "Key", kind: "text", hint: "A subject, e.g. user.id: the same value gets the same target" };
const SALT = { name: "salt", label: "Salt", kind: "text", hint: "Another salt is another assignment" };
const MISSING = {
  name: "missing", label: "Without the key", kind: "select", choices: ["random", "first", "fail"],
  hint: "What happens to a request without the key",
};
const TOKENS = { name: "expected_output_tokens", label: "Expected output tokens", kind: "number", hint: "When the request sets no limit" };
const MODEL_CEILING = { name: "max_cost_per_token", label: "Ceiling, US$ per token", kind: "number", hint: "No backend is used that is dearer" };

/** type → what it does, in one sentence, its own fields, and whether it has targets. */
export const ROUTER_TYPES = {
  fallback: { does: "Tries the targets in the order in which they are listed.", fields: [] },
  percentage: {
    does: "Draws one target by weight; the others follow.",
    fields: [
      { name: "targets_percentages", label: "Percentages", kind: "json", hint: "One weight per target, e.g. [80, 20]" },
      { ...KEY, hint: "Optional: makes the choice sticky, e.g. user.id" }, SALT,
    ],
  },
  random: { does: "Every backend is equally likely.", fields: [] },
  latency: { does: "The lowest measured latency first.", fields: [WINDOW, EXPLORE] },
  optimized: {
    does: "The best measured metric first.",
    fields: [
      { name: "metric", label: "Metric", kind: "select", choices: ["latency", "ttft", "tps", "error_rate", "requests"] },
      WINDOW, EXPLORE,
    ],
  },
  cost: {
    does: "The cheapest first.",
    fields: [
      MODEL_CEILING,
      { name: "prefer", label: "Prefer", kind: "select", choices: ["cheapest", "fastest"] },
      TOKENS, WINDOW,
    ],
  },
  score: {
    does: "Ceilings say who may be used, weights who is best.",
    fields: [
      { name: "max_ttft_ms", label: "Highest time to first token, ms", kind: "number" },
      { name: "max_latency_ms", label: "Highest latency, ms", kind: "number" },
      { name: "max_error_rate", label: "Highest error rate, 0 to 1", kind: "number" },
      { name: "max_cost_per_1m", label: "Highest cost, US$ per million tokens", kind: "number" },
      { name: "max_in_flight", label: "Most requests in flight", kind: "number" },
      { name: "weights", label: "Weights", kind: "json", hint: "e.g. {\"latency\": 3, \"cost\": 1}" },
      WINDOW, TOKENS,
      { name: "when_none", label: "When nobody keeps all ceilings", kind: "select", choices: ["best", "none"] },
    ],
  },
  least_busy: { does: "The fewest requests in flight first.", fields: [WEIGHTS] },
  round_robin: { does: "One target after the other, by weight.", fields: [WEIGHTS] },
  sticky: {
    does: "The same value of a field goes to the same target; nothing is stored.",
    fields: [KEY, WEIGHTS, SALT, MISSING],
  },
  session: {
    does: "Pins a session to a target for as long as it goes on.",
    fields: [
      { ...KEY, hint: "The subject with the session, by default session" },
      { name: "scope", label: "Whose session", kind: "select", choices: ["api_key", "tenant", "global"] },
      { name: "ttl_seconds", label: "Remembered for, seconds", kind: "number" },
      { name: "unhealthy_error_rate", label: "Unhealthy from error rate", kind: "number" },
      WEIGHTS, MISSING,
    ],
  },
  nearest: {
    does: "The backends in the request's region first.",
    fields: [
      { ...KEY, hint: "The subject with the region, by default region" },
      { name: "preference", label: "Preference", kind: "json", hint: "e.g. {\"eu\": [\"eu-west\", \"us\"]}" },
    ],
  },
  schedule: {
    does: "Other targets at other times; the targets below hold outside of all periods.",
    fields: [
      { name: "timezone", label: "Time zone", kind: "text", hint: "e.g. Europe/Berlin" },
      { name: "periods", label: "Periods", kind: "json", hint: "[{\"weekdays\": \"mon-fri\", \"hours\": \"09:00-17:00\", \"target\": …}]" },
    ],
  },
  conditional: {
    does: "The first of its routes whose conditions hold decides.",
    fields: [
      { name: "routes", label: "Routes", kind: "json", hint: "[{\"name\", \"conditions\", \"targets\"}]" },
      { name: "pre_request", label: "Checks before", kind: "json", hint: "Rate limiters and guardrails" },
    ],
  },
  script: {
    does: "JavaScript decides; without targets every backend is one.",
    fields: [{ name: "script", label: "Script", kind: "longtext", hint: "const route = ({ body, models }) => …" }],
  },
  bandit: {
    does: "Learns from what requests earn which target is best.",
    fields: [
      { name: "algorithm", label: "Algorithm", kind: "select", choices: ["thompson", "ucb1", "epsilon_greedy"] },
      { name: "reward", label: "Reward", kind: "json", hint: "{\"success\": 1} or \"feedback:thumbs\"" },
      { name: "context", label: "Context", kind: "json", hint: "What learns apart, e.g. \"user.tier\"" },
      { name: "min_samples", label: "Least samples", kind: "number" },
      { name: "floor", label: "Least probability", kind: "number" },
    ],
  },
  experiment: {
    does: "Sends a request to its arm of an experiment.",
    fields: [{ name: "experiment", label: "Experiment", kind: "text" }],
    targets: false,
  },
};

/** Types that may do without targets. */
export const WITHOUT_TARGETS = new Set(["script", "schedule", "conditional", "experiment"]);
