"""JSON as people paste it: comments, and strings whose lines end in a backslash.

LangDB's guide writes its routers so. What is not JSON becomes blanks, byte for byte, so that every
offset stays what it was.
"""

import re

# Possessive, and what has no end takes all that is left: the text may be any client's, and going
# over it again from every quote or slash would take its square.
_token = re.compile(
    rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?+|//[^\n]*+|/\*[^*]*+(?:\*(?!/)[^*]*+)*+(?:\*/)?+', re.DOTALL
)
_escape = re.compile(rb"\\[ \t]*+\r?\n|\\.", re.DOTALL)


def relax(text: bytes) -> bytes:
    """Return ``text`` with blanks for comments and for backslashes at line ends in strings."""
    return _token.sub(_blank_token, text)


def _blank_token(found: re.Match[bytes]) -> bytes:
    token = found[0]
    if token.startswith(b"/"):
        return b" " * len(token)
    return _escape.sub(_blank_line_end, token) if b"\n" in token else token


def _blank_line_end(found: re.Match[bytes]) -> bytes:
    escape = found[0]
    return b" " * len(escape) if escape.endswith(b"\n") else escape
