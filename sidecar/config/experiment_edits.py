"""What may be done to a running experiment: moving shares between two arms, and its switches.

Each takes the document as it is stored, changes it in place, and returns what was done in a
sentence for the history. All else that somebody wrote into the document stays as it is.
"""

from collections.abc import Callable
from typing import Any

import msgspec

from sidecar.config.documents import Documents
from sidecar.config.experiments import ExperimentDocument
from sidecar.config.faults import decode, decode_object
from sidecar.errors import ConfigError, Fault

Document = dict[str, Any]
Edit = Callable[[str, Document], str]
"""(name of the experiment, document) → what was done; raises ConfigError when it cannot be."""


def edited(documents: Documents, name: str, edit: Edit) -> tuple[Documents, str]:
    """Return the documents with one experiment changed, and what was done to it.

    Raises ConfigError when there is no such experiment, or ``edit`` cannot be done.
    """
    path = f"experiments.{name}"
    text = documents.experiments.get(name)
    if text is None:
        known = ", ".join(sorted(documents.experiments)) or "there is none"
        raise ConfigError([Fault(path, f"is not there; known: {known}")])
    decode(text, ExperimentDocument, path)
    document = decode_object(text, path)
    done = edit(name, document)
    texts = {**documents.experiments, name: msgspec.json.encode(document)}
    return msgspec.structs.replace(documents, experiments=texts), done


def moving(to: float) -> Edit:
    """Give the candidate ``to`` percent, and the control what that leaves of both their shares."""

    def edit(name: str, document: Document) -> str:
        control, candidate = _sides(name, document)
        whole, before = control["share"] + candidate["share"], candidate["share"]
        if not 0 <= to <= whole + 1e-9:
            raise _refused(name, f"{to:g} % is not from 0 to the {whole:g} % of both arms")
        candidate["share"] = _tidy(min(to, whole))
        control["share"] = _tidy(whole - candidate["share"])
        return f"{candidate['name']} from {before:g} % to {candidate['share']:g} %"

    return edit


def roll_back(name: str, document: Document) -> str:
    """Take the candidate's share away; only its units move, and they move to the control."""
    return f"rolled back: {moving(0)(name, document)}"


def promoting(to: float | None) -> Edit:
    """Go to the next step, or to ``to`` percent.

    A candidate that has nothing begins anew under a new version: what made it lose its share
    must not count against what was mended since.
    """

    def edit(name: str, document: Document) -> str:
        control, candidate = _sides(name, document)
        _check_state(name, document, "running")
        share = candidate["share"]
        whole = _tidy(control["share"] + share)
        higher = [step for step in document["rollout"]["steps"] if min(step, whole) > share]
        if to is None and not higher:
            raise _refused(name, f"{candidate['name']} is at the last step, {share:g} %")
        again = _restart(name, document) if not share else ""
        target = min(*higher, whole) if to is None else to
        return f"promoted: {moving(target)(name, document)}{again}"

    return edit


def hold(name: str, document: Document) -> str:
    """Promote no more by itself; guards still roll back."""
    _sides(name, document)
    document["rollout"]["automatic"] = False
    return "held: no step is climbed until somebody resumes it; guards still roll back"


def resume(name: str, document: Document) -> str:
    """Assign, and climb steps, again; one that was stopped begins anew under a new version."""
    again = _restart(name, document) if document.get("state") == "stopped" else ""
    document["state"] = "running"
    if document.get("rollout"):
        document["rollout"]["automatic"] = True
    return f"resumed{again}"


def start(name: str, document: Document) -> str:
    """Assign requests to its arms."""
    if document.get("state") == "stopped":
        raise _refused(name, "is stopped: resume it, and its data restarts under a new version")
    document["state"] = "running"
    return "started"


def pause(name: str, document: Document) -> str:
    """Assign nobody for now; what was learned stays, and so do units in their arms."""
    if document.get("state", "draft") not in {"running", "paused"}:
        raise _refused(name, f"is {document.get('state', 'draft')}, not running")
    document["state"] = "paused"
    return "paused: requests go on to the next route"


def stop(name: str, document: Document) -> str:
    """End it: nobody is assigned any more, and requests go on to the next route."""
    if document.get("state") == "stopped":
        raise _refused(name, "is stopped already")
    document["state"] = "stopped"
    return "stopped: requests go on to the next route"


def _restart(name: str, document: Document) -> str:
    before = document.get("version", 1)
    # The salt of an experiment without one is made of its version: with another, units would move.
    document.setdefault("salt", f"{name} {before}")
    document["version"] = before + 1
    return f"; version {before + 1}, its data restarts"


def _sides(name: str, document: Document) -> tuple[Document, Document]:
    """Return the documents of control and candidate."""
    rollout, arms = document.get("rollout"), document["arms"]
    if rollout is None:
        raise _refused(name, "has no rollout: put its document to change shares")
    by_name = {arm["name"]: arm for arm in arms}
    control = by_name.get(rollout.get("control") or arms[0]["name"])
    candidate = by_name.get(rollout.get("candidate") or arms[-1]["name"])
    if control is None or candidate is None or control is candidate:
        raise _refused(name, "its rollout needs two of its arms")
    return control, candidate


def _check_state(name: str, document: Document, wanted: str) -> None:
    state = document.get("state", "draft")
    if state != wanted:
        raise _refused(name, f"is {state}, not {wanted}: resume it first")


def _tidy(share: float) -> float:
    """Return a share without the crumbs of adding and subtracting; whole ones as whole."""
    share = round(share, 9)
    return int(share) if share == int(share) else share


def _refused(name: str, why: str) -> ConfigError:
    return ConfigError([Fault(f"experiments.{name}", why)])
