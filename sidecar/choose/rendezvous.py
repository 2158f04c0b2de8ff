"""Weighted rendezvous hashing: the same key finds the same arm, on every node, for ever.

Each arm scores ``-weight / ln(h)``, with ``h`` uniform in (0, 1) hashed from salt, arm and key; the
highest score wins, so an arm wins with probability weight/sum. An arm's score depends on no
other arm: raising one weight moves only keys into that arm, and removing an arm only its keys.

Sources: C. Schindelhauer and G. Schomaker, "Weighted distributed hash tables", SPAA 2005 (the
logarithmic method); J. Resch, "New hashing algorithms for data storage", SNIA SDC 2015 (this form).
"""

import json
import math
from collections.abc import Sequence
from hashlib import blake2b
from typing import Any

import msgspec

_LONG = 128


class Rendezvous(msgspec.Struct, frozen=True):
    """Arms with their weights, ready to be scored: place, weight, hash state."""

    arms: tuple[tuple[int, float, Any], ...]
    weightless: tuple[int, ...] = ()
    """Places without a weight: no key finds them."""

    @classmethod
    def of(cls, salt: str, labels: Sequence[str], weights: Sequence[float]) -> "Rendezvous":
        """Prepare arms; the n-th arm with the same label is told apart by its n.

        ``h`` is the first 52 bits, plus one half, of BLAKE2b (8 bytes, big-endian) of the JSON
        array ``[salt, label, n]``, written without blanks and followed by the key in UTF-8.
        """
        seen: dict[str, int] = {}
        arms = []
        for place, (label, weight) in enumerate(zip(labels, weights, strict=True)):
            seen[label] = occurrence = seen.get(label, -1) + 1
            prefix = json.dumps(
                [salt, label, occurrence], ensure_ascii=False, separators=(",", ":")
            )
            state = blake2b(prefix.encode("utf-8", "surrogatepass"), digest_size=8)
            arms.append((place, weight, state))
        return cls(
            tuple(arm for arm in arms if arm[1] > 0), tuple(arm[0] for arm in arms if arm[1] <= 0)
        )

    def find(self, key: str) -> int:
        """Return the place of the arm of ``key``."""
        return min(self.costs(key))[1]

    def rank(self, key: str) -> list[int]:
        """Return all places in the order in which ``key`` prefers them, weightless ones last.

        Without its first arm a key is with its second, and so on.
        """
        order = [place for _, place in sorted(self.costs(key))]
        order += self.weightless
        return order

    def costs(self, key: str) -> list[tuple[float, int]]:
        """Return the negative score and the place of each arm with a weight: the least wins."""
        data = key.encode("utf-8", "surrogatepass")
        costs = []
        for place, weight, state in self.arms:
            hasher = state.copy()
            hasher.update(data)
            # 52 bits: half a step above 53 would round to 1.0, whose logarithm divides by zero.
            h = ((int.from_bytes(hasher.digest(), "big") >> 12) + 0.5) * 2.0**-52
            costs.append((weight / math.log(h), place))
        return costs


def key_text(value: Any) -> str | None:
    """Return the text of a key to hash, or ``None`` when it is as good as missing.

    Strings stay, numbers and booleans become text; empty strings, ``null``, lists and objects
    would gather unrelated requests in one arm, so they count as missing.
    """
    if isinstance(value, str):
        return value or None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float) and abs(value) < 1e300:
        return str(value)
    return None


def short(text: str | None) -> str | None:
    """Return a long key's BLAKE2b instead of it: it may be hashed once for each target."""
    if text is None or len(text) <= _LONG:
        return text
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
