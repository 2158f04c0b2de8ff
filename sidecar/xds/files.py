"""The run directory: files that are replaced in one step, and only when they differ."""

import os
from collections.abc import Collection
from pathlib import Path


class ResourceFolder:
    """A private folder (mode 0700) of private files (0600); nobody else writes into it."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder = folder
        self._written: dict[str, bytes] = {}

    def write(self, name: str, data: bytes) -> bool:
        """Replace file ``name`` by rename, which is what Envoy watches for; ``False``: the same."""
        if self._current(name) == data:
            return False
        new = self._folder / f"{name}.new"
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
        new.replace(self._folder / name)
        self._written[name] = data
        return True

    def has(self, name: str) -> bool:
        """Return whether there is such a file."""
        return self._current(name) is not None

    def keep_only(self, names: Collection[str]) -> None:
        """Remove all other files."""
        for path in self._folder.iterdir():
            if path.name not in names:
                path.unlink()
                self._written.pop(path.name, None)

    def _current(self, name: str) -> bytes | None:
        if name not in self._written:
            try:
                self._written[name] = (self._folder / name).read_bytes()
            except FileNotFoundError:
                return None
        return self._written[name]
