"""The overview in a real Chromium, over real traffic."""

import json

import pytest
from playwright.sync_api import expect

pytestmark = pytest.mark.e2e

MOST_BYTES = 500_000


def figure(page, title):
    return page.locator(f'dd[data-figure="{title}"]')


def test_the_overview_shows_the_numbers_of_real_traffic_and_follows_it(visit, system):
    page = visit.go()
    for _ in range(12):
        system.chat()

    expect(figure(page, "Requests")).not_to_have_text("0/s")
    before = figure(page, "Requests").inner_text()
    for _ in range(30):
        system.chat()

    expect(figure(page, "Requests")).not_to_have_text(before)
    expect(figure(page, "Latency p50 / p95")).to_contain_text("ms")
    expect(figure(page, "Error rate")).to_have_text("0 %")


def test_the_overview_draws_lines_for_each_backend_with_traffic(visit, system):
    for _ in range(5):
        system.chat()
    page = visit.go()
    chart = page.locator("figure.chart").filter(has_text="Requests per second")

    # A step of ten seconds is drawn when it is over.
    expect(chart.locator("canvas")).to_be_visible(timeout=30_000)
    chart.get_by_text("Requests per second as a table").click()
    expect(chart.get_by_role("columnheader", name="small", exact=True)).to_be_visible()


def test_a_backend_that_is_off_is_listed_with_the_reason(visit, system):
    page = visit.go()
    system.put("backends", "canary", system.backend("canary", enabled=False))

    health = page.get_by_role("region", name="Health")
    expect(health).to_contain_text("disabled")
    expect(health.get_by_role("link", name="canary", exact=True)).to_be_visible()


def test_a_rejected_configuration_is_shown_on_top_with_document_and_path(visit, system):
    page = visit.go()
    system.redis.hset("pointsman:routes", "wrong", json.dumps({"match": {"header.x": "1"}}))

    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("A configuration was rejected")
    expect(alert).to_contain_text("routes.wrong")
    system.drop("routes", "wrong")
    expect(page.get_by_role("alert")).to_have_count(0)


def test_the_overview_says_who_changed_what_last(visit, system):
    visit.go("#/backends/small")
    visit.field("Priority").fill("41")
    visit.press("Check and save")
    visit.press("Save")
    expect(visit.page.get_by_role("status")).to_contain_text("saved as version")

    page = visit.go("#/overview")
    first = page.get_by_role("table", name="Last changes").get_by_role("row").nth(1)
    expect(first).to_contain_text("local")
    expect(first).to_contain_text("backends.small")


def test_a_page_that_nobody_sees_asks_for_nothing(visit):
    visit.page.clock.install()
    page = visit.go()
    visit.settled()
    hide = """state => {
      Object.defineProperty(document, "visibilityState", { value: state, configurable: true });
      document.dispatchEvent(new Event("visibilitychange"));
    }"""
    page.evaluate(hide, "hidden")
    visit.settled()
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.clock.fast_forward(60_000)
    visit.settled()
    while_hidden = list(asked)
    with page.expect_request("**/api/v1/stats"):
        page.evaluate(hide, "visible")

    assert while_hidden == []


def test_the_first_view_is_light(visit, record_property):
    page = visit.go()
    visit.settled()
    loaded = page.evaluate(
        """() => [...performance.getEntriesByType("navigation"),
                  ...performance.getEntriesByType("resource")]
           .map(({ name, transferSize, responseEnd }) => [name, transferSize, responseEnd])"""
    )
    files = [entry for entry in loaded if "/api/" not in entry[0]]
    record_property("first_view_bytes", sum(size for _, size, _ in files))
    record_property("first_view_ms", max(end for _, _, end in files))

    assert all(size > 0 for _, size, _ in files)
    assert len(files) > 10
    assert sum(size for _, size, _ in loaded) <= MOST_BYTES
