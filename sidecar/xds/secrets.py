"""Credentials: references in the rules → files that only Envoy and we can read.

A secret's text goes from where it is kept into Envoy's file, and nowhere else: messages name the
backend and the reference at most.
"""

from collections.abc import Mapping
from pathlib import Path

from sidecar.errors import PointsmanError
from sidecar.xds.resources import encode, typed


class SecretMissing(PointsmanError):
    """A credential cannot be had; the message says why and never quotes it."""

    code = "secret_missing"


def read_secret(reference: str, environ: Mapping[str, str]) -> str:
    """Return the secret that ``env:NAME`` or ``file:PATH`` points to, without its line end.

    Raises SecretMissing: not set, not readable, empty, or not fit for a header.
    """
    kind, _, place = reference.partition(":")
    if kind == "env":
        text = environ.get(place, "")
    elif kind == "file":
        text = _read(place)
    else:  # somebody may have written the secret itself, so it is not quoted
        raise SecretMissing("is neither env:NAME nor file:PATH")
    text = text.strip()
    if not text:
        raise SecretMissing(f"{reference} is not set or empty")
    if not (text.isascii() and text.isprintable()):
        raise SecretMissing(f"{reference} has characters that no header can carry")
    return text


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise SecretMissing(f"file:{path} cannot be read: {type(error).__name__}") from None


def secret_text(name: str, text: str) -> bytes:
    """Return the text of the SDS file of backend ``name``.

    With an empty secret nothing is injected; the file is needed all the same, since Envoy refuses
    a cluster whose file is missing. The version is constant: a hash would tell of the secret.
    """
    secret = typed(
        "envoy.extensions.transport_sockets.tls.v3.Secret",
        name=name,
        generic_secret={"secret": {"inline_string": text}},
    )
    return encode([secret], version="0")
