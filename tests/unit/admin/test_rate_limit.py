from types import SimpleNamespace

import pytest

from sidecar.admin import feedback
from sidecar.admin.rate_limit import BURST_SECONDS, MOST_CALLERS, RateLimit
from sidecar.facts import api_key_of
from sidecar.xds import resources


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def test_a_caller_has_a_burst_and_then_its_rate(clock):
    limit = RateLimit(10.0, clock)
    allowed = [limit.wait("a") == 0 for _ in range(60)]
    clock.now = 1.0
    later = [limit.wait("a") == 0 for _ in range(20)]

    assert (sum(allowed), sum(later)) == (10 * BURST_SECONDS, 10)


def test_who_has_to_wait_is_told_how_long(clock):
    limit = RateLimit(0.1, clock)
    limit.wait("a")

    assert limit.wait("a") == pytest.approx(10)
    clock.now = 10.1
    assert limit.wait("a") == 0


def test_callers_do_not_share_their_rate(clock):
    limit = RateLimit(1.0, clock)
    for _ in range(6):
        limit.wait("a")

    assert limit.wait("a") > 0
    assert limit.wait("b") == 0


def test_the_callers_that_are_remembered_are_bounded(clock):
    limit = RateLimit(1.0, clock)
    for number in range(2 * MOST_CALLERS):
        limit.wait(str(number))

    assert len(limit._buckets) == MOST_CALLERS


def request(**headers):
    return SimpleNamespace(headers=headers, client=None)


def test_only_a_configured_key_is_a_caller_of_its_own():
    known = {"authorization": "Bearer known", feedback.CLIENT_HEADER: "10.0.0.1"}
    made_up = known | {"authorization": "Bearer made-up"}
    keys = {api_key_of(known)}

    assert feedback.client(request(**known), keys) == api_key_of(known)
    assert feedback.client(request(**made_up), keys) == "10.0.0.1"


def test_envoy_and_control_agree_on_the_name_of_the_header():
    assert feedback.CLIENT_HEADER == resources.CLIENT_HEADER
