"""Nothing is open to others by accident."""

import os
import socket
import subprocess
import sys

import pytest

from tests.ports import free_port

pytestmark = pytest.mark.e2e


@pytest.mark.parametrize("command", ["serve", "up"])
def test_for_others_it_does_not_start_without_tokens(command, tmp_path):
    port = free_port()
    ended = subprocess.run(
        [sys.executable, "-m", "sidecar.cli", command],
        env=os.environ
        | {"POINTSMAN_ADMIN": f"0.0.0.0:{port}", "POINTSMAN_RUN_DIR": str(tmp_path / "run")},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert ended.returncode == 2
    for named in (
        f"POINTSMAN_ADMIN=0.0.0.0:{port}",
        "POINTSMAN_TOKENS_FILE",
        "pointsman token new",
    ):
        assert named in ended.stderr
    assert "Traceback" not in ended.stderr
    assert not (tmp_path / "run").exists()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))
