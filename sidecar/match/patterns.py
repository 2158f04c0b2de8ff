"""Regular expressions, by RE2: linear time, because the texts come from clients."""

from collections.abc import Callable
from typing import Any

import re2

LONGEST = 200
"""Characters of a bounded pattern."""

_LARGEST_PROGRAM = 2_000
"""Instructions of a bounded pattern. Each may cost a nanosecond for every byte of the text, when
the states that a counted repetition leads to do not fit into memory."""

_OPTIONS = re2.Options()
_OPTIONS.max_mem = 1 << 20
_OPTIONS.never_capture = True
_OPTIONS.log_errors = False


class BadPattern(ValueError):
    """The text is no pattern, or one that is too large."""


def contained(pattern: str, bytes_searched: int | None = None) -> Callable[[Any], bool]:
    """Build the test whether ``pattern`` is found in a text.

    With ``bytes_searched`` the pattern is bounded, and only the end of a text is searched.
    Raises BadPattern.
    """
    if bytes_searched is None:
        search = _compile(pattern).search
        return lambda value: isinstance(value, str) and search(_encode(value)) is not None
    bounded = compile_bounded(pattern).search
    return lambda value: (
        isinstance(value, str) and bounded(_encode(value)[-bytes_searched:]) is not None
    )


def compile_bounded(pattern: str) -> Any:
    """Compile a pattern whose time can be relied upon; raises BadPattern."""
    if len(pattern) > LONGEST:
        raise BadPattern(f"a pattern longer than {LONGEST} characters")
    compiled = _compile(pattern)
    if compiled.programsize > _LARGEST_PROGRAM:
        raise BadPattern("a pattern too large: it repeats too much, or classes such as \\pL")
    return compiled


def _compile(pattern: str) -> Any:
    try:
        compiled = re2.compile(_encode(pattern), _OPTIONS)
    except re2.error as error:
        reason = error.args[0].decode(errors="replace")
        raise BadPattern(f"not a regular expression: {reason}") from None
    # The library keeps 128 patterns with up to max_mem each; only live rules may hold theirs.
    re2.purge()
    return compiled


def _encode(text: str) -> bytes:
    return text.encode(errors="surrogatepass")
