"""What a new user does first, all of it in the browser: a backend, a route, a flag, and back."""

import json

import pytest
from playwright.sync_api import expect

pytestmark = pytest.mark.e2e


def route_of(system):
    return system.chat(model="assistant").headers["x-pointsman-route"]


def added(visit, button):
    """Go through the dialog that shows what is added."""
    visit.press(button)
    dialog = visit.page.get_by_role("dialog")
    expect(dialog.locator(".diff")).to_be_visible()
    dialog.get_by_role("button", name="Add", exact=True).click()
    expect(dialog).to_be_hidden()


def test_a_new_user_adds_a_backend_a_route_and_a_flag_and_rolls_back(visit, system):
    page = visit.go()

    page.get_by_role("link", name="Backends", exact=True).click()
    page.get_by_role("link", name="Add a backend").click()
    visit.field("Name").fill("mine")
    page.get_by_label("Address 1").fill(f"http://{system.models['large'].address}")
    visit.field("Model").fill("large")
    added(visit, "Check and save")

    page.get_by_role("link", name="Flags", exact=True).click()
    page.get_by_role("link", name="Add a flag").click()
    page.get_by_label("Name").fill("launch")
    page.get_by_label("Enabled").uncheck()
    added(visit, "Check and save")

    page.get_by_role("link", name="Routes", exact=True).click()
    page.get_by_role("link", name="Add a route").click()
    page.get_by_label("Name").fill("launch")
    page.get_by_label("Order").fill("5")
    page.get_by_label("Match").fill(json.dumps({"flags.launch": True}))
    page.get_by_label("Targets, one per line").fill("mine")
    added(visit, "Check and save")
    assert route_of(system) == "default"

    page.get_by_role("link", name="Flags", exact=True).click()
    page.get_by_role("switch", name="Flag launch").click()
    system.until(lambda: route_of(system) == "launch", "the next request follows")
    assert system.chat(model="assistant").headers["x-pointsman-backend"] == "mine"

    page.get_by_role("link", name="History", exact=True).click()
    before = page.get_by_role("row").filter(has_text="put routes.launch")
    before.get_by_role("button", name="Roll back").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("figure")).to_contain_text("flags.launch")
    dialog.get_by_role("button", name="Roll back", exact=True).click()
    system.until(lambda: route_of(system) == "default", "it is as it was before the switch")
