"""What arms are compared by: built-in metrics by name, and those that a document describes."""

import re
from collections.abc import Iterable, Iterator, Mapping

import msgspec

from sidecar.config.faults import nearest
from sidecar.errors import ConfigError, Fault
from sidecar.model import Direction, Metric, MetricKind

BUILT_IN: Mapping[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("error_rate", "proportion", "decrease", "error_rate"),
        Metric("latency_ms", "mean", "decrease", "latency_ms"),
        Metric("ttft_ms", "mean", "decrease", "ttft_ms"),
        Metric("tokens_per_second", "ratio", "increase", "tokens_per_second"),
        Metric("input_tokens", "mean", "decrease", "input_tokens"),
        Metric("output_tokens", "mean", "decrease", "output_tokens"),
        Metric("cost_usd", "mean", "decrease", "cost_usd"),
    )
}
"""Metrics of every experiment; they need no line in its document."""

_TIMES = ("latency_ms", "ttft_ms")
"""Built-in metrics that have quantiles: `latency_p99_ms`."""

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}\Z")
_LEVEL = re.compile(r"_p(\d{1,4})(?=_|\Z)")


class MetricDocument(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``of``: what is measured, the name itself unless it is given; ``per`` is for a ratio."""

    name: str
    kind: MetricKind | None = None
    direction: Direction | None = None
    of: str | None = None
    per: str | None = None
    q: float | None = None


def built_in(name: str) -> Metric | None:
    """Return the built-in metric called ``name``, also a quantile such as `ttft_p95_ms`."""
    if name in BUILT_IN:
        return BUILT_IN[name]
    of, q = _split(name)
    return None if q is None or of not in _TIMES else Metric(name, "quantile", "decrease", of, q=q)


def compile_metrics(documents: Iterable[MetricDocument], path: str) -> dict[str, Metric]:
    """Return the metrics by name, as listed; raises ConfigError with every fault."""
    found: dict[str, Metric] = {}
    faults: list[Fault] = []
    for place, document in enumerate(documents):
        where = f"{path}[{place}]"
        wrong = [*_check(document, where)]
        if document.name in found:
            wrong.append(Fault(f"{where}.name", f'"{document.name}" is there already'))
        if not wrong:
            found[document.name] = _metric(document)
        faults += wrong
    if faults:
        raise ConfigError(faults)
    return found


def find_metric(name: str, known: Mapping[str, Metric], path: str) -> Metric:
    """Return the metric called ``name``, described or built-in; raises ConfigError."""
    metric = known.get(name) or built_in(name)
    if metric is None:
        legal = [*known, *BUILT_IN, "latency_p95_ms", "ttft_p95_ms"]
        raise ConfigError([Fault(path, f'unknown metric "{name}"; {nearest(name, legal)}')])
    return metric


def _metric(document: MetricDocument) -> Metric:
    name, standard = document.name, built_in(document.name)
    if standard is not None:
        return msgspec.structs.replace(standard, direction=document.direction or standard.direction)
    of, q = _split(name) if document.kind == "quantile" else (name, None)
    of = document.of or of
    usual = BUILT_IN[of].direction if of in BUILT_IN else "increase"
    kind = document.kind or "mean"
    return Metric(name, kind, document.direction or usual, of, document.per, q)


def _check(document: MetricDocument, path: str) -> Iterator[Fault]:
    name, kind, standard = document.name, document.kind, built_in(document.name)
    if not _NAME.match(name):
        yield Fault(f"{path}.name", "needs a letter, then at most 63 letters, digits, _ or -")
    elif standard is not None:
        yield from _check_standard(document, standard, path)
    elif kind is None:
        yield Fault(f"{path}.kind", "is missing; legal: proportion, mean, quantile, ratio")
    else:
        yield from _check_own(document, kind, path)


def _check_standard(document: MetricDocument, standard: Metric, path: str) -> Iterator[Fault]:
    for field in ("kind", "of", "per", "q"):
        given, fixed = getattr(document, field), getattr(standard, field)
        if given is not None and given != fixed:
            is_what = f"is {fixed}" if fixed is not None else "has none"
            yield Fault(
                f"{path}.{field}", f"{standard.name} is built in, and its {field} {is_what}"
            )


def _check_own(document: MetricDocument, kind: MetricKind, path: str) -> Iterator[Fault]:
    of, q = _split(document.name)
    if kind == "quantile":
        of = document.of or of
        if q is None:
            yield Fault(f"{path}.name", "a quantile's name says its level, as score_p10 does")
        elif document.q is not None and abs(document.q - q) > 1e-9:
            yield Fault(f"{path}.q", f"{document.q:g} is not what the name says: {q:g}")
        if of in BUILT_IN and of not in _TIMES:
            yield Fault(f"{path}.of", f"{of} has no quantiles; built-in ones: {', '.join(_TIMES)}")
    elif document.q is not None:
        yield Fault(f"{path}.q", "is for kind quantile")
    if kind == "ratio":
        yield from _check_ratio(document, path)
    elif document.per is not None:
        yield Fault(f"{path}.per", "is for kind ratio")
    for field in ("of", "per"):
        value = getattr(document, field)
        if value is not None and not _NAME.match(value):
            yield Fault(f"{path}.{field}", "needs the name of a metric")


def _check_ratio(document: MetricDocument, path: str) -> Iterator[Fault]:
    for field in ("of", "per"):
        value = getattr(document, field)
        if value is None:
            yield Fault(
                f"{path}.{field}", "is missing: a ratio is the sum of `of` by that of `per`"
            )
        elif value == "tokens_per_second":
            yield Fault(f"{path}.{field}", "tokens_per_second is a ratio itself")


def _split(name: str) -> tuple[str, float | None]:
    """Return what a name is the quantile of, and its level: ``ttft_ms`` and 0.95."""
    found = _LEVEL.search(name)
    if found is None or found[1] == "100":
        return name, None
    level = float(f"0.{found[1]:0>2}")
    return name[: found.start()] + name[found.end() :], level or None
