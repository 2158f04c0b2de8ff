"""Whom an API key stands for, through real Envoy: the key wins over what the client claims."""

import hashlib

import pytest

pytestmark = pytest.mark.e2e


def test_the_tier_of_a_key_cannot_be_claimed_by_others(system):
    name = hashlib.sha256(b"sk-gold").hexdigest()[:16]
    system.put("keys", name, {"tier": "gold", "tenant": "acme"})
    system.put("keys", "*", {"tier": "free"})
    system.put("routes", "gold", {"order": 1, "match": {"user.tier": "gold"}, "router": "large"})

    def route(**headers):
        named = {key.replace("_", "-"): value for key, value in headers.items()}
        return system.chat(headers=named).headers["x-pointsman-route"]

    # Envoy sends the key only once its filter has been told to.
    system.until(lambda: route(authorization="Bearer sk-gold") == "gold", "the key's tier")
    assert route(authorization="Bearer sk-gold", x_user_tier="free") == "gold"
    assert route(authorization="Bearer sk-other", x_user_tier="gold") == "default"
    assert route(x_user_tier="gold") == "default"
