"""What Grafana would ask, from the dashboards as they are provisioned."""

import json
import re
from pathlib import Path

FOLDER = Path(__file__).parents[2] / "deploy" / "grafana" / "dashboards"
FILES = sorted(FOLDER.glob("*.json"))
DASHBOARDS = {path.stem: json.loads(path.read_text()) for path in FILES}
TIMES = {"$__rate_interval": "10s", "$__range": "1m", "$__interval": "5s"}
"""In the place of what Grafana makes of the time shown: long enough for ten scrapes."""


def queries(dashboard):
    """Yield (title of the panel, expression as Prometheus gets it) of every query."""
    for panel in dashboard["panels"]:
        for target in panel.get("targets", ()):
            yield panel["title"], filled(dashboard, target["expr"])


def variables(dashboard):
    """Yield (name, metric, label) of each variable that Prometheus is asked for."""
    for one in dashboard["templating"]["list"]:
        if one["type"] == "query":
            text = filled(dashboard, one["query"]["query"])
            metric, label = re.fullmatch(r"label_values\((.+), (\w+)\)", text).groups()
            yield one["name"], metric, label


def mark(dashboard):
    """Return the expression of the annotation."""
    (one,) = dashboard["annotations"]["list"]
    return filled(dashboard, one["expr"])


def filled(dashboard, text):
    """Put times and All in the place of variables."""
    for name, value in TIMES.items():
        text = text.replace(name, value)
    for one in dashboard["templating"]["list"]:
        text = text.replace(f"${one['name']}", one.get("allValue", ""))
    assert "$" not in text, f"not a variable of this dashboard: {text}"
    return text
