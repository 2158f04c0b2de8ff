"""What one attempt changes in the client's body, as splices; every other byte stays as it is."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from sidecar.errors import InvalidJson
from sidecar.model import CONTROL_FIELDS, MISSING, Attempt, InferenceRequest, Span, Splice

_CONTROL = frozenset(CONTROL_FIELDS)
_RESERVED = _CONTROL | {"model"}
_WITH_STREAM_OPTIONS = ("chat", "completions")

_encode = msgspec.json.Encoder().encode
_canonical = msgspec.json.Encoder(order="sorted").encode
_decode = msgspec.json.Decoder().decode


def patch(
    request: InferenceRequest, attempt: Attempt, *, count_tokens: bool = True
) -> tuple[Splice, ...]:
    """Return the splices that make the body what this attempt's backend is to get, ascending.

    ``model`` becomes the backend's. Parameters: the attempt's over the backend's defaults over the
    request's own; a null leaves what is below it, and so do the names in `CONTROL_FIELDS`, which
    are removed from the body's top level. A stream of chat or completions asks for its usage,
    unless ``stream_options.include_usage`` is then explicitly false: tokens could not be counted.
    Without ``count_tokens`` it asks for what the request and the parameters ask for.
    A value that is already there, however it is written, is not touched. Raises `InvalidJson` when
    a value is nested too deeply to be compared or written.
    """
    try:
        values, added = _changes(request, _wanted(request, attempt, count_tokens))
    except RecursionError:
        raise InvalidJson("The body or its router is nested too deeply") from None
    if added or not _CONTROL.isdisjoint(request.spans):
        values += _reshaped(request.body, request.spans, ",".join(added))
    values.sort()
    return tuple(values)


def hides_usage(request: InferenceRequest) -> bool:
    """Return whether the client's stream has no usage chunk of its own wish.

    `patch` asks for one nevertheless; the client must not see it, for it has no choices, and most
    clients read ``chunk.choices[0]``.
    """
    if not request.stream or request.operation not in _WITH_STREAM_OPTIONS:
        return False
    return request.value(("stream_options", "include_usage")) is not True


def apply(body: bytes, splices: Iterable[Splice]) -> bytes:
    """Return ``body`` with its splices, which are ascending and do not overlap."""
    pieces: list[bytes] = []
    at = 0
    for offset, length, text in splices:
        pieces += (body[at:offset], text.encode())
        at = offset + length
    pieces.append(body[at:])
    return b"".join(pieces)


def _changes(
    request: InferenceRequest, wanted: Mapping[str, Any]
) -> tuple[list[Splice], list[str]]:
    """Return the splices of values that become others, and the text of the members to add."""
    splices = []
    added = []
    for name, value in wanted.items():
        text = _text(value)
        span = request.spans.get(name)
        if span is None:
            added.append(f"{_text(name)}:{text}")
        elif not _says(request, name, span, text):
            splices.append(Splice(span.start, span.end - span.start, text))
    return splices, added


def _wanted(request: InferenceRequest, attempt: Attempt, count_tokens: bool) -> dict[str, Any]:
    """Return the members that must have a certain value."""
    wanted: dict[str, Any] = {"model": attempt.backend.model}
    for layer in (attempt.backend.defaults, attempt.parameters):
        if layer:
            wanted |= {
                name: value
                for name, value in layer.items()
                if value is not None and name not in _RESERVED
            }
    streams = wanted.get("stream", request.stream) is True
    if count_tokens and streams and request.operation in _WITH_STREAM_OPTIONS:
        stated = wanted.get("stream_options", MISSING)
        options = request.value(("stream_options",)) if stated is MISSING else stated
        wanted["stream_options"] = _with_usage(options)
    return wanted


def _with_usage(options: Any) -> dict[str, Any]:
    if not isinstance(options, Mapping):
        return {"include_usage": True}
    if options.get("include_usage") is False:
        return dict(options)
    return {**options, "include_usage": True}


def _text(value: Any) -> str:
    """Return ``value`` as JSON that can be UTF-8: a lone surrogate becomes a question mark."""
    try:
        return _encode(value).decode()
    except UnicodeEncodeError:
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
        return text.encode(errors="replace").decode()


def _says(request: InferenceRequest, name: str, span: Span, text: str) -> bool:
    """Whether the body has this value already, in whatever spelling."""
    if request.body[span.start : span.end] == text.encode():
        return True
    return _canonical(request.value((name,))) == _canonical(_decode(text))


def _reshaped(body: bytes, spans: Mapping[str, Span], added: str) -> Sequence[Splice]:
    """Remove the control fields, each run of them with one comma, and put ``added`` at the end.

    A run goes with the comma before it, or, at the head of the object, with the one behind it.
    """
    splices = []
    kept: int | None = None  # end of the last member that stays
    run: int | None = None  # where the current run of control fields begins
    end = body.index(b"{") + 1
    for name, span in spans.items():
        if name not in _CONTROL:
            if run is not None:
                splices.append(Splice(run, (span.key if kept is None else end) - run, ""))
            kept, run = span.end, None
        elif run is None:
            run = span.key if kept is None else kept
        end = span.end
    text = f",{added}" if added and kept is not None else added
    start = end if run is None else run
    if text or end > start:
        splices.append(Splice(start, end - start, text))
    return splices
