"""Parts of ext_proc answers, serialised: most requests repeat those of others.

Serialised messages that are concatenated merge, so an answer is put together from parts. Filling a
Struct anew takes 10 µs when the code is in the processor's cache, and five times that between the
other work of a request. Plans whose order is drawn hardly ever repeat as a whole, but their steps
do: hence lists are joined from elements that are kept, as protobuf writes them.
"""

from collections.abc import Callable, Hashable
from typing import TypeVar

from google.protobuf.struct_pb2 import Struct, Value

from sidecar.model import LIMITED, Splice
from sidecar.pb import ext_proc_pb2 as pb

_MOST_PARTS = 4096
_LONGEST_PART = 2048

K = TypeVar("K", bound=Hashable)
Steps = tuple[tuple[str, float], ...]
"""``(backend, seconds to first byte)`` of each attempt."""


class Parts(dict[K, bytes]):
    """Serialised parts by what they say; a missing one is made and, if small, kept."""

    def __init__(self, make: Callable[[K], bytes]) -> None:
        super().__init__()
        self._make = make

    def __missing__(self, key: K) -> bytes:
        part = self._make(key)
        if len(part) <= _LONGEST_PART:
            if len(self) >= _MOST_PARTS:
                self.clear()
            self[key] = part
        return part


class Chains(Parts[Steps]):
    """``pointsman.route``: the clusters in their order, retries, and the time limit of one try.

    Envoy has one such limit per request, so the largest is sent, and a step with a smaller one
    goes to its backend's second cluster, which keeps that backend's own limit.
    """

    def __init__(self) -> None:
        super().__init__(self._encode)
        self._limits = Parts(_encode_limits)
        self._groups = Parts(_encode_group)

    def _encode(self, steps: Steps) -> bytes:
        limit = max([seconds for _, seconds in steps])
        groups = [
            self._groups[place, name if seconds >= limit else name + LIMITED]
            for place, (name, seconds) in enumerate(steps)
        ]
        limits = self._limits[len(steps) - 1, round(limit * 1000)]
        return _namespace(b"pointsman.route", limits + _list(b"priority_groups", groups))


class Patches(Parts[tuple[tuple[Splice, ...], ...]]):
    """``pointsman.patch``: for each attempt its splices, flat: offset, length, text, offset, …"""

    def __init__(self) -> None:
        super().__init__(self._encode)
        self._attempts = Parts(_encode_attempt)

    def _encode(self, splices: tuple[tuple[Splice, ...], ...]) -> bytes:
        attempts = [self._attempts[attempt] for attempt in splices]
        return _namespace(b"pointsman.patch", _list(b"attempts", attempts))


def _encode_limits(limits: tuple[int, int]) -> bytes:
    retries, milliseconds = limits
    fields = Struct()
    fields.fields["retries"].string_value = str(retries)
    fields.fields["try_ms"].string_value = str(milliseconds)
    return fields.SerializeToString()


def _encode_group(group: tuple[int, str]) -> bytes:
    place, cluster = group
    element = Value()
    fields = element.struct_value.fields
    fields["name"].string_value = str(place)
    one = fields["clusters"].list_value.values.add().struct_value.fields
    one["cluster_name"].string_value = cluster
    one["weight"].number_value = 1
    return _field(_ELEMENT, element.SerializeToString())


def _encode_attempt(attempt: tuple[Splice, ...]) -> bytes:
    element = Value()
    # Without this an attempt that changes nothing would be a Value of no kind at all, and
    # Envoy's Lua filter aborts the whole process on one.
    element.list_value.SetInParent()
    flat = element.list_value.values
    for offset, length, text in attempt:
        flat.add().number_value = offset
        flat.add().number_value = length
        flat.add().string_value = text
    return _field(_ELEMENT, element.SerializeToString())


def _tag(number: int) -> bytes:
    """Return the tag of a field that holds a message or a text."""
    return bytes([number << 3 | 2])


_METADATA = _tag(pb.ProcessingResponse.DYNAMIC_METADATA_FIELD_NUMBER)
_ELEMENT = _tag(1)
"""Of ListValue.values, and of Struct.fields; of an entry of those, the key."""
_ENTRY_KEY, _ENTRY_VALUE = _tag(1), _tag(2)
_STRUCT_VALUE = _tag(Value.STRUCT_VALUE_FIELD_NUMBER)
_LIST_VALUE = _tag(Value.LIST_VALUE_FIELD_NUMBER)


def _namespace(name: bytes, fields: bytes) -> bytes:
    """Return an answer with one namespace of metadata; ``fields``: of its Struct."""
    return _field(_METADATA, _entry(name, _field(_STRUCT_VALUE, fields)))


def _list(name: bytes, elements: list[bytes]) -> bytes:
    """Return a field of a Struct that is a list."""
    return _entry(name, _field(_LIST_VALUE, b"".join(elements)))


def _entry(key: bytes, value: bytes) -> bytes:
    return _field(_ELEMENT, _field(_ENTRY_KEY, key) + _field(_ENTRY_VALUE, value))


def _field(tag: bytes, payload: bytes) -> bytes:
    """Return a field of a message: its tag, the length as a varint, the payload."""
    size = len(payload)
    if size < 0x80:
        return tag + bytes((size,)) + payload
    length = bytearray()
    while size >= 0x80:
        length.append(size & 0x7F | 0x80)
        size >>= 7
    length.append(size)
    return tag + length + payload
