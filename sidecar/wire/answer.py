"""Decision → ext_proc answer.

These namespaces of dynamic metadata go back to Envoy:

- ``pointsman.route``: the chain of clusters, read by the route's priority_group specifier, the
  number of retries and the time limit of one attempt up to its first byte;
- ``pointsman.patch``: for each attempt its byte splices, read by the clusters' Lua filter;
- ``pointsman.decision``: what was decided, for response headers and for the access log;
- ``pointsman.budgets``: the counters that the tokens and dollars of the answer go to, for the
  access log;
- ``pointsman.trace``: the trace context for the backend, and the client's span, if requests are
  traced;
- ``pointsman.explain``: why, as a response header, for those who asked and may.
"""

from collections.abc import MutableMapping, Sequence

import msgspec
from google.protobuf.struct_pb2 import Value

from sidecar.model import MOST_ASSIGNMENTS, Assignment, Charge, Decision, Plan, TraceContext
from sidecar.pb import ext_proc_pb2 as pb
from sidecar.wire.parts import Chains, Parts, Patches

_ID, _MICROSECONDS = b"\x01" * 28, b"\x02" * 6
_UNIT = "\x03" * 16
_UNIT_BYTES = _UNIT.encode()
"""Stand for a decision's id and duration, and for units, in what is kept; nothing else has such
characters."""
_HEADER, _PARENT = b"\x04" * 55, b"\x05" * 16
"""Stand for a `traceparent` and the id of a span in it."""


_Facts = tuple[str, str, int, str, float, tuple[str, ...], bool, tuple[Assignment, ...]]


class Answers:
    """Encodes decisions for an Envoy that walks plans by itself."""

    def __init__(self) -> None:
        self._chains = Chains()
        self._patches = Patches()
        self._facts: Parts[_Facts] = Parts(_encode_facts)

    def decided(
        self,
        decision: Decision,
        operation: str,
        microseconds: int,
        unlimited: frozenset[str] = frozenset(),
    ) -> bytes:
        """Return the answer; ``microseconds`` is how long it took to decide.

        ``unlimited``: backends that Envoy has, but not yet with a time limit of their own.
        """
        plan = decision.plan
        assigned = assignments_of(plan) if plan.effects else ()
        facts = self._facts[
            decision.route,
            plan.strategy,
            decision.config_version,
            operation,
            plan.probability,
            decision.warnings,
            decision.hide_usage,
            tuple([_without_unit(one) for one in assigned]) if assigned else (),
        ]
        took = f"{min(microseconds, 999_999):06}"
        facts = facts.replace(_ID, decision.id.encode(), 1)
        facts = facts.replace(_MICROSECONDS, took.encode(), 1)
        for one in assigned:
            if len(one.unit) == len(_UNIT):
                facts = facts.replace(_UNIT_BYTES, one.unit.encode(), 1)
        steps = tuple([(one.backend.name, one.backend.timeout_seconds) for one in plan.attempts])
        if unlimited:
            longest = max(seconds for _, seconds in steps)
            steps = tuple(
                [(name, longest if name in unlimited else seconds) for name, seconds in steps]
            )
        return facts + self._patches[decision.splices] + self._chains[steps]

    @staticmethod
    def traced(context: TraceContext, parent: TraceContext | None) -> bytes:
        """Return what an answer is continued with when requests are traced.

        ``context``: of the decision's span; ``parent``: the client's.
        """
        header = context.header.encode()
        if parent is None:
            return _TRACED.replace(_HEADER, header, 1)
        continued = _CONTINUED.replace(_HEADER, header, 1)
        return continued.replace(_PARENT, parent.span_id.encode(), 1)

    @staticmethod
    def charged(charges: Sequence[Charge]) -> bytes:
        """Return what an answer is continued with when budgets count what it costs."""
        answer = pb.ProcessingResponse()
        space = answer.dynamic_metadata.fields["pointsman.budgets"].struct_value
        space.fields["charges"].string_value = msgspec.json.encode(charges).decode()
        return answer.SerializeToString()

    @staticmethod
    def explained(explanation: str) -> bytes:
        """Return what an answer is continued with for somebody who asked why."""
        answer = pb.ProcessingResponse()
        space = answer.dynamic_metadata.fields["pointsman.explain"].struct_value
        space.fields["explanation"].string_value = explanation
        return answer.SerializeToString()


def _encode_trace(header: bytes, parent: bytes) -> bytes:
    answer = pb.ProcessingResponse()
    fields = answer.dynamic_metadata.fields["pointsman.trace"].struct_value.fields
    fields["traceparent"].string_value = header.decode()
    if parent:
        fields["parent"].string_value = parent.decode()
    return answer.SerializeToString()


_TRACED, _CONTINUED = _encode_trace(_HEADER, b""), _encode_trace(_HEADER, _PARENT)


def _without_unit(one: Assignment) -> Assignment:
    return one._replace(unit=_UNIT) if len(one.unit) == len(_UNIT) else one


def _encode_facts(facts: _Facts) -> bytes:
    """Encode what was decided, and the order to route anew.

    Envoy ignores ``clear_route_cache`` when the answer has no header mutation, so an empty one
    goes with it.
    """
    route, strategy, version, operation, probability, warnings, hide_usage, assigned = facts
    answer = pb.ProcessingResponse()
    answer.request_body.response.clear_route_cache = True
    answer.request_body.response.header_mutation.SetInParent()
    fields = answer.dynamic_metadata.fields["pointsman.decision"].struct_value.fields
    fields["id"].string_value = _ID.decode()
    fields["us"].string_value = _MICROSECONDS.decode()
    fields["route"].string_value = route
    fields["strategy"].string_value = strategy
    fields["version"].string_value = str(version)
    fields["operation"].string_value = operation
    fields["probability"].string_value = f"{probability:.6g}"
    if warnings:
        fields["warnings"].string_value = ",".join(warnings)
    if hide_usage:
        fields["usage"].string_value = "hidden"
    if assigned:
        fields["assignments"].string_value = assignments_text(assigned)
    return answer.SerializeToString()


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
    if assigned := assignments_of(decision.plan):
        fields["assignments"].string_value = assignments_text(assigned)


def assignments_of(plan: Plan) -> tuple[Assignment, ...]:
    """Return the arms that the request is in, at most MOST_ASSIGNMENTS."""
    found = [effect for effect in plan.effects if isinstance(effect, Assignment)]
    return tuple(found[:MOST_ASSIGNMENTS])


def assignments_text(assigned: Sequence[Assignment]) -> str:
    """Return assignments as JSON, each as a list: ``[["checkout",3,"canary",0.2,"9f86…",""]]``.

    A seventh element says that the arm had nothing to try.
    """
    return f"[{','.join(map(_assignment_text, assigned))}]"


def _assignment_text(one: Assignment) -> str:
    # The unit is put in as it is: what stands for one must not be escaped.
    propensity = float(f"{one.propensity:.6g}")
    head = msgspec.json.encode([one.experiment, one.version, one.arm, propensity]).decode()
    missed = ",true" if one.missed else ""
    return f'{head[:-1]},"{one.unit}",{msgspec.json.encode(one.bucket).decode()}{missed}]'
