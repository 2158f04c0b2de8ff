"""From the document of a router to a Router: all that can be wrong is found here, not later."""

from collections.abc import Mapping
from typing import Any

from sidecar.choose.definition import Arm, Definition, Findings, Inner, Site
from sidecar.choose.fallback import AsListed
from sidecar.choose.fields import kind, quoted
from sidecar.choose.planning import Prepared, prepare
from sidecar.choose.reading import read
from sidecar.errors import ConfigError, Fault
from sidecar.model import (
    CONTROL_FIELDS,
    MAX_ATTEMPTS,
    Catalog,
    Compilers,
    Leaf,
    Router,
)

MAX_TARGETS = 1000
"""Targets in one router over all its levels: a bound on what a router in a request can cost."""

PREFIX = "router/"


def build_router(  # noqa: PLR0913 - by name only
    document: Any,
    *,
    name: str,
    path: str,
    catalog: Catalog,
    compilers: Compilers,
    strict: bool,
    scripts: bool = True,
) -> Router:
    """Compile a router document (decoded JSON: an object, or the name of a router or target).

    ``name`` stands in when the document has none; ``path`` is where it stands, for messages.
    Strict (stored): unknown fields are faults. Not strict (in a request): they are ignored, as
    in LangDB. Without ``scripts`` a `script` router raises RouterForbidden.
    Raises ConfigError with every fault; ScriptError when a script of a request does not compile.
    """
    findings = Findings()
    site = Site(name, path, {}, 1, strict, catalog, compilers, findings, scripts)
    router = _router(document, site)
    if findings.faults:
        raise ConfigError(list(dict.fromkeys(findings.faults)))
    return router


def _router(document: Any, site: Site) -> Prepared:
    if site.depth > MAX_ATTEMPTS:
        site.fault("", f"nested deeper than {MAX_ATTEMPTS}")
    elif isinstance(document, str):
        return _named(document, site)
    elif isinstance(document, dict):
        return _defined(site._replace(document=document))
    else:
        site.fault("", f"expected a router or the name of one, got {kind(document)}")
    return _chain(site)


def _named(name: str, site: Site) -> Prepared:
    """Resolve the name of a stored router, or of a target, which is then the only one."""
    try:
        stored = site.catalog.router(name.removeprefix(PREFIX))
    except ConfigError as error:
        site.findings.faults.extend(error.faults)
        return _chain(site)
    if stored is None:
        leaf = None if name.startswith(PREFIX) else site.catalog.leaf(name, {})
        if leaf is None:
            _unknown("router", name, site, "")
        _count(site, 1)
        return _chain(site, *([leaf] if leaf else []))
    return _taken(prepare(stored), site)


def _taken(router: Prepared, site: Site) -> Prepared:
    """Take a router that was built before, if it is not too much here."""
    _count(site, router.size)
    if site.depth - 1 + router.depth > MAX_ATTEMPTS:
        site.fault("", f"nested deeper than {MAX_ATTEMPTS}")
    return router


def _defined(site: Site) -> Prepared:
    """Build a router object; one without a type that names a model is a target of its own."""
    document = site.document
    if "model" in document and "type" not in document:
        _count(site, 1)
        return _chain(site, _target(Arm("", document), site))
    definition = read(site)
    return _chain(site) if definition is None else _built(definition, site)


def _built(definition: Definition, site: Site) -> Prepared:
    """Build the router of a definition, whose document has no fault."""
    before = len(site.findings.faults)
    site = site._replace(name=definition.name or site.name)
    arms = definition.arms(site)
    _count(site, len(arms))
    targets = tuple(_target(arm, site) for arm in arms)
    if len(site.findings.faults) > before:
        return _chain(site)
    router = Router(
        name=site.name,
        type=definition.names[0],
        strategy=definition.strategy(site, arms, targets),
        targets=targets,
        keep_rest=definition.on_error == "next",
    )
    return prepare(router)


def _target(arm: Arm, site: Site) -> Leaf | Router:
    """Build one target; what is not known or wrong becomes a leaf without backends."""
    document, where = arm.document, arm.where
    if isinstance(document, str):
        return _model(document, {}, site, where)
    if isinstance(document, Inner | Router):
        return _placed(document, site, where)
    if not isinstance(document, dict):
        site.fault(where, f"expected a name or an object with `model`, got {kind(document)}")
        return _absent("")
    name, parameters = document.get("model"), _parameters(document, site, where)
    if document.get("router") is not None:
        return _inner(document["router"], name, parameters, site, where)
    if isinstance(name, str):
        return _model(name, parameters, site, f"{where}.model")
    got = kind(name) if "model" in document else "nothing"
    site.fault(f"{where}.model", f"expected the name of a model, got {got}")
    return _absent("")


def _inner(
    document: Any, name: Any, parameters: Mapping[str, Any], site: Site, where: str
) -> Leaf | Router:
    """Build the router that a target carries; its `model` only marks it (`router/dynamic`)."""
    if name is not None and not str(name).startswith(PREFIX):
        site.fault(where, "has both a `router` and a `model`; a target is one or the other")
    router = _router(document, _below(site, f"{where}.router"))
    return prepare(router, parameters)


def _placed(inner: Inner | Router, site: Site, where: str) -> Prepared:
    """Build a router that stands in the place of a target, or take one that is built."""
    below = _below(site, where)
    if isinstance(inner, Router):
        return _taken(prepare(inner), below)
    below = below._replace(name=inner.name, document=inner.document)
    if inner.definition is None or below.depth > MAX_ATTEMPTS:
        return _router(inner.document, below)
    return _built(inner.definition, below)


def _model(name: str, parameters: Mapping[str, Any], site: Site, where: str) -> Leaf | Router:
    if name.startswith(PREFIX):
        router = _router(name, _below(site, where))
        return prepare(router, parameters)
    leaf = site.catalog.leaf(name, parameters)
    if leaf is None:
        _unknown("backend", name, site, where)
        return _absent(name)
    return leaf


def _parameters(document: Mapping[str, Any], site: Site, where: str) -> dict[str, Any]:
    """Return what a target sets; `null` overrides nothing, as in LangDB."""
    found = {}
    for key, value in document.items():
        if key in {"model", "router"} or value is None:
            continue
        if key not in CONTROL_FIELDS:
            found[key] = value
        elif site.strict:
            site.fault(f"{where}.{key}", "steers the choice of a target; it is no parameter")
    return found


def _unknown(what: str, name: str, site: Site, where: str) -> None:
    known = site.catalog.known()
    listed = ", ".join(known[:20]) + (", …" if len(known) > 20 else "")
    site.fault(where, f"unknown {what} {quoted(name)}; known: {listed}")


def _count(site: Site, targets: int) -> None:
    """Add to the targets of the whole tree; too many end the work on it at once."""
    site.findings.targets += targets
    if site.findings.targets > MAX_TARGETS:
        fault = Fault(site.path, f"more than {MAX_TARGETS} targets in all")
        raise ConfigError([*site.findings.faults, fault])


def _below(site: Site, where: str) -> Site:
    """Return the site of a router inside this one."""
    return site._replace(
        name=f"{site.name}/dynamic", path=site.path + where, depth=site.depth + 1, document={}
    )


def _chain(site: Site, *targets: Leaf | Router) -> Prepared:
    return prepare(Router(site.name, "fallback", AsListed(), targets))


def _absent(name: str) -> Leaf:
    """Return what keeps the place of a wrong target, so that the search for faults goes on."""
    return Leaf(name, ())
