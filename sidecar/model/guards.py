"""Guards: services of the operator that say yes or no about a request."""

from collections.abc import Callable, Mapping
from typing import Literal

import msgspec

from sidecar.errors import ConfigError, Fault


class Guard(msgspec.Struct, frozen=True):
    """An HTTP service that is asked about a request; ``on_error``: what its silence counts as."""

    name: str
    url: str
    timeout_seconds: float = 0.2
    on_error: Literal["pass", "fail"] = "fail"
    credential: str | None = None
    credential_header: str = "authorization"


def guard_finder(guards: Mapping[str, Guard]) -> Callable[[str, str], Guard]:
    """Return what finds a guard by (name, path); it raises ConfigError when there is none."""

    def find(name: str, path: str) -> Guard:
        guard = guards.get(name)
        if guard is None:
            known = ", ".join(sorted(guards)) or "there is none"
            raise ConfigError([Fault(path, f'unknown guard "{name}"; known: {known}')])
        return guard

    return find
