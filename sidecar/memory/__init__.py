"""What a worker remembers between requests: turns, pins of sessions, counts, verdicts."""

from sidecar.memory.live import LiveMemory

__all__ = ["LiveMemory"]
