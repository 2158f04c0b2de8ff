"""An explanation as a tree for people to read in a terminal."""

from collections.abc import Iterator
from typing import Any

import msgspec
from msgspec import UNSET
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from sidecar.explain import Explanation
from sidecar.explain.explanation import ExplainedPlan, PlannedAttempt, RouteReason
from sidecar.match import Clause
from sidecar.model import CandidateNote, RouterNote

_NO_ROUTE = {
    "(inline)": "by the router in the request",
    "(router)": "by the stored router that the model names",
    "(model)": "no route decided; by the backend that the model names",
    "(default)": "by the default chain",
    "(budget)": "by the router of a budget that is used up",
}


def tree(found: Explanation) -> Tree:
    """Return an explanation, ready to be printed."""
    root = Tree(_headline(found))
    if found.request is not None:
        asked = found.request
        stream = ", streamed" if asked.stream else ""
        facts = f"{asked.operation}, model {_json(asked.model)}, {asked.bytes} bytes{stream}"
        root.add(Text.assemble(("request ", "bold"), facts))
    _add_routes(root, found)
    for router in found.routers:
        _add_router(root, router)
    if found.memory:
        known = root.add(Text("remembered", "bold"))
        for one in found.memory:
            known.add(Text(f"{one.kind} {_json(one.key)}: {_json(one.value)}"))
    for key, value in found.notes.items():
        root.add(Text(f"{key}: {_json(value)}"))
    if found.plan is not None:
        _add_plan(root, found.plan)
    for warning in found.warnings:
        root.add(Text.assemble(("warning ", "yellow"), warning))
    if found.refusal is not None:
        param = f" ({found.refusal.param})" if found.refusal.param else ""
        told = f"{found.refusal.status} {found.refusal.code}: {found.refusal.message}{param}"
        root.add(Text.assemble(("refused ", "bold red"), told))
    return root


def _headline(found: Explanation) -> Text:
    if found.plan is None:
        where = ("refused", "bold red")
    else:
        where = (found.plan.attempts[0].backend, "bold green")
    how = _NO_ROUTE.get(found.step or "", f"by route {found.route}") if found.step else ""
    said = Text.assemble("→ ", where, f" {how}" if how else "")
    said.append(f"\n{found.id}  rules version {found.config_version}  {found.at}", "dim")
    return said


def _add_routes(root: Tree, found: Explanation) -> None:
    if not found.routes and not found.skipped:
        return
    routes = root.add(Text("routes", "bold"))
    for skipped in found.skipped:
        more = ", …" if skipped.count > len(skipped.names) else ""
        names = f" ({', '.join(skipped.names)}{more})"
        routes.add(Text(f"{skipped.count} not asked: {skipped.why}{names}", "dim"))
    for route in found.routes:
        _add_route(routes, route)


def _add_route(routes: Tree, route: RouteReason) -> None:
    title = Text.assemble(_mark(route.matched), (route.name, "bold"), f"  order {route.order:g}")
    if route.passed_over:
        title.append("  passed over: it had nothing to try", "yellow")
    if route.why is None:
        title.append("  always", "dim")
        routes.add(title)
        return
    _add_clause(routes.add(title), route.why)


def _add_clause(above: Tree, clause: Clause) -> None:
    for word, parts in (("all of", clause.all), ("any of", clause.any)):
        if parts is not UNSET:
            group = above.add(Text.assemble(_mark(clause.holds), word))
            for part in parts:
                _add_clause(group, part)
    if clause.negated is not UNSET:
        _add_clause(above.add(Text.assemble(_mark(clause.holds), "not")), clause.negated)
    if clause.subject is not UNSET:
        value = "is missing" if clause.value is UNSET else f"is {_json(clause.value)}"
        asked = f"{clause.subject} {clause.op} {_json(clause.operand)}"
        above.add(
            Text.assemble(_mark(clause.holds), asked, (f"  {_failure(clause, value)}", "dim"))
        )
    if clause.expr is not UNSET:
        failed = _failure(clause, "")
        above.add(Text.assemble(_mark(clause.holds), clause.expr, (f"  {failed}", "dim")))


def _failure(clause: Clause, otherwise: str) -> str:
    return otherwise if clause.error is UNSET else f"failed: {clause.error}"


def _add_router(above: Tree, router: RouterNote) -> None:
    title = Text.assemble(("router ", "bold"), router.router, f"  {router.type}")
    if router.probability != 1:
        title.append(f"  probability {router.probability:.4g}")
    if router.draws:
        title.append(f"  drew {', '.join(f'{draw:.6f}' for draw in router.draws)}", "dim")
    branch = above.add(title)
    for key, value in router.notes.items():
        branch.add(Text(f"{key}: {_json(value)}"))
    rows = [*_rows(router)]
    if rows:
        branch.add(_candidates(rows))
    else:
        branch.add(Text("nothing to try", "yellow"))
    for inner in router.inner:
        _add_router(branch, inner)


def _rows(router: RouterNote) -> Iterator[tuple[Text, ...]]:
    """Yield the ranking, best first, and then what is not in it: place, name, score, details."""
    notes = list(router.candidates)
    for place, (target, backend) in enumerate(router.order, 1):
        note = _take(notes, target, backend) or CandidateNote(target, place)
        named = target if target == backend else f"{target} → {backend}"
        yield Text(str(place)), Text(named), Text(_score(note)), Text(_details(note.details))
    for note in notes:
        if note.excluded is not None:
            named = ", ".join([note.target, *(one for one in note.backends if one != note.target)])
            cells = ("✗", named, _score(note), note.excluded)
            yield tuple(Text(cell, "dim") for cell in cells)


def _score(note: CandidateNote) -> str:
    return "" if note.score is None else f"{note.score:.6g}"


def _take(notes: list[CandidateNote], target: str, backend: str) -> CandidateNote | None:
    """Remove and return the note about a candidate of the ranking."""
    for note in notes:
        same = note.target == target and note.excluded is None
        if same and (not note.backends or note.backends[0] == backend):
            notes.remove(note)
            return note
    return None


def _candidates(rows: list[tuple[Text, ...]]) -> RenderableType:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for place, header in enumerate(("", "candidate", "score", "")):
        if any(row[place] for row in rows):
            table.add_column(header)
    for row in rows:
        table.add_row(*(cell for place, cell in enumerate(row) if any(one[place] for one in rows)))
    return table


def _add_plan(root: Tree, plan: ExplainedPlan) -> None:
    title = Text.assemble(("plan", "bold"), f"  {plan.strategy}")
    if plan.probability != 1:
        title.append(f"  probability {plan.probability:.4g}")
    branch = root.add(title)
    for place, attempt in enumerate(plan.attempts, 1):
        branch.add(_attempt(place, attempt))
    for effect in plan.effects:
        said = {key: value for key, value in effect.items() if key != "type"}
        branch.add(Text(f"remembers {effect['type']} {_json(said)}", "dim"))


def _attempt(place: int, attempt: PlannedAttempt) -> Text:
    text = Text.assemble(f"{place}. ", (attempt.backend, "green"))
    text.append(f"  {attempt.provider}/{attempt.model}", "dim")
    if attempt.parameters:
        text.append(f"  {_json(attempt.parameters)}")
    for change in attempt.changes:
        put = change.text or "nothing"
        text.append(f"\n   body[{change.at}:{change.at + change.removed}] → {put}", "dim")
    return text


def _details(details: dict[str, Any]) -> str:
    return "  ".join(f"{key} {_json(value)}" for key, value in details.items())


def _mark(holds: bool) -> tuple[str, str]:
    return ("✓ ", "green") if holds else ("✗ ", "red")


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()
