"""`conditional`: LangDB's routes with conditions, and what is checked before them."""

from sidecar.choose.conditional.router import Conditional

__all__ = ["Conditional"]
