"""Experiments, decisions and history in the console; and that every page opens for everybody."""

import itertools
import json

import httpx
import pytest
from playwright.sync_api import expect

pytestmark = pytest.mark.e2e

EXPERIMENT = {
    "arms": [
        {"name": "control", "router": "small", "share": 50},
        {"name": "candidate", "router": "large", "share": 50},
    ],
    "state": "running",
    "rollout": {"steps": [5, 50, 99], "min_exposures": 1_000_000},
}
_names = itertools.count()
PAGES = (
    "routes",
    "routers",
    "experiments",
    "decisions",
    "history",
    "flags",
    "budgets",
    "keys",
    "guards",
    "tests",
)


def stored(system, kind, name):
    return json.loads(system.redis.hget(f"pointsman:{kind}", name))


class Trial:
    """A running experiment of a name of its own, whose candidate is `large`, and its route."""

    def __init__(self, system):
        self.system, self.name = system, f"trial-{next(_names)}"
        system.put("experiments", self.name, EXPERIMENT)
        system.put("routes", self.name, self.route())
        system.until(lambda: self.ask("u")["x-pointsman-route"] == self.name, "it runs")

    def route(self):
        router = {"type": "experiment", "experiment": self.name}
        return {"order": 1, "match": {"model": self.name}, "router": router}

    def ask(self, user):
        """Send a request of this user and return the answer's headers."""
        return self.system.chat(model=self.name, headers={"x-user-id": user}).headers

    @property
    def document(self):
        return stored(self.system, "experiments", self.name)

    def count(self, arm):
        return int(self.system.redis.hget(self.sums, f"{arm}|assigned|n") or 0)

    @property
    def sums(self):
        return f"pointsman:experiment:{self.name}:1"


@pytest.fixture
def trial(system):
    return Trial(system)


def confirm(page, button):
    """Press a button of the page, and the one of this name in the dialog that follows."""
    page.get_by_role("button", name=f"{button}…").click()
    page.get_by_role("dialog").get_by_role("button", name=button, exact=True).click()
    expect(page.get_by_role("dialog")).to_be_hidden()


class TestAnExperiment:
    def test_is_rolled_back_from_its_page_and_its_users_move(self, visit, system, trial):
        backends = {str(n): trial.ask(str(n))["x-pointsman-backend"] for n in range(20)}
        moved = next(user for user, backend in backends.items() if backend == "large")
        page = visit.go(f"#/experiments/{trial.name}")
        page.get_by_role("button", name="Roll back…").click()
        expect(page.get_by_role("dialog")).to_contain_text(
            "candidate gets nothing any more; its 50 % go to control"
        )
        page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
        confirm(page, "Roll back")
        system.until(lambda: trial.ask(moved)["x-pointsman-backend"] == "small", "rolled back")
        shares = {arm["name"]: arm["share"] for arm in trial.document["arms"]}
        assert shares == {"control": 100, "candidate": 0}
        expect(page.get_by_text(f"{trial.name}: rolled back")).to_be_visible()

    def test_is_held_resumed_paused_and_stopped(self, visit, system, trial):
        page = visit.go(f"#/experiments/{trial.name}")
        confirm(page, "Hold")
        assert trial.document["rollout"]["automatic"] is False
        confirm(page, "Resume")
        assert trial.document["rollout"]["automatic"] is True
        for button, state in (("Pause", "paused"), ("Resume", "running"), ("Stop", "stopped")):
            confirm(page, button)
            assert trial.document["state"] == state
        system.until(lambda: trial.ask("u")["x-pointsman-route"] == "default", "it is over")

    def test_is_promoted_to_its_next_step(self, visit, trial):
        page = visit.go(f"#/experiments/{trial.name}")
        confirm(page, "Promote to 99 %")
        assert [arm["share"] for arm in trial.document["arms"]] == [1, 99]

    def test_shows_how_many_requests_each_arm_has(self, visit, system, trial):
        for user in range(30):
            trial.ask(str(user))
        system.until(
            lambda: trial.count("control") + trial.count("candidate") > 30, "all are counted"
        )
        page = visit.go(f"#/experiments/{trial.name}")
        row = page.get_by_role("region", name="Arms").get_by_role("row", name="candidate")
        expect(row.get_by_role("cell").nth(1)).to_have_text(str(trial.count("candidate")))
        expect(page.get_by_text("too few values for an interval").first).to_be_visible()

    def test_shows_a_split_that_is_wrong_before_everything_else(self, visit, trial):
        page = visit.go(f"#/experiments/{trial.name}")
        heading = page.get_by_role("heading", name="Arms", exact=True)
        expect(heading).to_be_visible()
        trial.system.redis.hincrbyfloat(trial.sums, "control|assigned|n", 5000)
        warning = page.get_by_role("alert").filter(has_text="Sample ratio mismatch")
        expect(warning).to_be_visible()
        assert warning.bounding_box()["y"] < heading.bounding_box()["y"]


class TestADecision:
    def test_is_found_by_its_backend_and_explained(self, visit, system):
        system.put("routes", "rare", {"order": 1, "match": {"model": "rare"}, "router": "canary"})
        system.until(
            lambda: system.chat(model="rare").headers["x-pointsman-route"] == "rare", "the route"
        )
        answer = system.chat(model="rare")
        decision = answer.headers["x-pointsman-decision"]
        page = visit.go("#/decisions")
        page.get_by_label("Backend", exact=True).fill("canary")
        page.get_by_label("Route", exact=True).fill("rare")
        page.get_by_role("button", name="Filter").click()
        found = page.locator(f'a[href="#/decisions/{decision}"]')
        expect(found).to_be_visible(timeout=10_000)
        expect(page.get_by_role("table").get_by_text("default", exact=True)).to_have_count(0)
        found.click()
        expect(page.locator(".explained-head")).to_contain_text("→ canary by route rare")
        expect(page.get_by_text("200", exact=True)).to_be_visible()

    def test_that_happens_now_appears_without_a_click(self, visit, system):
        page = visit.go("#/decisions")
        decision = system.chat().headers["x-pointsman-decision"]
        found = page.locator(f'a[href="#/decisions/{decision}"]')
        expect(found).to_be_visible(timeout=10_000)


class TestHistory:
    def test_shows_the_difference_between_any_two_versions(self, visit, system):
        versions = []
        for order in (901, 902, 903):
            document = {**stored(system, "routes", "default"), "order": order}
            before = int(system.redis.get("pointsman:version"))
            system.put("routes", "default", document)
            system.until(
                lambda before=before: int(system.redis.get("pointsman:version")) > before, "taken"
            )
            versions.append(int(system.redis.get("pointsman:version")))
        page = visit.go("#/history")
        page.get_by_label("From").select_option(str(versions[0]))
        page.get_by_label("to", exact=True).select_option(str(versions[2]))
        page.get_by_role("button", name="Show the difference").click()
        expect(page.get_by_role("heading", level=1)).to_have_text(
            f"From version {versions[0]} to {versions[2]}"
        )
        difference = page.locator(".diff")
        expect(difference).to_have_count(1)
        expect(difference.locator(".removed")).to_contain_text('"order": 901')
        expect(difference.locator(".added")).to_contain_text('"order": 903')


DOCUMENTS = {
    "routes": {
        "some": {"order": 3, "match": {"flags.some": True}, "router": "small"},
    },
    "flags": {"some": {"share": 20}},
    "keys": {"0123456789abcdef": {"tier": "free"}},
    "guards": {"some": {"url": "http://127.0.0.1:9/"}},
    "tests": {"some": {"request": {"body": {"model": "x"}}, "expect": {"route": "default"}}},
    "budgets": {"some": {"limit": 10, "unit": "requests", "per": "day", "scope": "global"}},
}
DETAILED = (
    *(f"{kind}/some" for kind in DOCUMENTS if kind != "keys"),
    "keys/0123456789abcdef",
    "routers/resilient",
    "routes?new=1",
)


@pytest.fixture
def places(system):
    """Write documents of every kind; return what pages there are to look at."""
    everything = system.base_documents()
    for kind, documents in DOCUMENTS.items():
        everything[kind] = {**everything.get(kind, {}), **documents}
    system.write(everything)
    trial = Trial(system)
    decision = trial.ask("v")["x-pointsman-decision"]
    system.until(lambda: known(system, decision), "the decision is logged")
    version = system.redis.get("pointsman:version")
    experiment = f"experiments/{trial.name}"
    return [
        *DETAILED,
        experiment,
        f"{experiment}?edit=1",
        f"history/{version}",
        f"decisions/{decision}",
    ]


def known(system, decision):
    return httpx.get(f"http://{system.settings.admin}/api/v1/decisions/{decision}").is_success


class TestEveryPage:
    def test_of_a_document_is_accessible(self, visit, places):
        found = {}
        for place in places:
            visit.go(f"#/{place}")
            visit.settled()
            found[place] = visit.violations()
        assert {place: faults for place, faults in found.items() if faults} == {}

    def test_of_a_document_fits_a_phone(self, visits, system, places):
        visit, wider = visits(system, width=375), {}
        for place in places:
            visit.go(f"#/{place}")
            visit.settled()
            wider[place] = visit.overflow()
        assert {place: pixels for place, pixels in wider.items() if pixels} == {}

    def test_opens_without_any_data(self, visit, system):
        system.write({"backends": system.base_documents()["backends"]})
        route = "x-pointsman-route"
        system.until(lambda: system.chat().headers[route] == "(default)", "no rules")
        for name in PAGES:
            page = visit.go(f"#/{name}")
            expect(page.get_by_role("heading", level=1)).to_have_text(name.capitalize())
            visit.settled()
        visit.go("#/flags")
        expect(visit.page.get_by_text("No flags yet.")).to_be_visible()
