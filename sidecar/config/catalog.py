"""The catalog: what a target's name means, to backends and to stored routers."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from sidecar.errors import ConfigError, Fault
from sidecar.model import Backend, Leaf, Router

Build = Callable[[str, bytes, "Catalog"], Router]
"""Builds the router with this name from this JSON text; raises ConfigError."""


class Catalog:
    """Resolves target names. Switched-off backends resolve too: plans skip them.

    A name is looked up as a backend's name, then as `provider/model` or `provider/backend`, then
    as `provider/*`, then as a model that one or more backends have. Several backends come by
    priority, then name.
    """

    def __init__(
        self, backends: Iterable[Backend], routers: Mapping[str, bytes], build: Build
    ) -> None:
        ordered = sorted(backends, key=lambda one: (one.priority, one.name))
        self._backends = ordered
        self._leaves = _resolve(ordered)
        self._texts = routers
        self._build = build
        self._routers: dict[str, Router | ConfigError] = {}
        self._building: list[str] = []

    def leaf(self, name: str, parameters: Mapping[str, Any]) -> Leaf | None:
        """Return the backends called ``name``, or ``None`` when there are none."""
        backends = self._leaves.get(name)
        return None if backends is None else Leaf(name, backends, parameters)

    def router(self, name: str) -> Router | None:
        """Return the stored router called ``name``, built on first use, or ``None``.

        Raises ConfigError when it is wrong or reaches itself, each time with the same faults.
        """
        if name not in self._texts:
            return None
        if name not in self._routers:
            self._routers[name] = self._built(name)
        router = self._routers[name]
        if isinstance(router, ConfigError):
            raise ConfigError(router.faults)
        return router

    def backends(self) -> Sequence[Backend]:
        """Return all backends, enabled or not, by priority, then name."""
        return self._backends

    def known(self) -> Sequence[str]:
        """Return the names of backends, then stored routers as `router/<name>`."""
        names = [backend.name for backend in self._backends]
        return [*names, *(f"router/{name}" for name in sorted(self._texts))]

    def _built(self, name: str) -> Router | ConfigError:
        if name in self._building:
            ring = [*self._building[self._building.index(name) :], name]
            return ConfigError([Fault(f"routers.{name}", f"cycle {' -> '.join(ring)}")])
        self._building.append(name)
        try:
            return self._build(name, self._texts[name], self)
        except ConfigError as error:
            return error
        finally:
            self._building.pop()


def _resolve(backends: Iterable[Backend]) -> dict[str, tuple[Backend, ...]]:
    """Return what each name means; ``backends`` come in order of preference."""
    models: dict[str, list[Backend]] = {}
    providers: dict[str, list[Backend]] = {}
    exact: dict[str, list[Backend]] = {}
    aliases: dict[str, list[Backend]] = {}
    names: dict[str, list[Backend]] = {}
    for backend in backends:
        models.setdefault(backend.model, []).append(backend)
        providers.setdefault(f"{backend.provider}/*", []).append(backend)
        exact.setdefault(f"{backend.provider}/{backend.model}", []).append(backend)
        aliases[f"{backend.provider}/{backend.name}"] = [backend]
        names[backend.name] = [backend]
    resolved = {**models, **providers, **aliases, **exact, **names}
    return {name: tuple(found) for name, found in resolved.items()}
