"""Conditions → predicates; the route index."""

from sidecar.match.condition import Compiled, compile_condition
from sidecar.match.explain import Clause, explain_condition
from sidecar.match.flags import compile_flag
from sidecar.match.index import build_index
from sidecar.match.subjects import compile_accessor, headers_of

__all__ = [
    "Clause",
    "Compiled",
    "build_index",
    "compile_accessor",
    "compile_condition",
    "compile_flag",
    "explain_condition",
    "headers_of",
]
