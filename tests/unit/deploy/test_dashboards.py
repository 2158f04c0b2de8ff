"""The dashboards' files are what the generator writes, and tell who looks what is seen."""

import json

import pytest

from deploy.grafana.generate import FOLDER, texts

TEXTS = texts()
PANELS = [
    pytest.param(panel, id=f"{name}: {panel['title']}")
    for name, text in TEXTS.items()
    for panel in json.loads(text)["panels"]
    if panel["type"] != "row"
]


def test_the_files_are_up_to_date():
    """`python -m deploy.grafana.generate` writes them."""
    assert {path.name: path.read_text() for path in FOLDER.iterdir()} == TEXTS


@pytest.mark.parametrize("panel", PANELS)
def test_a_panel_has_a_title_a_description_and_a_unit(panel):
    assert panel["title"]
    assert panel["description"].endswith((".", "?"))
    assert panel["type"] == "state-timeline" or panel["fieldConfig"]["defaults"]["unit"]


@pytest.mark.parametrize("panel", PANELS)
def test_a_rate_is_over_the_interval_that_suits_the_time_shown(panel):
    for target in panel["targets"]:
        assert target["expr"].count("rate(") <= target["expr"].count("[$__rate_interval]")


@pytest.mark.parametrize("name", TEXTS)
def test_panels_neither_overlap_nor_leave_the_grid(name):
    taken = set()
    for panel in json.loads(TEXTS[name])["panels"]:
        place = panel["gridPos"]
        cells = {
            (place["x"] + column, place["y"] + line)
            for column in range(place["w"])
            for line in range(place["h"])
        }
        assert not cells & taken, panel["title"]
        assert place["x"] + place["w"] <= 24
        taken |= cells


def test_addresses_of_dashboards_are_their_own_and_stay():
    uids = [json.loads(text)["uid"] for text in TEXTS.values()]

    assert sorted(uids) == [
        "pointsman-experiments",
        "pointsman-internals",
        "pointsman-models",
        "pointsman-overview",
    ]
