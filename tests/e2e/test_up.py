"""`pointsman up`, as a new user meets it."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path

import pytest

from tests.ports import free_port

pytestmark = pytest.mark.e2e


class Up:
    """A running `pointsman up` and what it has printed."""

    def __init__(self, folder, *options, **environment):
        ports = {name: f"127.0.0.1:{free_port()}" for name in ("LISTEN", "ADMIN", "ENVOY_ADMIN")}
        self.settings = {f"POINTSMAN_{name}": value for name, value in ports.items()}
        self.settings |= {"POINTSMAN_WORKERS": "1", "XDG_STATE_HOME": str(folder), **environment}
        self.listen = ports["LISTEN"]
        self.admin = ports["ADMIN"]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "sidecar.cli", "up", *options],
            env=os.environ | self.settings,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.output = ""
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        for line in self.process.stdout:
            self.output += line

    def until_printed(self, pattern, seconds=40):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if found := re.search(pattern, self.output):
                return found
            if self.process.poll() is not None:
                break
            time.sleep(0.05)
        raise AssertionError(f"{pattern!r} was not printed:\n{self.output}")

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            self.process.wait(30)
        self._reader.join()
        self.process.stdout.close()


@pytest.fixture
def up(tmp_path, redis_url):
    made = []

    def make(*options, **environment):
        made.append(Up(tmp_path, *options, **{"POINTSMAN_REDIS_URL": redis_url, **environment}))
        return made[-1]

    yield make
    for started in made:
        started.stop()


def ask(up, **fields):
    body = json.dumps(
        {"model": "smart", "messages": [{"role": "user", "content": "hi"}], **fields}
    ).encode()
    request = urllib.request.Request(
        f"http://{up.listen}/v1/chat/completions", body, {"content-type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=20) as response:
        return response.headers


def test_the_printed_curl_works_and_ctrl_c_ends_everything(up):
    started = up()
    started.until_printed("Pointsman is up")
    command = started.until_printed(r"(?s)curl -s .*?\}\]\}'").group()

    printed = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True)

    assert json.loads(printed.stdout)["choices"]
    pids = [
        int(pid)
        for pid in re.findall(r"(?:redis|sidecar|envoy|small|large|canary) (\d+)", started.output)
    ]
    assert len(pids) >= 5
    started.stop()
    assert started.process.returncode == 0
    assert not [pid for pid in pids if Path(f"/proc/{pid}").exists()]


def test_a_dead_demo_model_is_invisible_to_clients_of_a_fallback_route(up):
    started = up()
    started.until_printed("Pointsman is up")
    premium = {"user": "u", "extra": {"user": {"tier": "premium"}}}
    assert ask(started, **premium)["x-pointsman-backend"] == "large"
    pid = int(started.until_printed(r"large (\d+)").group(1))

    os.kill(pid, signal.SIGKILL)

    assert ask(started, **premium)["x-pointsman-backend"] == "small"


def test_a_port_in_use_is_a_clear_error_that_names_the_setting(up):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"

        started = up(POINTSMAN_LISTEN=address)
        started.process.wait(20)

    started.until_printed("POINTSMAN_LISTEN")
    assert started.process.returncode == 3
    assert address in started.output
    assert "Traceback" not in started.output
