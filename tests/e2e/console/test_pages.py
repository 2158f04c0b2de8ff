"""Every page: accessible in light and in dark, and usable on a phone."""

import pytest
from playwright.sync_api import expect

from tests.e2e.console.browser import PHONE, Visit

pytestmark = pytest.mark.e2e

PAGES = [
    "overview", "backends", "backends/small", "backends?new=1", "routes", "routes/default",
    "routers", "routers/resilient", "experiments", "experiments/trial", "decisions", "flags",
    "flags/beta", "budgets", "keys", "guards", "tests", "history",
]  # fmt: skip


def documents(system):
    """Return rules with something for every page."""
    return {
        **system.base_documents(),
        "experiments": {"trial": EXPERIMENT},
        "flags": {"beta": {"enabled": True, "share": 10}},
    }


EXPERIMENT = {
    "state": "running",
    "arms": [
        {"name": "a", "router": {"type": "fallback", "targets": ["small"]}, "share": 50},
        {"name": "b", "router": {"type": "fallback", "targets": ["large"]}, "share": 50},
    ],
}


@pytest.fixture(scope="module")
def seen(chromium, shared_system):
    """What was found on each page: axe's words in light and in dark, and the width on a phone."""
    shared_system.write(documents(shared_system))
    shared_system.until(shared_system.chat, "traffic")
    visit = Visit(chromium, shared_system.settings.admin)
    found = {place: look_at(visit, place) for place in PAGES}
    return found, visit.close()


def look_at(visit, place):
    visit.go(f"#/{place}")
    visit.settled()
    found = in_both_schemes(visit)
    visit.page.set_viewport_size({"width": PHONE, "height": 800})
    overflow = visit.overflow()
    visit.page.set_viewport_size({"width": 1280, "height": 800})
    return {"axe": found, "overflow": overflow}


def in_both_schemes(visit):
    """Return what axe finds in light, and in dark, which differs in colours alone."""
    light = visit.violations()
    visit.page.emulate_media(color_scheme="dark")
    dark = visit.violations("color-contrast")
    visit.page.emulate_media(color_scheme="light")
    return light + [f"dark: {fault}" for fault in dark]


def test_axe_finds_nothing_on_any_page_in_light_or_dark(seen):
    assert {place: one["axe"] for place, one in seen[0].items() if one["axe"]} == {}


def test_every_page_fits_a_phone(seen):
    assert {place: one["overflow"] for place, one in seen[0].items() if one["overflow"]} == {}


def test_no_page_leaves_an_error_breaks_its_policy_or_asks_the_outside(seen):
    assert seen[1] == []


def test_the_menu_of_a_phone_leads_to_every_page(visits, system):
    visit = visits(system, width=PHONE)
    page = visit.go()
    expect(page.get_by_role("navigation")).to_be_hidden()
    visit.press("Menu")
    page.get_by_role("navigation").get_by_role("link", name="Backends").click()

    expect(page.get_by_role("heading", name="Backends", exact=True)).to_be_visible()
    expect(page.get_by_role("navigation")).to_be_hidden()


def test_dialogs_and_faults_are_accessible(visit):
    visit.go("#/backends/small")
    visit.field("Priority").fill("5")
    visit.press("Check and save")
    expect(visit.page.get_by_role("button", name="Save", exact=True)).to_be_visible()
    with_difference = in_both_schemes(visit)
    visit.page.keyboard.press("Escape")
    visit.field("Address 1").fill("nothing")
    visit.press("Check and save")
    expect(visit.page.locator(".field.wrong")).to_have_count(1)
    with_fault = in_both_schemes(visit)
    visit.press("Help")

    assert (with_difference, with_fault, in_both_schemes(visit)) == ([], [], [])


def test_a_page_that_does_not_exist_says_so_and_leads_back(visit):
    page = visit.go("#/nowhere")
    page.get_by_role("link", name="To the overview").click()

    expect(page.get_by_role("heading", name="Overview")).to_be_visible()
