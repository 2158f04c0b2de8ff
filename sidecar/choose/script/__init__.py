"""`script`: JavaScript that chooses, in a realm of its own with limits."""

from sidecar.choose.script.router import ScriptRouter

__all__ = ["ScriptRouter"]
