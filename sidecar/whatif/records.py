"""Past decisions, as far as they were recorded: facts, what was decided, what came of it."""

from collections.abc import Mapping

import msgspec

from sidecar.whatif.facts import Facts


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a request; ``None`` is what is not known. Times in milliseconds."""

    answered: bool = False
    error: bool = False
    """Whether it failed, and not by the client's fault."""
    backend: str = ""
    """The backend of the last attempt."""
    latency_ms: float | None = None
    ttft_ms: float | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cost_usd: float | None = None


class Decided(msgspec.Struct, frozen=True, kw_only=True):
    """What was decided then. ``unit``: a digest of what the choice stuck to, if it did."""

    route: str = ""
    strategy: str = ""
    backends: tuple[str, ...] = ()
    probability: float | None = None
    version: int = 0
    unit: str = ""
    outcome: Outcome = Outcome()
    feedback: Mapping[str, float] = {}
    """Metric → value, of what people or graders said of it."""


class Record(msgspec.Struct, frozen=True):
    """One past request. ``decided`` is ``None`` when only its facts are known (yet)."""

    id: str
    facts: Facts
    decided: Decided | None = None

    @property
    def seed(self) -> int:
        """Return the seed of the decision's draws."""
        return int(self.id[12:28], 16)

    @property
    def now(self) -> float:
        """Return when it was decided, in Unix seconds."""
        return int(self.id[:12], 16) / 1000
