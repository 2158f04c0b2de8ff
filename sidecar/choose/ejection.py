"""Backends that fail are tried last; a few requests try them in their place, on trial.

How many that are is counted by turns, so it holds for each worker and each round of trials.
"""

from sidecar.model import Assignment, Context, Effect, Out, Plan, TakeTurn

TRIALS = 1
"""Requests per worker and round of trials that may begin with a backend that was out."""
_KEY = "trial:"


def put_back(plan: Plan, context: Context) -> Plan:
    """Return ``plan`` with the backends that are out behind all others, in their own order.

    A backend on trial keeps its place as long as there are trials left; beginning with it takes
    one. When a plan begins with somebody else than it should, the arms that it is for count as
    failed, and its probability is 0: it is not known any more.
    """
    out = context.stats.out
    late = [one for one in plan.attempts if _is_late(out.get(one.backend.name), context)]
    if late and context.trail is not None:
        context.trail.note("out", {one.backend.name: out[one.backend.name].reason for one in late})
    order = plan.attempts
    if late and len(late) < len(order):
        order = (*(one for one in order if one not in late), *late)
    first = order[0]
    if first != plan.attempts[0]:
        effects = tuple(map(_missed, plan.effects))
        plan = plan._replace(probability=0.0, effects=effects)
    tried = out.get(first.backend.name)
    if tried is not None and tried.trial and first not in late:
        plan = plan._replace(effects=(*plan.effects, TakeTurn(_KEY + tried.trial)))
        if context.trail is not None:
            context.trail.note("trial", {first.backend.name: tried.reason})
    return plan._replace(attempts=order)


def _is_late(state: Out | None, context: Context) -> bool:
    if state is None:
        return False
    return not state.trial or context.memory.turn(_KEY + state.trial) >= TRIALS


def _missed(effect: Effect) -> Effect:
    return effect._replace(missed=True) if isinstance(effect, Assignment) else effect
