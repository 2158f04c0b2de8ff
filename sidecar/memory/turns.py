"""Turns: how many were taken under a key, in this process."""

MOST_KEYS = 100_000


class Turns:
    """Counts turns; of too many keys the one that was used least recently starts anew."""

    def __init__(self, most: int = MOST_KEYS) -> None:
        self._taken: dict[str, int] = {}
        self._most = most

    def get(self, key: str) -> int:
        """Return how many turns were taken under ``key``."""
        return self._taken.get(key, 0)

    def take(self, key: str) -> None:
        """Count one more."""
        self._taken[key] = self._taken.pop(key, 0) + 1
        if len(self._taken) > self._most:
            del self._taken[next(iter(self._taken))]
