"""Backends by forms, in a real Chromium: what is saved is what the next request follows."""

import json

import pytest
from playwright.sync_api import expect

pytestmark = pytest.mark.e2e


def stored(system, name):
    text = system.redis.hget("pointsman:backends", name)
    return None if text is None else json.loads(text)


def backend_of(system, target):
    """Ask for one target and return the backend that answered."""
    router = {"type": "fallback", "targets": [target, "small"]}
    return system.chat(router=router).headers["x-pointsman-backend"]


def row(page, name):
    return page.get_by_role("row").filter(
        has=page.get_by_role("link", name=f"Edit {name}", exact=True)
    )


def saved(visit):
    expect(visit.page.get_by_role("status").get_by_text("saved as version").last).to_be_visible()
    expect(visit.page.get_by_role("dialog")).to_have_count(0)


def test_a_backend_is_created_edited_disabled_and_deleted(visit, system):
    page = visit.go("#/backends")
    page.get_by_role("link", name="Add a backend").click()
    visit.field("Name").fill("eu/extra")
    visit.field("Address 1").fill(f"http://{system.models['small'].address}")
    visit.field("Model").fill("small")
    visit.field("Provider").fill("demo")
    visit.field("Time limit (seconds)").fill("7.5")
    visit.field("Capabilities").fill("tools\nvision")
    visit.field("Tags").fill("team = search")
    visit.press("Check and save")
    expect(page.get_by_role("dialog")).to_contain_text('"timeout_seconds": 7.5')
    visit.press("Add")
    saved(visit)
    document = stored(system, "eu/extra")
    assert document["timeout_seconds"] == 7.5
    assert sorted(document["capabilities"]) == ["tools", "vision"]
    assert document["tags"] == {"team": "search"}

    system.until(lambda: backend_of(system, "eu/extra") == "eu/extra", "requests at it")
    page.get_by_role("link", name="Edit eu/extra").click()
    visit.field("Priority").fill("3")
    visit.press("Check and save")
    expect(page.locator(".diff .added")).to_contain_text('"priority": 3')
    visit.press("Save")
    saved(visit)
    assert stored(system, "eu/extra") == {**document, "priority": 3}

    page.get_by_role("button", name="Disable eu/extra").click()
    visit.press("Save")
    saved(visit)
    expect(row(page, "eu/extra")).to_contain_text("disabled")
    assert stored(system, "eu/extra")["enabled"] is False

    page.get_by_role("link", name="Edit eu/extra").click()
    visit.press("Delete")
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page.get_by_role("heading", name="Backends", exact=True)).to_be_visible()
    expect(row(page, "small")).to_be_visible()
    expect(row(page, "eu/extra")).to_have_count(0)
    assert stored(system, "eu/extra") is None


def test_what_is_wrong_stands_at_its_field_and_nothing_is_saved(visit, system):
    visit.go("#/backends/small")
    before = stored(system, "small")
    visit.field("Address 1").fill("ftp://elsewhere")
    visit.field("Time limit (seconds)").fill("soon")
    visit.press("Check and save")

    wrong = visit.page.locator(".field.wrong")
    expect(wrong).not_to_have_count(0)
    expect(wrong.first.locator("input")).to_be_focused()
    visit.field("Time limit (seconds)").fill("5")
    visit.press("Check and save")
    expect(wrong).to_have_count(1)
    expect(wrong).to_contain_text("is not an address; legal: http://")
    assert stored(system, "small") == before


def test_a_key_in_the_place_of_its_reference_never_leaves_the_page(visit):
    page = visit.go("#/backends/small")
    sent = []
    page.on("request", lambda request: sent.append(request.post_data or ""))
    visit.field("Credential").fill("sk-secret")
    visit.press("Check and save")

    expect(page.locator(".field.wrong")).to_contain_text("never the key itself")
    assert [body for body in sent if "sk-secret" in body] == []


def test_a_backend_that_rules_need_is_not_deleted(visit, system):
    page = visit.go("#/backends/small")
    visit.press("Delete")

    expect(page.get_by_role("alert")).to_contain_text("routers.resilient")
    assert stored(system, "small") is not None


def test_a_document_can_be_edited_as_json_with_the_place_of_an_error(visit, system):
    page = visit.go("#/backends/large")
    visit.press("JSON")
    editor = page.get_by_label("Document")
    editor.fill('{\n  "model": "large",\n  "provider": }')
    expect(page.get_by_text("Line 3, column 15")).to_be_visible()
    expect(page.get_by_role("button", name="Form", exact=True)).to_be_disabled()

    document = {**stored(system, "large"), "description": "the big one"}
    editor.fill(json.dumps(document))
    visit.press("Check and save")
    visit.press("Save")
    saved(visit)
    assert stored(system, "large") == document


def test_a_document_that_is_wrong_already_holds_up_no_edit_of_another(visit, system):
    system.put("routes", "wrong", {"match": {"nothing.x": 1}, "router": "small"})
    visit.go("#/backends/small")
    visit.field("Priority").fill("9")
    visit.press("Check and save")
    expect(visit.page.get_by_role("dialog")).to_contain_text("routes.wrong")
    visit.press("Save")
    saved(visit)

    assert stored(system, "small")["priority"] == 9


def test_a_rule_test_that_would_fail_is_named_and_can_be_overruled(visit, system):
    request = {"body": {"model": "any"}}
    system.put("tests", "both", {"request": request, "expect": {"backend": "small"}})
    visit.go("#/backends/small")
    visit.field("Enabled").uncheck()
    visit.press("Check and save")
    expect(visit.page.get_by_role("dialog")).to_contain_text("tests.both")
    visit.press("Save all the same")
    saved(visit)

    assert stored(system, "small")["enabled"] is False


def two_people(visits, system):
    """Anna and Ben have opened the same backend, and Ben has saved."""
    anna, ben = visits(system), visits(system)
    anna.expected.add(412)
    for person in (anna, ben):
        person.go("#/backends/small")
    anna.field("Description").fill("Anna's words")
    ben.field("Priority").fill("77")
    ben.press("Check and save")
    anna.press("Check and save")
    expect(anna.page.get_by_role("button", name="Save", exact=True)).to_be_visible()
    ben.press("Save")
    saved(ben)
    anna.press("Save")
    dialog = anna.page.get_by_role("dialog")
    expect(dialog).to_contain_text("Somebody else changed this")
    expect(dialog.locator("figure").first.locator(".added")).to_contain_text('"priority": 77')
    return anna


def test_who_was_second_may_edit_again_from_what_the_first_saved(visits, system):
    anna = two_people(visits, system)
    anna.press("Edit again from theirs")
    expect(anna.field("Priority")).to_have_value("77")
    expect(anna.field("Description")).to_have_value("Anna's words")
    anna.press("Check and save")
    anna.press("Save")
    saved(anna)

    assert stored(system, "small")["priority"] == 77
    assert stored(system, "small")["description"] == "Anna's words"


def test_who_was_second_may_take_what_the_first_saved(visits, system):
    anna = two_people(visits, system)
    anna.press("Take theirs")

    expect(anna.field("Priority")).to_have_value("77")
    expect(anna.field("Description")).to_have_value("")
    assert "description" not in stored(system, "small")


def test_who_was_second_may_overwrite_knowingly(visits, system):
    anna = two_people(visits, system)
    anna.press("Overwrite with mine")
    saved(anna)

    assert stored(system, "small")["priority"] == 0
    assert stored(system, "small")["description"] == "Anna's words"


def test_a_backend_is_edited_by_keyboard_alone(visit, system):
    page = visit.go("#/backends")
    expect(row(page, "small")).to_be_visible()
    keys = page.keyboard
    tab_to(page, "Edit small")
    keys.press("Enter")
    expect(page.get_by_role("heading", name="Backend small")).to_be_visible()
    tab_to(page, "Priority")
    keys.type("12")
    tab_to(page, "Check and save")
    keys.press("Enter")
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("button", name="Save", exact=True)).to_be_focused()
    for _ in range(6):  # the focus stays inside
        keys.press("Tab")
        assert page.evaluate(
            "document.activeElement === document.body || "
            "Boolean(document.activeElement.closest('dialog'))"
        )
    keys.press("Escape")
    expect(dialog).to_have_count(0)
    expect(page.get_by_role("button", name="Check and save")).to_be_focused()
    keys.press("Enter")
    expect(dialog.get_by_role("button", name="Save", exact=True)).to_be_focused()
    keys.press("Enter")
    saved(visit)

    assert stored(system, "small")["priority"] == 12


def tab_to(page, name, most=80):
    """Press Tab until the focus is on the element of this name."""
    says = """() => { const one = document.activeElement;
      return [one.getAttribute("aria-label"), one.labels?.[0]?.textContent, one.textContent]
        .filter(Boolean).map((text) => text.trim()); }"""
    for _ in range(most):
        page.keyboard.press("Tab")
        if name in page.evaluate(says):
            page.keyboard.press("Control+A")
            return
    raise AssertionError(f"{most} times Tab, and never at {name}")
