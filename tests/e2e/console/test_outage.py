"""Redis or control away: what was typed stays, and is saved when they are back."""

import pytest
from playwright.sync_api import expect

from tests.e2e.system import System

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def system(tmp_path_factory):
    """A system of this file: its parts are stopped, and started again."""
    system = System(tmp_path_factory.mktemp("system"), workers=1)
    try:
        yield system.start()
    finally:
        system.stop()


WORDS = "typed while Redis was away"


def test_what_is_typed_outlives_an_outage_of_redis(visits, system):
    visit = visits(system)
    visit.expected.add(503)
    page = visit.go("#/backends/small")
    expect(visit.field("Model")).to_have_value("small")
    documents = system.base_documents()
    system.local.children["redis"].stop()

    expect(page.get_by_role("alert")).to_contain_text("Redis does not answer")
    visit.field("Description").fill(WORDS)
    visit.press("Check and save")
    dialog = page.get_by_role("dialog")
    try_again = dialog.get_by_role("button", name="Try again")
    if not try_again.is_visible():  # checking needs no Redis when control has the rules
        dialog.get_by_role("button", name="Save", exact=True).or_(try_again).click()
    expect(dialog).to_contain_text("Redis does not answer")
    dialog.get_by_role("button", name="Back to the form").click()
    expect(visit.field("Description")).to_have_value(WORDS)

    system.local.start_redis(system.redis_address)
    system.write(documents)
    expect(page.get_by_role("alert")).to_have_count(0)
    visit.press("Check and save")
    visit.press("Overwrite with mine") if conflict(dialog) else visit.press("Save")
    expect(page.get_by_role("status")).to_contain_text("saved as version")
    assert WORDS in system.redis.hget("pointsman:backends", "small")


def conflict(dialog):
    return dialog.get_by_role("button", name="Overwrite with mine").is_visible()


def test_a_page_says_that_control_is_away_and_goes_on_when_it_is_back(visits, system):
    visit = visits(system)
    visit.expected.add("refused")
    page = visit.go("#/backends/small")
    visit.field("Description").fill(WORDS)
    system.local.children["sidecar"].stop()
    expect(page.get_by_role("alert")).to_contain_text("Control does not answer")

    system.local.start_sidecar()
    expect(page.get_by_role("alert")).to_have_count(0)
    expect(visit.field("Description")).to_have_value(WORDS)
