"""`script`: JavaScript decides, bounded in time, memory and output."""

import json
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, ClassVar

import msgspec

from sidecar.choose.definition import Arm, Definition, Site
from sidecar.choose.fallback import AsListed
from sidecar.choose.script.facts import Facts, Seat, seat
from sidecar.choose.script.sandbox import Inputs, Script, compile_script
from sidecar.errors import ConfigError, RouterForbidden, ScriptError
from sidecar.model import (
    CONTROL_FIELDS,
    MAX_ATTEMPTS,
    SECRET_HEADERS,
    Attempt,
    Candidate,
    Context,
    InferenceRequest,
    Leaf,
    Ranking,
    Router,
    Strategy,
)

MAX_BODY = 2 * 2**20
"""Bytes of the largest body that is handed over: what a script makes of it has to fit as well."""

_words = re.compile(r"\b(?:body|request|headers|models|metrics|random)\b")
_headers = re.compile(r"""\bheaders\s*(?:\?\.)?\s*(?:\.(\w+)|\[\s*["'`]([\w-]+)["'`]\s*\])""")

_NOTHING = Ranking(())


class Scripted(msgspec.Struct, frozen=True):
    """Ranks as a script says. ``words``: the inputs that it mentions; others cost nothing."""

    script: Script
    words: frozenset[str]
    facts: Facts

    def rank(self, candidates: Sequence[Candidate], context: Context) -> Ranking:
        """Return what the script chose, then the other candidates in their order.

        Nothing when it chose nothing or failed. The draws of a script are its own affair, so the
        probability is always stated as 1.
        """
        trail = context.trail
        try:
            value = self._ask(candidates, context)
            if trail is not None:
                trail.note("result", value)
            return self._ranking(value, candidates)
        except ScriptError as error:
            context.warn("script_error")
            if trail is not None:
                trail.note("error", error.message)
            return _NOTHING

    def _ask(self, candidates: Sequence[Candidate], context: Context) -> Any:
        words, request = self.words, context.request
        reads_body = "body" in words or "request" in words
        if reads_body and len(request.body) > MAX_BODY:
            raise ScriptError(f"the body is over {MAX_BODY >> 20} MiB")
        answer = self.script(
            Inputs(
                now=float(int(context.now * 1000)),
                seed=int(context.entropy.uniform() * 2**32) if "random" in words else 0,
                body=_body(request) if reads_body else None,
                headers=_shown_headers(request.headers) if "headers" in words else None,
                models=self.facts.models(candidates, context.now) if "models" in words else None,
                metrics=self.facts.metrics(context.stats.backends) if "metrics" in words else None,
            )
        )
        if answer.error is not None:
            raise ScriptError(answer.error)
        return answer.value

    def _ranking(self, value: Any, candidates: Sequence[Candidate]) -> Ranking:
        if value is None:
            return _NOTHING
        items = value if isinstance(value, list) else [value]
        by_seat = {seat(candidate): candidate for candidate in candidates}
        left = dict(by_seat)
        chosen: list[Candidate] = []
        for item in items[:MAX_ATTEMPTS]:
            seats, parameters = self._read(item)
            for one in seats:
                if one in by_seat:
                    left.pop(one, None)
                    chosen.append(_with(by_seat[one], parameters))
        return Ranking([*chosen, *left.values()]) if chosen else _NOTHING

    def _read(self, item: Any) -> tuple[Sequence[Seat], Mapping[str, Any]]:
        """Return the candidates that an item of the result means, and its parameters."""
        parameters: Mapping[str, Any] = {}
        name = item
        if isinstance(item, dict):
            name = item.get("model")
            # A whole entry of `models` is as good as its name; its facts are no parameters.
            parameters = {} if "inference_provider" in item else item
        if not isinstance(name, str):
            raise ScriptError("the result is no name, no object with `model`, no list of these")
        seats = self.facts.names.get(name)
        if seats is None:
            raise ScriptError(f"the result names no target: {name[:40]}")
        return seats, parameters


class ScriptRouter(Definition, frozen=True, kw_only=True):
    """The document of a `script` router; without targets every backend is one."""

    names: ClassVar = ("script",)
    spread: ClassVar = True

    script: str = ""

    def arms(self, site: Site) -> list[Arm]:
        """Return the targets, or all backends; raises RouterForbidden where scripts are off."""
        if not site.scripts:
            message = "scripts in requests are switched off here (POINTSMAN_INLINE_SCRIPTS)"
            raise RouterForbidden(message, site.path)
        if site.document.get("targets", []) == []:
            return [Arm("", backend.name) for backend in site.catalog.backends()]
        return super().arms(site)

    def strategy(
        self, site: Site, _arms: Sequence[Arm], targets: Sequence[Leaf | Router]
    ) -> Strategy:
        """Return the compiled script; what is wrong with one in a request raises ScriptError."""
        try:
            script = compile_script(self.script)
        except ScriptError as error:
            message = f"does not compile: {error.message}"
            if not site.strict:
                raise ScriptError(message, f"{site.path}.script") from None
            site.fault(".script", message)
            return AsListed()
        for match in _headers.finditer(self.script):
            # So that Envoy sends the headers that the script reads; a method's name does no harm.
            with suppress(ConfigError):
                site.compilers.accessor(f"headers.{match[1] or match[2]}", site.path)
        return Scripted(script, frozenset(_words.findall(self.script)), Facts(targets))


def _body(request: InferenceRequest) -> str:
    """Return the body without the value of `router`, which need not even be JSON."""
    body, router = request.body, request.spans.get("router")
    if router is not None:
        body = b"%bnull%b" % (body[: router.start], body[router.end :])
    return body.decode()


def _shown_headers(headers: Mapping[str, str]) -> str:
    return json.dumps({name: text for name, text in headers.items() if name not in SECRET_HEADERS})


def _with(candidate: Candidate, parameters: Mapping[str, Any]) -> Candidate:
    """Return ``candidate`` with parameters of the script over its own; `null` overrides nothing."""
    set_ = {
        key: value
        for key, value in parameters.items()
        if key != "model" and value is not None and key not in CONTROL_FIELDS
    }
    if not set_:
        return candidate
    attempts = tuple(
        [Attempt(one.backend, {**one.parameters, **set_}) for one in candidate.plan.attempts]
    )
    return candidate._replace(plan=candidate.plan._replace(attempts=attempts))
