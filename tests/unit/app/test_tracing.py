import subprocess
import sys

import pytest
from prometheus_client import CollectorRegistry

from sidecar.app.sampling import sampling
from sidecar.app.tracing import Tracing
from sidecar.errors import SettingsError
from sidecar.model import Sampling

ENDPOINT = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, Sampling(1.0)),
        ({"OTEL_TRACES_SAMPLER": "always_on"}, Sampling(1.0, follow=False)),
        ({"OTEL_TRACES_SAMPLER": "always_off"}, None),
        ({"OTEL_TRACES_SAMPLER": "traceidratio"}, Sampling(1.0, follow=False)),
        (
            {"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.25"},
            Sampling(0.25, follow=False),
        ),
        (
            {"OTEL_TRACES_SAMPLER": "ParentBased_TraceIdRatio", "OTEL_TRACES_SAMPLER_ARG": "0"},
            Sampling(0.0),
        ),
        ({"OTEL_TRACES_SAMPLER": "parentbased_always_off"}, Sampling(0.0)),
        ({"OTEL_TRACES_SAMPLER_ARG": "0.25"}, Sampling(1.0)),
        ({"OTEL_SDK_DISABLED": "true"}, None),
        ({"OTEL_TRACES_EXPORTER": "none"}, None),
    ],
)
def test_opentelemetrys_variables_say_what_is_sampled(variables, expected):
    assert sampling(ENDPOINT | variables) == expected


def test_without_an_endpoint_nothing_is_traced():
    assert sampling({"OTEL_TRACES_SAMPLER": "always_on"}) is None
    assert sampling({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://c/v1/traces"}) == Sampling()


@pytest.mark.parametrize(
    ("variables", "legal"),
    [
        ({"OTEL_TRACES_SAMPLER": "xray"}, "parentbased_traceidratio"),
        ({"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "2"}, "0 to 1"),
        ({"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "x"}, "0 to 1"),
        ({"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, "http/protobuf"),
        ({"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/json"}, "http/protobuf"),
        ({"OTEL_BSP_MAX_QUEUE_SIZE": "0"}, "max_queue_size must be a positive integer"),
        ({"OTEL_BSP_MAX_QUEUE_SIZE": "many"}, "OTEL_BSP"),
    ],
)
def test_a_wrong_variable_is_named_with_what_is_legal(variables, legal):
    with pytest.raises(SettingsError, match=legal) as raised:
        Tracing.open(ENDPOINT | variables, "node", lambda: None, CollectorRegistry())

    assert "OTEL_" in str(raised.value)


def run(code, **environ):
    command = [sys.executable, "-c", code]
    return subprocess.run(
        command, check=False, capture_output=True, text=True, env=environ, timeout=60
    )


def test_without_an_endpoint_nothing_is_imported_for_traces():
    # The client of Redis imports the API and its metrics where they are installed.
    code = """
import sys
import sidecar.app.control, sidecar.app.worker
from prometheus_client import CollectorRegistry
from sidecar.app.tracing import Tracing
Tracing.open({}, "node", lambda: None, CollectorRegistry())
needless = "opentelemetry.sdk.trace", "opentelemetry.exporter", "requests", "sidecar.telemetry.otlp"
print([name for name in sys.modules if name.startswith(needless)])
"""

    assert run(code).stdout == "[]\n"


def test_a_missing_extra_is_told_with_what_to_install():
    code = f"""
import sys
sys.modules["opentelemetry"] = None
from prometheus_client import CollectorRegistry
from sidecar.app.tracing import Tracing
Tracing.open({ENDPOINT!r}, "node", lambda: None, CollectorRegistry())
"""

    told = run(code).stderr.splitlines()[-1]

    assert "SettingsError: OTEL_EXPORTER_OTLP_TRACES_ENDPOINT or OTEL_" in told
    assert "pip install 'pointsman[traces]'" in told
