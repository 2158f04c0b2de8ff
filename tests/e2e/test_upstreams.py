"""Models that fail: nothing is lost that another target could have answered."""

import httpx
import pytest

from tests.ports import free_port

pytestmark = pytest.mark.e2e


@pytest.mark.parametrize(
    "fault",
    [
        {"status": 500},
        {"status": 503},
        {"status": 429},
        {"status": 401},
        {"status": 404},
        {"reset": True},
        {"hang": True},
    ],
    ids=lambda fault: "-".join(map(str, next(iter(fault.items())))),
)
@pytest.mark.parametrize("stream", [False, True], ids=["json", "sse"])
def test_a_broken_model_is_routed_around(system, fault, stream):
    broken = system.fresh_backend("canary", timeout_seconds=1)
    model = system.fresh_route(broken, "large")
    system.models["canary"].control(**fault)

    response = system.chat(model=model, stream=stream)

    assert response.status_code == 200
    assert response.headers["x-pointsman-backend"] == "large"
    assert response.headers["x-pointsman-attempts"] == "2"
    system.until(
        lambda: (
            system.metric(
                "pointsman_fallbacks_total", route=model, from_backend=broken, to_backend="large"
            )
            == 1
        ),
        "the hop is counted",
    )
    system.until(
        lambda: system.metric("pointsman_attempts_total", backend=broken) >= 1, "the attempt"
    )


def test_a_refused_connection_is_routed_around(system):
    system.put(
        "backends",
        "refused",
        {**system.backend("small"), "endpoints": [f"http://127.0.0.1:{free_port()}"]},
    )
    model = system.fresh_route("refused", "large")

    response = system.chat(model=model)

    assert (response.status_code, response.headers["x-pointsman-backend"]) == (200, "large")


def test_a_hanging_model_costs_its_own_timeout_and_not_that_of_the_next(system):
    slow = system.fresh_backend("large", timeout_seconds=30, defaults={})
    hanging = system.fresh_backend("canary", timeout_seconds=1)
    model = system.fresh_route(hanging, slow)
    system.models["canary"].control(hang=True)
    system.models["large"].control(slow_first_token_ms=2000)

    response = system.chat(model=model)

    assert (response.status_code, response.headers["x-pointsman-backend"]) == (200, slow)
    assert 3.0 < response.elapsed.total_seconds() < 8.0


def test_a_stream_cut_after_its_first_byte_is_seen_as_cut(system):
    cut = system.fresh_backend("canary")
    model = system.fresh_route(cut, "large")
    system.models["canary"].control(cut_after_tokens=2)

    body = {"model": model, "stream": True, "messages": [{"role": "user", "content": "a b c d"}]}
    with system.http.stream("POST", "/v1/chat/completions", json=body) as response:
        assert response.status_code == 200
        with pytest.raises(httpx.RemoteProtocolError):
            list(response.iter_lines())

    assert not system.models["large"].requests()


def test_the_last_error_reaches_the_client_when_all_targets_are_down(system):
    first, second = system.fresh_backend("small"), system.fresh_backend("large")
    model = system.fresh_route(first, second)
    system.models["small"].control(status=500)
    system.models["large"].control(status=503)

    response = system.chat(model=model)

    assert response.status_code == 503
    assert response.headers["x-pointsman-backend"] == second
    assert response.headers["x-pointsman-attempts"] == "2"
    assert "error" in response.json()


def test_each_attempt_gets_its_own_model_name_and_parameters(system):
    first = system.fresh_backend("canary", defaults={"top_p": 0.5})
    model = system.fresh_route({"model": first, "temperature": 0.1}, {"model": "large", "seed": 7})
    system.models["canary"].control(status=500)

    system.chat(model=model, temperature=1, seed=1)

    (broken,), (answered,) = system.models["canary"].requests(), system.models["large"].requests()
    assert '"model":"canary"' in broken.body
    assert '"temperature":0.1' in broken.body
    assert '"top_p":0.5' in broken.body
    assert '"model":"large"' in answered.body
    assert '"temperature":1' in answered.body
    assert '"seed":7' in answered.body
    assert "top_p" not in answered.body


def test_ejected_models_are_not_asked_again_for_a_while(system):
    broken = system.fresh_backend("canary")
    model = system.fresh_route(broken, "large")
    system.models["canary"].control(status=500)
    for _ in range(12):
        assert system.chat(model=model).headers["x-pointsman-backend"] == "large"

    asked = len(system.models["canary"].requests())

    assert asked < 12
    for _ in range(5):
        assert system.chat(model=model).status_code == 200
    assert len(system.models["canary"].requests()) == asked
