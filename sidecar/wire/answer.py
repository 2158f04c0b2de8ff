"""Decision → ext_proc answer.

Three namespaces of dynamic metadata go back to Envoy:

- ``pointsman.route``: the chain of clusters, read by the route's priority_group specifier, the
  number of retries and the time limit of one attempt up to its first byte;
- ``pointsman.patch``: for each attempt its byte splices, read by the clusters' Lua filter;
- ``pointsman.decision``: what was decided, for response headers and for the access log.
"""

from collections.abc import MutableMapping, Sequence

from google.protobuf.struct_pb2 import Struct, Value

from sidecar.model import LIMITED, Attempt, Decision, Splice
from sidecar.pb import ext_proc_pb2 as pb

_MAX_CHAINS = 4096


class Answers:
    """Encodes decisions; keeps the chains that repeat between requests as bytes."""

    def __init__(self) -> None:
        self._chains: dict[tuple[tuple[str, float], ...], bytes] = {}

    def decided(self, decision: Decision, operation: str, microseconds: int) -> bytes:
        """Return the answer for an Envoy that walks the plan by itself.

        Envoy ignores ``clear_route_cache`` when the answer has no header mutation, so an empty
        one goes with it.
        """
        answer = pb.ProcessingResponse()
        response = answer.request_body.response
        response.clear_route_cache = True
        response.header_mutation.SetInParent()
        spaces = answer.dynamic_metadata.fields
        _write_patch(spaces["pointsman.patch"].struct_value, decision.splices)
        fields = spaces["pointsman.decision"].struct_value.fields
        write_decision(fields, decision, operation, microseconds)
        if decision.hide_usage:
            fields["usage"].string_value = "hidden"
        # Concatenated messages merge, so the chain is appended as ready bytes.
        return answer.SerializeToString() + self._chain(decision.plan.attempts)

    def _chain(self, attempts: Sequence[Attempt]) -> bytes:
        key = tuple([(step.backend.name, step.backend.timeout_seconds) for step in attempts])
        chain = self._chains.get(key)
        if chain is None:
            if len(self._chains) >= _MAX_CHAINS:
                self._chains.clear()
            chain = self._chains[key] = _encode_chain(key)
        return chain


def write_decision(
    fields: MutableMapping[str, Value], decision: Decision, operation: str, microseconds: int
) -> None:
    """Put into ``pointsman.decision`` what was decided; ``microseconds`` is how long it took."""
    fields["id"].string_value = decision.id
    fields["route"].string_value = decision.route
    fields["strategy"].string_value = decision.plan.strategy
    fields["version"].string_value = str(decision.config_version)
    fields["operation"].string_value = operation
    fields["probability"].string_value = f"{decision.plan.probability:.6g}"
    fields["us"].string_value = str(microseconds)
    if decision.warnings:
        fields["warnings"].string_value = ",".join(decision.warnings)


def _write_patch(space: Struct, splices: Sequence[Sequence[Splice]]) -> None:
    attempts = space.fields["attempts"].list_value.values
    for attempt in splices:
        # Without this an attempt that changes nothing would be a Value of no kind at all, and
        # Envoy's Lua filter aborts the whole process on one.
        listed = attempts.add().list_value
        listed.SetInParent()
        flat = listed.values
        for offset, length, text in attempt:
            flat.add().number_value = offset
            flat.add().number_value = length
            flat.add().string_value = text


def _encode_chain(steps: Sequence[tuple[str, float]]) -> bytes:
    """Encode ``(backend, seconds to first byte)`` steps.

    Envoy has one such limit per request, so the largest is sent, and a step with a smaller one
    goes to its backend's second cluster, which keeps that backend's own limit.
    """
    limit = max(seconds for _, seconds in steps)
    answer = pb.ProcessingResponse()
    fields = answer.dynamic_metadata.fields["pointsman.route"].struct_value.fields
    fields["retries"].string_value = str(len(steps) - 1)
    fields["try_ms"].string_value = str(round(limit * 1000))
    groups = fields["priority_groups"].list_value.values
    for place, (name, seconds) in enumerate(steps):
        group = groups.add().struct_value.fields
        group["name"].string_value = str(place)
        cluster = group["clusters"].list_value.values.add().struct_value.fields
        cluster["cluster_name"].string_value = name if seconds >= limit else name + LIMITED
        cluster["weight"].number_value = 1
    return answer.SerializeToString()
