"""Context buckets: what a bandit learns apart, because other targets may be best there."""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from itertools import pairwise
from typing import Any

import msgspec

from sidecar.choose.definition import Site
from sidecar.choose.rendezvous import key_text
from sidecar.model import Accessor, Context

MISSING = "-"
MOST_SUBJECTS, MOST_CUTS = 4, 20
_LONGEST = 64

BucketBy = str | tuple[str, ...] | dict[str, tuple[float, ...]]
"""SUBJECTs, each by its values or by the numbers that cut them into ranges."""


class Buckets(msgspec.Struct, frozen=True):
    """Reads the bucket of a request. Without ``cuts`` a SUBJECT's value is its part's name."""

    readers: tuple[tuple[Accessor, tuple[float, ...], tuple[str, ...]], ...]
    """Accessor, cuts, and the names of the ranges between them."""

    def of(self, context: Context) -> str:
        """Return the bucket's name: its parts with ``|`` between them."""
        parts = []
        for read, cuts, names in self.readers:
            value = read(context)
            if not cuts:
                parts.append(_text(value))
            elif isinstance(value, int | float) and not isinstance(value, bool):
                parts.append(names[bisect_right(cuts, value)])
            else:
                parts.append(MISSING)
        return "|".join(parts)


def compile_buckets(context: BucketBy, site: Site) -> Buckets | None:
    """Compile a router's `context`; what is wrong with it is noted as a fault."""
    subjects = _subjects(context)
    if len(subjects) > MOST_SUBJECTS:
        site.fault(".context", f"{len(subjects)} subjects; there may be {MOST_SUBJECTS}")
        return None
    readers = []
    for where, (subject, cuts) in zip(_places(context), subjects.items(), strict=True):
        accessor = site.accessor(subject, where)
        if len(cuts) > MOST_CUTS or any(low >= high for low, high in pairwise(cuts)):
            site.fault(where, f"expected at most {MOST_CUTS} numbers, each above the one before")
        elif accessor is not None:
            readers.append((accessor, cuts, _ranges(cuts)))
    return Buckets(tuple(readers)) if readers else None


def _subjects(context: BucketBy) -> Mapping[str, tuple[float, ...]]:
    if isinstance(context, dict):
        return context
    return dict.fromkeys((context,) if isinstance(context, str) else context, ())


def _places(context: BucketBy) -> Sequence[str]:
    if isinstance(context, str):
        return [".context"]
    if isinstance(context, dict):
        return [f".context.{subject}" for subject in context]
    return [f".context[{place}]" for place, _ in enumerate(dict.fromkeys(context))]


def _ranges(cuts: Sequence[float]) -> tuple[str, ...]:
    """Return `<500`, `500-4000`, `>=4000`."""
    if not cuts:
        return ()
    inner = [f"{low:g}-{high:g}" for low, high in pairwise(cuts)]
    return (f"<{cuts[0]:g}", *inner, f">={cuts[-1]:g}")


def _text(value: Any) -> str:
    text = key_text(value)
    if text is None:
        return MISSING
    if len(text) > _LONGEST:
        return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()
    # A header can have half of a character, which a log cannot.
    return text if text.isascii() else text.encode("utf-8", "replace").decode()
