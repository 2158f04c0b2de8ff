"""Backends and the models behind them, over minutes or days."""

from grafana_foundation_sdk.builders.dashboard import Dashboard, Row

from deploy.grafana.generate.panels import Panel, Query, lines, new, states, variable

RATE = "[$__rate_interval]"
MODEL = 'gen_ai_request_model=~"$model"'
BY_MODEL = "sum by (gen_ai_request_model)"
NAME = "{{gen_ai_request_model}}"
BACKEND = 'backend=~"$backend"'
ATTEMPTS = f"rate(pointsman_attempts_total{{{BACKEND}}}{RATE})"
BROKEN = f'rate(pointsman_attempts_total{{{BACKEND}, code!~"2..|client_gone"}}{RATE})'
COST = f"pointsman_cost_usd_total{{{BACKEND}}}"


def dashboard() -> Dashboard:
    """Return the dashboard."""
    made = new(
        "models",
        "Pointsman: per model",
        "Load, errors, speed and cost, by backend, and in finer steps by the model that backends "
        "ask for, which several may share.",
        variable(
            "backend",
            "Backend",
            "label_values(pointsman_attempts_total, backend)",
            "For the first three rows.",
        ),
        variable(
            "model",
            "Model",
            "label_values(gen_ai_server_request_duration_seconds_count, gen_ai_request_model)",
            "For the others.",
        ),
    )
    for title, panels in (
        ("By backend: attempts and errors", _attempts()),
        ("By backend: times and tokens", _answers()),
        ("By backend: cost", _cost()),
        ("By model: time", _time()),
        ("By model: tokens", _tokens()),
    ):
        made.with_row(Row(title))
        for panel in panels:
            made.with_panel(panel)
    return made


def _attempts() -> list[Panel]:
    every = f"sum by (backend) ({ATTEMPTS})"
    broken = f"sum by (backend) ({BROKEN})"
    reasons = f"sum by (backend, code) ({BROKEN})"
    left = f'rate(pointsman_fallbacks_total{{from_backend=~"$backend"}}{RATE})'
    return [
        lines(
            "Attempts",
            "Each attempt, those behind a successful fallback too.",
            "reqps",
            Query(every, "{{backend}}"),
        ),
        lines(
            "Failed attempts",
            "Share of attempts without a usable answer: an error status, or no whole answer.",
            "percentunit",
            Query(f"{broken} / ({every} > 0)", "{{backend}}"),
        ),
        lines(
            "Why attempts failed",
            "HTTP status, or why there was no whole answer; the ten most frequent.",
            "reqps",
            Query(f"topk(10, {reasons})", "{{backend}}: {{code}}"),
        ),
        lines(
            "Routed around",
            "Steps of plans that left this backend because it failed.",
            "ops",
            Query(f"sum by (from_backend) ({left})", "{{from_backend}}"),
        ),
        lines(
            "In flight",
            "Requests that are with the backend now, on all nodes.",
            "short",
            Query(
                f"sum by (backend) (pointsman_requests_in_flight{{{BACKEND}}})",
                "{{backend}}",
            ),
        ),
        states(
            "Health",
            "Whether Envoy has a healthy host, on the node where it is worst.",
            Query(f"min by (backend) (pointsman_backend_healthy{{{BACKEND}}})", "{{backend}}"),
            "healthy",
            "down",
        ),
    ]


def _answers() -> list[Panel]:
    whole = f"sum by (le, backend) (rate(pointsman_answer_seconds_bucket{{{BACKEND}}}{RATE}))"
    first = f"rate(pointsman_answer_first_token_seconds_bucket{{{BACKEND}}}{RATE})"
    tokens = f"sum by (backend, type) (rate(pointsman_tokens_total{{{BACKEND}}}{RATE}))"
    return [
        lines(
            "Latency",
            "Answers that came whole, from the start of the attempt to the last byte.",
            "s",
            *(
                Query(f"histogram_quantile({q / 100}, {whole})", f"{{{{backend}}}} p{q}")
                for q in (50, 95)
            ),
        ),
        lines(
            "First token",
            "Of streams, from the start of the attempt to the first byte.",
            "s",
            *(
                Query(
                    f"histogram_quantile({q / 100}, sum by (le, backend) ({first}))",
                    f"{{{{backend}}}} p{q}",
                )
                for q in (50, 95)
            ),
        ),
        lines(
            "Tokens per second",
            "As the provider counts; cached input is a part of input.",
            "short",
            Query(tokens, "{{backend}} {{type}}"),
            span=24,
        ),
    ]


def _cost() -> list[Panel]:
    hourly = f"sum by (backend) (rate({COST}{RATE})) * 3600"
    daily = f"sum by (backend) (increase({COST}[1d]))"
    return [
        lines(
            "Cost per hour",
            "At the present pace: counted tokens times the backend's price at the time.",
            "currencyUSD",
            Query(hourly, "{{backend}}"),
            stacked=True,
        ),
        lines(
            "Cost of 24 hours",
            "Dollars in the 24 hours before each point.",
            "currencyUSD",
            Query(daily, "{{backend}}"),
            stacked=True,
        ),
    ]


def _quantiles(metric: str, more: str = "") -> list[Query]:
    rate = f"rate({metric}_bucket{{{MODEL}{more}}}{RATE})"
    found = f"sum by (le, gen_ai_request_model) ({rate})"
    return [Query(f"histogram_quantile({q / 100}, {found})", f"{NAME} p{q}") for q in (50, 95, 99)]


def _requests(more: str = "") -> str:
    return f"{BY_MODEL} (rate(gen_ai_server_request_duration_seconds_count{{{MODEL}{more}}}{RATE}))"


def _streams(part: str) -> str:
    return f"{BY_MODEL} (rate(gen_ai_server_time_per_output_token_seconds_{part}{{{MODEL}}}{RATE}))"


def _time() -> list[Panel]:
    failed = f"""({_requests(', error_type!=""')} or {_requests()} * 0)"""
    return [
        lines("Requests", "That this model answered last.", "reqps", Query(_requests(), NAME)),
        lines(
            "Failed requests",
            "Share that the client saw fail or left, of those that this model answered last.",
            "percentunit",
            Query(f"{failed} / ({_requests()} > 0)", NAME),
        ),
        lines(
            "Time to answer",
            "Whole requests that went well: all attempts, to the end of the answer.",
            "s",
            *_quantiles("gen_ai_server_request_duration_seconds", ', error_type=""'),
        ),
        lines(
            "Time to first token",
            "Of streams: from the start of the attempt that answered to the first byte.",
            "s",
            *_quantiles("gen_ai_server_time_to_first_token_seconds"),
        ),
        lines(
            "Speed of streams",
            "Output tokens per second of one stream, after its first token; the mean.",
            "short",
            Query(f"{_streams('count')} / {_streams('sum')}", NAME),
        ),
        lines(
            "Time per output token",
            "Of streams, after the first token.",
            "s",
            *_quantiles("gen_ai_server_time_per_output_token_seconds"),
        ),
    ]


def _usage(part: str, kind: str) -> str:
    chosen = f'{MODEL}, gen_ai_token_type="{kind}"'
    return f"rate(gen_ai_client_token_usage_{part}{{{chosen}}}{RATE})"


def _largest(kind: str) -> str:
    found = f"sum by (le, gen_ai_request_model) ({_usage('bucket', kind)})"
    return f"histogram_quantile(0.95, {found})"


def _tokens() -> list[Panel]:
    given = f"{BY_MODEL} ({_usage('sum', 'input')})"
    cached = f"({BY_MODEL} ({_usage('sum', 'cached_input')}) or {given} * 0)"
    return [
        lines(
            "Output tokens per second",
            "Of all requests together, as the provider counts.",
            "short",
            Query(f"{BY_MODEL} ({_usage('sum', 'output')})", NAME),
            stacked=True,
        ),
        lines(
            "Input tokens per second",
            "Of all requests together, cached ones included.",
            "short",
            Query(given, NAME),
            stacked=True,
        ),
        lines(
            "Cached input",
            "Share of input tokens that the provider's cache served.",
            "percentunit",
            Query(f"{cached} / ({given} > 0)", NAME),
        ),
        lines(
            "Tokens of a request, p95",
            "The bounds of the histogram are powers of four, so this is coarse.",
            "short",
            Query(_largest("input"), f"{NAME} input"),
            Query(_largest("output"), f"{NAME} output"),
        ),
    ]
