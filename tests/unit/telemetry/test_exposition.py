"""Scraped text, as Prometheus' own client library reads and writes it."""

import prometheus_client
import pytest
from prometheus_client.exposition import generate_latest
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as parse_openmetrics,
)
from prometheus_client.parser import text_string_to_metric_families as parse

from sidecar.telemetry.exposition import Counter, Family, Histogram

BOUNDS = (0.001, 0.25, 1.0, 1e6)
LABELS = ("route", "backend")
NASTY = ('a"b\\c\nd%s%%', "ünï{code}=,")


def samples(families):
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in families
        for sample in family.samples
        if not sample.name.endswith("_created")
    }


def twins(labels=LABELS):
    """Return a counter and a histogram of ours, and the library's in a registry."""
    registry = prometheus_client.CollectorRegistry()
    theirs = (
        prometheus_client.Counter("hits", 'What "came".', labels, registry=registry),
        prometheus_client.Histogram("took", "How long.", labels, registry=registry, buckets=BOUNDS),
    )
    ours = (
        Family("hits", 'What "came".', labels, None),
        Family("took", "How long.", labels, BOUNDS),
    )
    return ours, theirs, registry


@pytest.mark.parametrize("labels", [LABELS, ()], ids=["labelled", "plain"])
@pytest.mark.parametrize("form", ["text", "openmetrics"])
def test_it_says_what_the_library_says(labels, form):
    ours, theirs, registry = twins(labels)
    for values in (("one", "two"), NASTY) if labels else ((),):
        counter, histogram = Counter(), Histogram(BOUNDS)
        ours[0].show(values, counter)
        ours[1].show(values, histogram)
        of_counter = theirs[0].labels(*values) if labels else theirs[0]
        of_histogram = theirs[1].labels(*values) if labels else theirs[1]
        for amount in (1, 0.1, 1e-9, 123456789.0):
            counter.inc(amount)
            of_counter.inc(amount)
        for value in (0.0, 0.001, 0.0011, 0.25, 1.0, 5e6, 1e9):
            histogram.observe(value)
            of_histogram.observe(value)

    if form == "text":
        text = "".join(family.render(openmetrics=False) for family in ours)
        expected = samples(parse(generate_latest(registry).decode()))
        assert samples(parse(text)) == expected
    else:
        text = "".join(family.render(openmetrics=True) for family in ours) + "# EOF\n"
        expected = samples(parse_openmetrics(openmetrics.generate_latest(registry).decode()))
        assert samples(parse_openmetrics(text)) == expected
    assert len(expected) == (len(BOUNDS) + 3 + 1) * (2 if labels else 1)


def test_a_series_that_was_dropped_is_shown_no_more():
    family = Family("hits", "What came.", ("route",), None)
    family.show(("one",), Counter())
    family.show(("two",), Counter())
    family.drop(("one",))

    assert samples(parse(family.render(openmetrics=False))) == {
        ("hits_total", (("route", "two"),)): 0
    }


def test_a_name_that_is_no_text_costs_nothing_but_its_letters(metrics):
    metrics.error("\ud800")

    assert b"?" in metrics.render()[0]
