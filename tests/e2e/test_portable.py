"""`envoy/portable.yaml` on the Envoy that everything else runs on."""

import pytest

pytest.register_assert_rewrite("tests.e2e.portable_checks")

from tests.e2e.portable_checks import PortableChecks  # noqa: E402

pytestmark = pytest.mark.e2e


class TestPortable(PortableChecks):
    pass
