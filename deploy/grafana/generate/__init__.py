"""The Grafana dashboards, written in Python: `python -m deploy.grafana.generate` writes them."""

from pathlib import Path

from deploy.grafana.generate import experiments, internals, models, overview
from deploy.grafana.generate.panels import text_of

FOLDER = Path(__file__).parents[1] / "dashboards"


def texts() -> dict[str, str]:
    """Return the JSON of each dashboard by its file's name."""
    rooms = (overview, models, experiments, internals)
    return {f"{room.__name__.rpartition('.')[2]}.json": text_of(room.dashboard()) for room in rooms}


def write() -> None:
    """Write all dashboards where Grafana is told to look for them."""
    for name, text in texts().items():
        (FOLDER / name).write_text(text)
