"""What a write depends on: `If-Match`, `If-None-Match`, and the switches in the query."""

from typing import Annotated, NamedTuple

from fastapi import Header, Query

from sidecar.admin.access import Refusal
from sidecar.config.document_edits import ANY
from sidecar.config.writing import Options
from sidecar.errors import Fault


class Precondition(NamedTuple):
    """``etag``: what must be there; ``create``: nothing must be. Without either nobody said."""

    etag: str | None
    create: bool


def precondition(
    if_match: Annotated[
        str | None,
        Header(description="The ETag of what you have read, or `*` for whatever is there"),
    ] = None,
    if_none_match: Annotated[str | None, Header(description="`*`: create, replace nothing")] = None,
) -> Precondition:
    """Return what the headers say. Raises Refusal (400) when they are not understood."""
    if if_match is not None:
        return Precondition(_etag(if_match), create=False)
    if if_none_match is not None and if_none_match.strip() != ANY:
        raise _wrong("if-none-match", "only * is understood here")
    return Precondition(None, create=if_none_match is not None)


def matching(
    if_match: Annotated[
        str | None,
        Header(description="The ETag of what you have read, or `*` for whatever is there"),
    ] = None,
) -> str | None:
    """Return the ETag that must be there, if any. Raises Refusal (400)."""
    return None if if_match is None else _etag(if_match)


def switches(
    force: Annotated[
        bool, Query(description="Restart experiments that must not change so (admin only)")
    ] = False,
    dry_run: Annotated[bool, Query(description="Check everything, write nothing")] = False,
    skip_tests: Annotated[bool, Query(description="Write also when a rule test fails")] = False,
) -> Options:
    """Return how the edit is to be made."""
    return Options(force=force, dry_run=dry_run, skip_tests=skip_tests)


def no_precondition(what: str) -> Refusal:
    """Return what is told to somebody who would replace what he may not have read."""
    detail = f"{what} exists: send If-Match with the ETag that you have read, or * to replace it."
    return Refusal(428, "Precondition required", detail)


def _etag(given: str) -> str:
    """Return an ETag without its quotes; a weak one is as good, for ours are of the content."""
    text = given.strip().removeprefix("W/")
    text = text[1:-1] if len(text) > 1 and text[0] == text[-1] == '"' else text
    if not text or '"' in text or "," in text:
        raise _wrong("if-match", "needs one ETag, or *")
    return text


def _wrong(header: str, message: str) -> Refusal:
    return Refusal(400, "Bad header", f"{header}: {message}", faults=[Fault(header, message)])
