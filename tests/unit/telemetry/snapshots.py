"""Small snapshots for metrics: names, prices and which router can reach what."""

from sidecar.model import Backend, Leaf, Price, Route, Router, Snapshot


def backend(name, **fields):
    return Backend(name, **{"model": f"{name}-model", "provider": "openai"} | fields)


def router(kind, *targets):
    """Return a router of that type over backends and other routers."""
    leaves = [t if isinstance(t, Router) else Leaf(t.name, (t,)) for t in targets]
    return Router(kind, kind, None, tuple(leaves))


def snapshot(backends=(), routes=None, routers=None, default=None):
    """Return a snapshot with these backends, and routers by route name."""
    return Snapshot(
        version=1,
        digest="",
        backends={each.name: each for each in backends},
        routers=routers or {},
        routes=None,
        catalog=None,
        default=default,
        route_list=tuple(Route(name, 1, each) for name, each in (routes or {}).items()),
    )


SMALL = backend("small", price=Price(2.0, 8.0, 0.5))
LARGE = backend("large", provider="anthropic")
PREMIUM = router("fallback", router("optimized", SMALL, LARGE), SMALL)


def usual():
    return snapshot([SMALL, LARGE], {"premium": PREMIUM}, default=router("fallback", SMALL))
