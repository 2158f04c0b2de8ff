"""A real Prometheus with the project's own configuration, on a free port and a private folder."""

import math
import shutil
import subprocess
import time
from pathlib import Path

import httpx
import yaml

from tests.ports import free_port

DEPLOY = Path(__file__).parents[2] / "deploy" / "prometheus"
PROGRAM = shutil.which("prometheus")


class Prometheus:
    """Scrapes and evaluates each second; ``targets``: job → address."""

    def __init__(self, folder: Path, targets):
        config = yaml.safe_load((DEPLOY / "prometheus.yml").read_text())
        config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
        config["rule_files"] = [str(DEPLOY / name) for name in config["rule_files"]]
        del config["alerting"]
        for job in config["scrape_configs"]:
            job["static_configs"] = [{"targets": [str(targets[job["job_name"]])]}]
        (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
        port = free_port()
        self._process = subprocess.Popen(
            [
                PROGRAM,
                f"--config.file={folder / 'prometheus.yml'}",
                f"--storage.tsdb.path={folder / 'data'}",
                f"--web.listen-address=127.0.0.1:{port}",
                "--log.level=warn",
            ]
        )
        self._http = httpx.Client(base_url=f"http://127.0.0.1:{port}/api/v1", timeout=10)

    def stop(self):
        self._http.close()
        self._process.terminate()
        self._process.wait(10)

    def ask(self, path, **query):
        """Return what the API says. Raises httpx.HTTPError, also when it understands nothing."""
        answer = self._http.get(path, params=query)
        assert answer.status_code != 400, answer.json()["error"]
        return answer.raise_for_status().json()["data"]

    def series(self, expr):
        """Return (labels, value) of each series that has a number now."""
        found = self.ask("query", query=expr)
        if found["resultType"] == "scalar":
            return [({}, float(found["result"][1]))]
        pairs = ((one["metric"], float(one["value"][1])) for one in found["result"])
        return [(labels, value) for labels, value in pairs if not math.isnan(value)]

    def over_time(self, expr, seconds):
        """Return the series of the last ``seconds``, a value each second."""
        now = time.time()
        found = self.ask("query_range", query=expr, start=now - seconds, end=now, step=1)
        return found["result"]

    def values(self, metric, label):
        return self.ask(f"label/{label}/values", **{"match[]": metric})
