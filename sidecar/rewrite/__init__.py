"""A plan → byte splices of the client's body, one set per attempt."""

from sidecar.rewrite.splices import apply, hides_usage, patch

__all__ = ["apply", "hides_usage", "patch"]
