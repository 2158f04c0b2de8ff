"""Routes, routers and flags in the console: what is saved there decides the next request."""

import json

import pytest
from playwright.sync_api import expect

pytestmark = pytest.mark.e2e

FALLBACK = {"type": "fallback", "targets": ["small"]}


def route_of(system, **asked):
    return system.chat(**asked).headers["x-pointsman-route"]


def backend_of(system, **asked):
    return system.chat(**asked).headers["x-pointsman-backend"]


def stored(system, kind, name):
    text = system.redis.hget(f"pointsman:{kind}", name)
    return None if text is None else json.loads(text)


def save(page):
    """Save through the dialog that shows the difference."""
    page.get_by_role("button", name="Check and save").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Save", exact=True).or_(
        dialog.get_by_role("button", name="Add", exact=True)
    ).click()
    expect(dialog).to_be_hidden()


def add_route(page, name, model, target):
    page.get_by_label("Name", exact=False).first.fill(name)
    page.get_by_label("Order").fill("5")
    page.get_by_label("Match").fill(json.dumps({"model": model}))
    page.get_by_label("Targets, one per line").fill(target)
    save(page)


class TestARoute:
    def test_is_added_edited_disabled_and_rolled_back(self, visit, system):
        page = visit.go("#/routes?new=1")
        add_route(page, "vip", "vip", "large")
        system.until(lambda: route_of(system, model="vip") == "vip", "the new route")
        added = int(system.redis.get("pointsman:version"))

        page.get_by_label("Targets, one per line").fill("canary\nsmall")
        save(page)
        system.until(lambda: backend_of(system, model="vip") == "canary", "the edit")

        page.get_by_role("button", name="Disable vip").click()
        system.until(lambda: route_of(system, model="vip") == "default", "it is off")
        expect(page.get_by_role("button", name="Enable vip")).to_be_visible()

        page = visit.go("#/history")
        page.get_by_role("button", name=f"Roll back to version {added}", exact=True).click()
        dialog = page.get_by_role("dialog")
        expect(dialog.get_by_text("routes.vip")).to_be_visible()
        dialog.get_by_role("button", name="Roll back", exact=True).click()
        system.until(lambda: backend_of(system, model="vip") == "large", "it is as it was")

    def test_a_wrong_target_is_pointed_out_at_its_field_and_nothing_is_saved(self, visit, system):
        page = visit.go("#/routes?new=1")
        page.get_by_label("Name", exact=False).first.fill("broken")
        page.get_by_label("Targets, one per line").fill("nobody")
        page.get_by_role("button", name="Check and save").click()
        field = page.locator('[data-path="router.targets"]')
        expect(field.locator(".fault")).to_contain_text("nobody")
        expect(page.get_by_label("Targets, one per line")).to_have_attribute("aria-invalid", "true")
        assert stored(system, "routes", "broken") is None

    def test_a_text_that_is_no_json_shows_line_and_column_and_cannot_be_saved(self, visit):
        page = visit.go("#/routes/default")
        page.get_by_role("button", name="JSON").click()
        page.get_by_label("Document (JSON)").fill('{\n  "order": }')
        expect(page.get_by_text("Line 2, column 12")).to_be_visible()
        expect(page.get_by_role("button", name="Check and save")).to_be_disabled()

    def test_what_the_form_does_not_know_survives_it(self, visit, system):
        router = {"type": "latency", "targets": ["small"], "metrics_duration": "LastHour"}
        system.put("routes", "odd", {"order": 7, "match": {"model": "odd"}, "router": router})
        page = visit.go("#/routes/odd")
        page.get_by_label("Description").fill("still odd")
        save(page)
        assert stored(system, "routes", "odd")["router"] == router

    def test_a_change_that_somebody_else_made_meanwhile_is_shown_and_not_overwritten(
        self, visit, system
    ):
        visit.expected = {412}
        page = visit.go("#/routes/default")
        page.get_by_label("Description").fill("mine")
        expect(page.get_by_role("button", name="Check and save")).to_be_enabled()
        theirs = {**stored(system, "routes", "default"), "order": 900}
        system.put("routes", "default", theirs)
        page.get_by_role("button", name="Check and save").click()
        expect(page.get_by_text("Somebody else changed this in the meantime")).to_be_visible()
        assert stored(system, "routes", "default") == theirs
        page.get_by_role("button", name="Edit again from theirs").click()
        save(page)
        assert stored(system, "routes", "default") == {**theirs, "description": "mine"}


class TestTheOrderOfRoutes:
    @pytest.fixture(autouse=True)
    def contested(self, system):
        """Two routes that both want the model `contested`."""
        for name, order, target in (("first", 10, "small"), ("second", 20, "large")):
            document = {"order": order, "match": {"model": "contested"}, "router": target}
            system.put("routes", name, document)
        system.until(lambda: route_of(system, model="contested") == "first", "the first one")

    def save_order(self, page):
        page.get_by_role("button", name="Save the order…").click()
        page.get_by_role("dialog").get_by_role("button", name="Save", exact=True).click()
        expect(page.get_by_text("The order is not saved.")).to_be_hidden()

    def test_changes_by_keyboard_and_the_next_request_follows(self, visit, system):
        before = stored(system, "routes", "first")
        page = visit.go("#/routes")
        button = page.get_by_role("button", name="Move second up")
        button.focus()
        button.press("ArrowUp")
        expect(button).to_be_focused()
        self.save_order(page)
        system.until(lambda: route_of(system, model="contested") == "second", "the other order")
        assert stored(system, "routes", "first") == before
        assert stored(system, "routes", "second")["order"] < 10

    def test_changes_by_dragging(self, visit, system):
        page = visit.go("#/routes")
        rows = page.locator(".route-row")
        rows.filter(has_text="second").drag_to(rows.filter(has_text="first"))
        self.save_order(page)
        system.until(lambda: route_of(system, model="contested") == "second", "the other order")

    def test_is_one_version_also_when_several_routes_have_to_change(self, visit, system):
        for name in ("a", "b", "c"):
            system.put("routes", name, {"order": 50, "match": {"model": name}, "router": "small"})
        system.until(lambda: route_of(system, model="c") == "c", "three of one order")
        system.put("routes", "c", {"order": 50, "match": {"model": "c"}, "router": "large"})
        system.until(lambda: backend_of(system, model="c") == "large", "what was put is taken")
        version = int(system.redis.get("pointsman:version"))
        page = visit.go("#/routes")
        page.get_by_role("button", name="Move a down").click()
        page.get_by_role("button", name="Move first down").click()
        self.save_order(page)
        assert int(system.redis.get("pointsman:version")) == version + 1
        orders = {name: stored(system, "routes", name)["order"] for name in ("a", "b", "c")}
        assert orders["b"] < orders["a"] < orders["c"] or (orders["a"] == orders["c"] == 50)


class TestTryingARequest:
    def test_unsaved_rules_are_tried_and_saved_ones_stay_as_they_are(self, visit, system):
        page = visit.go("#/routes/default")
        page.get_by_label("What decides").select_option("fallback")
        page.get_by_label("Targets, one per line").fill("canary")
        page.get_by_role("button", name="Try it").click()
        found = page.get_by_role("region", name="Explanation")
        expect(found.locator(".explained-head")).to_contain_text("→ canary by route default")
        page.get_by_label("with the unsaved change").uncheck()
        page.get_by_role("button", name="Try it").click()
        expect(found.locator(".explained-head")).to_contain_text("→ small by route default")
        assert stored(system, "routes", "default")["router"] == "resilient"

    def test_each_route_says_why_it_did_not_match(self, visit, system):
        match = {"user.tier": "premium", "prompt.chars": {"lt": 100}}
        system.put("routes", "paid", {"order": 1, "match": match, "router": "large"})
        system.until(
            lambda: route_of(system, headers={"x-user-tier": "premium"}) == "paid", "the route"
        )
        page = visit.go("#/routes")
        page.get_by_label("Headers, one per line").fill("X-User-Tier: free")
        page.get_by_role("button", name="Try it").click()
        found = page.get_by_role("region", name="Explanation")
        expect(found.get_by_text('user.tier eq "premium"')).to_be_visible()
        expect(found.get_by_text('is "free"')).to_be_visible()
        page.get_by_label("Headers, one per line").fill("x-user-tier: premium")
        page.get_by_role("button", name="Try it").click()
        expect(found.locator(".explained-head")).to_contain_text("→ large by route paid")

    def test_a_rule_that_is_wrong_is_told_with_its_place(self, visit):
        visit.expected = {422}
        page = visit.go("#/routes/default")
        page.get_by_label("What decides").select_option("fallback")
        page.get_by_label("Targets, one per line").fill("nobody")
        page.get_by_role("button", name="Try it").click()
        expect(page.locator(".try [role=alert]")).to_contain_text("routes.default.router.targets")


class TestAStoredRouter:
    def test_is_edited_with_the_fields_of_its_type(self, visit, system):
        page = visit.go("#/routers/resilient")
        page.get_by_label("What decides").select_option("percentage")
        page.get_by_label("Percentages").fill("[0, 100]")
        save(page)
        assert stored(system, "routers", "resilient") == {
            "type": "percentage",
            "targets": ["small", "large"],
            "targets_percentages": [0, 100],
        }
        system.until(lambda: backend_of(system) == "large", "the router's new type")


class TestAFlag:
    def test_is_switched_on_with_one_click_and_the_next_request_follows(self, visit, system):
        system.put("flags", "fresh", {"enabled": False})
        system.put(
            "routes", "new", {"order": 1, "match": {"flags.fresh": True}, "router": "canary"}
        )
        system.until(lambda: system.ready()["ready"] and route_of(system) == "default", "it is off")
        page = visit.go("#/flags")
        switch = page.get_by_role("switch", name="Flag fresh")
        expect(switch).to_have_attribute("aria-checked", "false")
        switch.click()
        expect(switch).to_have_attribute("aria-checked", "true")
        system.until(lambda: route_of(system) == "new", "the flag is on")

    def test_has_a_share_that_a_slider_sets(self, visit, system):
        system.put("flags", "fresh", {"enabled": True, "share": 30, "description": "stays"})
        page = visit.go("#/flags")
        slider = page.get_by_label("Share of fresh, percent")
        expect(slider).to_have_value("30")
        slider.press("ArrowRight")
        page.get_by_role("button", name="Save the share of fresh").click()
        page.get_by_role("dialog").get_by_role("button", name="Save", exact=True).click()
        expect(page.get_by_role("dialog")).to_be_hidden()
        assert stored(system, "flags", "fresh") == {
            "enabled": True,
            "share": 31,
            "description": "stays",
        }
