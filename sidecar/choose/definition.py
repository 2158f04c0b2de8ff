"""What the document of every router has in common, and where it is being built."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal, NamedTuple

import msgspec

from sidecar.errors import ConfigError, Fault
from sidecar.model import Accessor, Catalog, Compilers, Leaf, Router, Strategy


class Findings:
    """What building one router tree found so far; shared by all its levels."""

    __slots__ = ("conditions", "faults", "targets")

    def __init__(self) -> None:
        self.faults: list[Fault] = []
        self.targets = 0
        self.conditions = 0
        """Bytes of conditions, of a router in a request."""


class Site(NamedTuple):
    """Where a router is being built, and what it may ask for.

    ``path`` is the router's place in the document, for fault messages; ``depth`` of the
    outermost router is 1. ``scripts``: whether it may have any.
    """

    name: str
    path: str
    document: Mapping[str, Any]
    depth: int
    strict: bool
    catalog: Catalog
    compilers: Compilers
    findings: Findings
    scripts: bool = True

    def fault(self, where: str, message: str) -> None:
        """Note a fault at ``where`` below this router (`.targets[1]`, or nothing)."""
        self.findings.faults.append(Fault(self.path + where, message))

    def accessor(self, subject: str, where: str) -> Accessor | None:
        """Compile ``subject``; what is wrong with it is noted as a fault."""
        try:
            return self.compilers.accessor(subject, self.path + where)
        except ConfigError as error:
            self.findings.faults.extend(error.faults)
            return None


class Arm(NamedTuple):
    """A target as written: where it stands below its router, its document, its weight.

    ``rule``: what the strategy has to know of it besides, compiled with the other faults in view.
    """

    where: str
    document: Any
    weight: float = 1.0
    rule: Any = None


class Definition(msgspec.Struct, frozen=True, kw_only=True):
    """The document of a router: subclasses add the parameters of their type as fields.

    ``names``: the values of `type`, the one that shows in trails first. ``spread``: a target of
    several backends is several candidates (each is ranked), not one whose backends follow each
    other. ``lazy``: the ranking does not look into the plans of nested routers, so that those
    are only planned as far as they are needed. ``selective``: it is in order that some requests
    are left to whoever is next. ``prefixes``: fields with numbered or lettered names. `router` is
    accepted and ignored: LangDB's guide has a stray one.
    """

    names: ClassVar[tuple[str, ...]]
    spread: ClassVar[bool] = False
    lazy: ClassVar[bool] = False
    selective: ClassVar[bool] = False
    prefixes: ClassVar[tuple[str, ...]] = ()

    type: str
    name: str | None = None
    targets: tuple[Any, ...] = ()
    on_error: Literal["next", "fail"] = "next"
    metrics_duration: Literal["Total", "Last15Minutes", "LastHour"] | None = None
    router: Any = None

    @classmethod
    def legal(cls, key: str) -> bool:
        """Tell whether a document of this type may have the field ``key``."""
        return key in cls.__struct_fields__ or key.startswith(cls.prefixes)

    @classmethod
    def fields(cls) -> list[str]:
        """Return the names of the fields that a document of this type may have."""
        listed = set(cls.__struct_fields__) - {"router"}
        return sorted(listed | {f"{prefix}…" for prefix in cls.prefixes})

    def arms(self, site: Site) -> list[Arm]:
        """Return the targets in the order of their places; faults go to ``site``."""
        if site.document.get("targets", []) == []:
            site.fault(".targets", "a router needs at least one target")
        return [Arm(f".targets[{place}]", target) for place, target in enumerate(self.targets)]

    def strategy(
        self, site: Site, arms: Sequence[Arm], targets: Sequence[Leaf | Router]
    ) -> Strategy:
        """Return what ranks; ``arms`` and ``targets`` are parallel to places."""
        raise NotImplementedError


class Inner(NamedTuple):
    """A router that is a target by its place alone: what is wrong in it has the path of the arm.

    ``definition``: what its document means, when that has no type to say so.
    """

    name: str
    document: Any
    definition: Definition | None = None


def label(target: Leaf | Router) -> str:
    """Return the name by which a target is known in rankings and hashes."""
    return target.label if isinstance(target, Leaf) else f"router/{target.name}"
