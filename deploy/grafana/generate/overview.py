"""Where requests go, and how they fare: what somebody looks at first."""

from grafana_foundation_sdk.builders.dashboard import Dashboard, Row

from deploy.grafana.generate.panels import Panel, Query, lines, new, number, states, variable

RATE = "[$__rate_interval]"
ROUTE = 'route=~"$route"'
ALL = f"rate(pointsman_decisions_total{{{ROUTE}}}{RATE})"
FAILED = f'rate(pointsman_decisions_total{{{ROUTE}, outcome="error"}}{RATE})'
ANSWERED = f'rate(pointsman_decisions_total{{{ROUTE}, backend!=""}}{RATE})'
DURATION = f'rate(gen_ai_server_request_duration_seconds_bucket{{error_type=""}}{RATE})'
TTFT = f"rate(gen_ai_server_time_to_first_token_seconds_bucket{RATE})"
DECIDING = f"rate(pointsman_decision_duration_seconds_bucket{RATE})"


def dashboard() -> Dashboard:
    """Return the dashboard."""
    routes = variable(
        "route", "Route", "label_values(pointsman_decisions_total, route)", "That decided."
    )
    made = new("overview", "Pointsman: routing overview", "Where requests go.", routes)
    for panel in _now():
        made.with_panel(panel)
    made.with_row(Row("Where requests go"))
    for panel in _where():
        made.with_panel(panel)
    made.with_row(Row("How they fare"))
    for panel in _how():
        made.with_panel(panel)
    return made


def _now() -> list[Panel]:
    tokens = f'sum(rate(gen_ai_client_token_usage_sum{{gen_ai_token_type!="cached_input"}}{RATE}))'
    open_ = f'sum(rate(pointsman_decisions_total{{outcome="fail_open"}}{RATE}))'
    everything = f"sum(rate(pointsman_decisions_total{RATE}))"
    return [
        number("Requests", "Per second, on decided paths.", "reqps", f"sum({ALL})"),
        number(
            "Errors",
            "Share of requests that got an error status or an answer that broke off.",
            "percentunit",
            f"sum({FAILED}) / sum({ALL})",
            0.005,
            0.05,
        ),
        number(
            "Past the rules",
            "Share of requests that failed open: not decided in time, so the default chain served.",
            "percentunit",
            f"{open_} / {everything}",
            0.001,
            0.01,
        ),
        number(
            "Unhealthy backends",
            "For which Envoy has no healthy host, on any node.",
            "short",
            "sum(min by (backend) (pointsman_backend_healthy) == bool 0)",
            1,
            2,
        ),
        number(
            "Time to answer, p95",
            "Whole requests that went well, all attempts included.",
            "s",
            f"histogram_quantile(0.95, sum by (le) ({DURATION}))",
        ),
        number(
            "Time to first token, p95",
            "Of streams, in the attempt that answered.",
            "s",
            f"histogram_quantile(0.95, sum by (le) ({TTFT}))",
            2.5,
            10,
        ),
        number("Tokens", "Input and output per second, as providers count.", "short", tokens),
        number(
            "Cost",
            "Dollars per hour at the present pace, by the prices of the backends.",
            "currencyUSD",
            f"sum(rate(pointsman_cost_usd_total{RATE})) * 3600",
        ),
    ]


def _where() -> list[Panel]:
    hops = f"sum by (from_backend, to_backend) (rate(pointsman_fallbacks_total{RATE}))"
    return [
        lines(
            "Requests by route",
            "(inline): a router in the request; (default): no route matched; none: not decided.",
            "reqps",
            Query(f"sum by (route) ({ALL})", "{{route}}"),
            stacked=True,
        ),
        lines(
            "Share by backend",
            "Of requests that reached a backend: who answered last. Does a canary have its share?",
            "percentunit",
            Query(
                f"sum by (backend) ({ANSWERED}) / on () group_left () sum({ANSWERED})",
                "{{backend}}",
            ),
            stacked=True,
        ),
        lines(
            "Requests by strategy",
            "Types of the routers that were walked, outermost first.",
            "reqps",
            Query(f"sum by (strategy) ({ALL})", "{{strategy}}"),
        ),
        lines(
            "Fallbacks",
            "Steps from a backend that failed to the next one of its plan; the ten most frequent.",
            "ops",
            Query(f"topk(10, {hops})", "{{from_backend}} → {{to_backend}}"),
        ),
    ]


def _how() -> list[Panel]:
    failed, every = f"sum by (route) ({FAILED})", f"sum by (route) ({ALL})"
    codes = f"sum by (code) (rate(pointsman_errors_total{RATE}))"
    return [
        lines(
            "Errors by route",
            "Share of requests that got an error. A route without requests has no value.",
            "percentunit",
            Query(f"{failed} / ({every} > 0)", "{{route}}"),
        ),
        lines(
            "Outcomes",
            "rejected: refused by the sidecar or the body limit; fail_open: went past the rules.",
            "reqps",
            Query(f"sum by (outcome) ({ALL})", "{{outcome}}"),
            stacked=True,
        ),
        lines(
            "Rejections and warnings",
            "What clients do wrong, and what could not be counted; the ten most frequent codes.",
            "ops",
            Query(f"topk(10, {codes})", "{{code}}"),
        ),
        lines(
            "Time to decide",
            "Inside the worker. It is a part of what the client waits for.",
            "s",
            *(
                Query(f"histogram_quantile({q / 100}, sum by (le) ({DECIDING}))", f"p{q}")
                for q in (50, 95, 99)
            ),
        ),
        states(
            "Backends",
            "Whether Envoy has a healthy host, on the node where it is worst.",
            Query("min by (backend) (pointsman_backend_healthy)", "{{backend}}"),
            "healthy",
            "down",
        ),
        lines(
            "In flight",
            "Requests that are with a backend now, on all nodes.",
            "short",
            Query("sum by (backend) (pointsman_requests_in_flight)", "{{backend}}"),
            stacked=True,
        ),
    ]
