"""What a comparison says. Its JSON is for scripts: field names stay what they are."""

from typing import NamedTuple

import msgspec

from sidecar.whatif.records import Record
from sidecar.whatif.replay import Choice


class Pair(NamedTuple):
    """One request under both configurations."""

    record: Record
    before: Choice
    after: Choice


class Move(msgspec.Struct, frozen=True):
    """How many requests went from one route or backend to another, or stayed."""

    before: str
    after: str
    n: int


class Codes(msgspec.Struct, frozen=True):
    """Requests with a warning or a refusal, by code."""

    before: dict[str, int]
    after: dict[str, int]


class Difference(msgspec.Struct, frozen=True):
    """Means over ``n`` requests; for ``unknown`` others there is nothing to expect it from."""

    n: int
    unknown: int
    before: float | None = None
    after: float | None = None
    difference: float | None = None


class Shift(msgspec.Struct, frozen=True):
    """With which probability requests go where, and how far apart that is.

    ``mean_distance``: mean total variation distance over ``n`` requests: however draws were
    coupled, no smaller share of decisions would change. ``before``, ``after``: mean probability of
    each first backend.
    """

    n: int
    mean_distance: float | None
    before: dict[str, float]
    after: dict[str, float]


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """The answer about ``records`` requests.

    Of ``compared`` ones, ``changed`` have another route, first backend or refusal;
    ``rest_changed`` more have the same, and other attempts or parameters. ``cannot_tell``: fact →
    requests that need it to be decided, where it is not known. Of ``recalled`` requests whose
    decision of then is known, ``reproduced`` are decided alike by the configuration before.
    """

    records: int
    compared: int
    changed: int
    changed_share: float | None
    rest_changed: int
    cannot_tell: dict[str, int]
    routes: list[Move]
    backends: list[Move]
    warnings: Codes
    refusals: Codes
    cost_usd: Difference
    latency_ms: Difference
    shift: Shift
    recalled: int
    reproduced: int
