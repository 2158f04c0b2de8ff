"""Redis, control or the right token away: what was typed stays, and is saved when they are back."""

import pytest
from playwright.sync_api import expect

from sidecar.admin.tokens import new_token
from sidecar.admin.tokens_write import add, revoke
from tests.e2e.system import System

pytestmark = pytest.mark.e2e


class Guarded(System):
    """A system of this file: its parts are stopped and started again, its tokens revoked."""

    def __init__(self, folder):
        self.tokens = folder / "tokens.json"
        super().__init__(folder, workers=1, tokens_file=self.tokens)

    def new_token(self, role):
        """Make a token of this role and return its secret."""
        secret, token = new_token(role, role)
        add(self.tokens, token)
        return secret


@pytest.fixture(scope="module")
def system(tmp_path_factory):
    system = Guarded(tmp_path_factory.mktemp("system"))
    system.secret = system.new_token("operator")
    try:
        yield system.start()
    finally:
        system.stop()


@pytest.fixture
def visit(visits, system):
    """Somebody who is about to sign in, with the form of a backend in view."""
    visit = visits(system)
    visit.expected |= {401, 503, "refused"}
    visit.page.goto(visit.base + "#/backends/small")
    return visit


def sign_in(visit, secret):
    visit.field("Token").fill(secret)
    visit.press("Sign in")


def test_who_has_no_token_sees_nothing_and_who_has_one_sees_their_role(visit, system):
    page = visit.page
    sign_in(visit, "pm_guessed")
    expect(page.get_by_text("This token is not known.")).to_be_visible()
    expect(page.locator("main h1")).to_have_count(0)
    assert visit.violations() == []
    sign_in(visit, system.secret)
    expect(page.get_by_role("banner")).to_contain_text("operator · operator")
    expect(visit.field("Model")).to_have_value("small")

    page.reload()
    expect(visit.field("Model")).to_have_value("small")
    visit.press("Sign out")
    expect(page.get_by_role("dialog", name="Sign in")).to_be_visible()
    expect(page.locator("main h1")).to_have_count(0)


def test_what_is_typed_outlives_the_end_of_a_token(visit, system):
    sign_in(visit, system.secret)
    visit.field("Description").fill(WORDS)
    revoke(system.tokens, "operator")
    expect(visit.page.get_by_role("dialog", name="Sign in")).to_be_visible()
    system.secret = system.new_token("operator")
    sign_in(visit, system.secret)

    expect(visit.page.get_by_role("dialog")).to_have_count(0)
    expect(visit.field("Description")).to_have_value(WORDS)


WORDS = "typed in bad times"


def test_what_is_typed_outlives_an_outage_of_redis(visit, system):
    page = visit.page
    sign_in(visit, system.secret)
    expect(visit.field("Model")).to_have_value("small")
    documents = system.base_documents()
    system.local.children["redis"].stop()

    expect(page.get_by_role("alert")).to_contain_text("Redis does not answer")
    visit.field("Description").fill(WORDS)
    visit.press("Check and save")
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("Redis does not answer")
    dialog.get_by_role("button", name="Back to the form").click()
    expect(visit.field("Description")).to_have_value(WORDS)

    system.local.start_redis(system.redis_address)
    system.write(documents)
    expect(page.get_by_role("alert")).to_have_count(0)
    visit.press("Check and save")
    visit.press("Save")
    expect(page.get_by_role("status")).to_contain_text("saved as version")
    assert WORDS in system.redis.hget("pointsman:backends", "small")


def test_a_page_says_that_control_is_away_and_goes_on_when_it_is_back(visit, system):
    page = visit.page
    sign_in(visit, system.secret)
    visit.field("Description").fill(WORDS)
    system.local.children["sidecar"].stop()
    expect(page.get_by_role("alert")).to_contain_text("Control does not answer")

    system.local.start_sidecar()
    expect(page.get_by_role("alert")).to_have_count(0)
    expect(visit.field("Description")).to_have_value(WORDS)
