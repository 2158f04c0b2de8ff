"""The sidecar and its Envoy: whether the machinery runs, and what it takes."""

from grafana_foundation_sdk.builders.dashboard import Dashboard, Row

from deploy.grafana.generate.panels import Panel, Query, lines, new, number, states, variable

RATE = "[$__rate_interval]"
HERE = 'instance=~"$sidecar"'
ENVOY = 'instance=~"$envoy"'
FRONT = f'envoy_http_conn_manager_prefix="front", {ENVOY}'
WHERE = "{{instance}}"
VERSION = "pointsman_config_version"


def dashboard() -> Dashboard:
    """Return the dashboard."""
    made = new(
        "internals",
        "Pointsman: sidecar and Envoy",
        "Whether the machinery runs. Backends are on the other dashboards.",
        variable(
            "sidecar", "Sidecar", "label_values(pointsman_build_info, instance)", "Admin address."
        ),
        variable(
            "envoy", "Envoy", "label_values(envoy_server_live, instance)", "Its admin address."
        ),
    )
    for panel in _now():
        made.with_panel(panel)
    for title, panels in (
        ("Sidecar", _sidecar()),
        ("Between Envoy and the sidecar", _between()),
        ("Envoy", _envoy()),
    ):
        made.with_row(Row(title))
        for panel in panels:
            made.with_panel(panel)
    return made


def _now() -> list[Panel]:
    return [
        number("Sidecars", "That answer Prometheus.", "short", 'sum(up{job="pointsman"})', span=4),
        number(
            "Envoys", "That answer Prometheus.", "short", 'sum(up{job="pointsman-envoy"})', span=4
        ),
        number(
            "Version of the rules",
            "The newest that is live on any node.",
            "none",
            "max(pointsman_config_version)",
            span=4,
        ),
        number(
            "Nodes with old rules",
            "Whose version is not the newest.",
            "short",
            f"sum({VERSION} < bool on () group_left () max({VERSION}))",
            1,
            2,
            span=4,
        ),
        number(
            "Refused configurations",
            "In the time shown: a document was wrong, or Envoy refused what was made of it.",
            "short",
            "sum(increase(sum without (code) (pointsman_config_rejections_total)[$__range:]))",
            1,
            span=4,
        ),
        number(
            "Leaders",
            "Nodes that move the shares of rollouts: one.",
            "short",
            "sum(pointsman_rollout_leader)",
            span=4,
        ),
    ]


def _sidecar() -> list[Panel]:
    deciding = (
        f"sum by (le, strategy) (rate(pointsman_decision_duration_seconds_bucket{{{HERE}}}{RATE}))"
    )
    written = f"sum by (result) (rate(pointsman_decision_log_total{{{HERE}}}{RATE}))"
    return [
        lines(
            "Time to decide, p99, by strategy",
            "Inside the worker.",
            "s",
            Query(f"histogram_quantile(0.99, sum by (le, strategy) ({deciding}))", "{{strategy}}"),
        ),
        states(
            "Redis",
            "Whether Redis answers the node. Without it the last good rules serve on.",
            Query(f"pointsman_store_up{{{HERE}}}", WHERE),
            "answers",
            "away",
        ),
        lines(
            "Version of the rules by node",
            "Nodes that share a Redis differ for milliseconds only.",
            "none",
            Query(f"pointsman_config_version{{{HERE}}}", WHERE),
        ),
        lines(
            "Age of the rules",
            "Since they were taken over.",
            "s",
            Query(f"pointsman_config_age_seconds{{{HERE}}}", WHERE),
        ),
        lines(
            "Log of decisions",
            "Entries per second; lost: could not be written to Redis.",
            "ops",
            Query(written, "{{result}}"),
        ),
        lines(
            "Versions of the sidecar",
            "Nodes by the version that they run.",
            *(
                "short",
                Query(f"count by (version) (pointsman_build_info{{{HERE}}})", "{{version}}"),
            ),
        ),
        lines(
            "Time to scrape",
            "How long the metrics of a target took to come.",
            "s",
            Query('scrape_duration_seconds{job=~"pointsman.*"}', "{{job}} {{instance}}"),
        ),
        lines(
            "Series",
            "How many each target has: what Prometheus has to keep.",
            "short",
            Query(
                'scrape_samples_post_metric_relabeling{job=~"pointsman.*"}', "{{job}} {{instance}}"
            ),
        ),
    ]


def _asked(what: str) -> str:
    return f"sum(rate(envoy_http_ext_proc_{what}{{{FRONT}}}{RATE}))"


def _told(what: str) -> str:
    return f"sum(rate(envoy_access_logs_grpc_access_log_logs_{what}{{{ENVOY}}}{RATE}))"


def _between() -> list[Panel]:
    ours = f'{{envoy_cluster_name=~"pointsman~.*", {ENVOY}}}'
    healthy = f"min by (envoy_cluster_name) (envoy_cluster_membership_healthy{ours})"
    active = f"sum by (envoy_cluster_name) (envoy_cluster_upstream_cx_active{ours})"
    return [
        lines(
            "Decisions that Envoy asks for",
            "failed: the worker was away or broke off; allowed: the request went on by the default "
            "chain; late: no answer in time.",
            "ops",
            Query(_asked("streams_started"), "asked"),
            Query(_asked("streams_failed"), "failed"),
            Query(_asked("failure_mode_allowed"), "allowed"),
            Query(_asked("message_timeouts"), "late"),
        ),
        lines(
            "Outcomes that Envoy tells",
            "Entries of the access log. What is dropped is in no metric of the sidecar.",
            "ops",
            Query(_told("written"), "written"),
            Query(_told("dropped"), "dropped"),
        ),
        lines(
            "Workers and control, as Envoy sees them",
            "Healthy hosts of Envoy's clusters for the sidecar.",
            "short",
            Query(healthy, "{{envoy_cluster_name}}"),
        ),
        lines(
            "Connections to the sidecar",
            "Open ones.",
            "short",
            Query(active, "{{envoy_cluster_name}}"),
        ),
    ]


def _bytes(way: str) -> str:
    return f"sum(rate(envoy_http_downstream_cx_{way}_bytes_total{{{FRONT}}}{RATE}))"


def _memory(what: str) -> str:
    return f"sum by (instance) (envoy_server_memory_{what}{{{ENVOY}}})"


def _refused(what: str) -> str:
    return f"sum(increase(envoy_{what}_update_rejected{{{ENVOY}}}{RATE}))"


def _envoy() -> list[Panel]:
    answers = f"rate(envoy_http_downstream_rq_xx{{{FRONT}}}{RATE})"
    return [
        lines(
            "Answers to clients",
            "By class of status, on all paths.",
            "reqps",
            Query(
                f"sum by (envoy_response_code_class) ({answers})", "{{envoy_response_code_class}}xx"
            ),
            stacked=True,
        ),
        lines(
            "Clients",
            "Open connections, and requests that are not over.",
            "short",
            Query(f"sum(envoy_http_downstream_cx_active{{{FRONT}}})", "connections"),
            Query(f"sum(envoy_http_downstream_rq_active{{{FRONT}}})", "requests"),
        ),
        lines(
            "Bytes",
            "Of clients' requests and of answers to them.",
            "Bps",
            Query(_bytes("rx"), "from clients"),
            Query(_bytes("tx"), "to clients"),
        ),
        lines(
            "Memory",
            "heap: what Envoy holds of the system; allocated: what of it is in use.",
            "bytes",
            Query(_memory("heap_size"), f"{WHERE} heap"),
            Query(_memory("allocated"), f"{WHERE} allocated"),
        ),
        lines(
            "Refused resources",
            "Configuration that Envoy did not take; its log has the reason.",
            "short",
            Query(_refused("cluster_manager_cds"), "clusters"),
            Query(_refused("http_rds"), "routes"),
        ),
        lines(
            "Uptime",
            "Since Envoy was started.",
            "s",
            Query(f"envoy_server_uptime{{{ENVOY}}}", WHERE),
        ),
    ]
