"""Who may only look sees nothing to press, and who is refused is told so in a sentence."""

import json

import pytest
from playwright.sync_api import expect

from sidecar.admin.tokens import new_token
from sidecar.admin.tokens_write import add
from tests.e2e.system import System

pytestmark = pytest.mark.e2e

PLACES = (
    "routes",
    "routes/default",
    "routers/resilient",
    "flags",
    "flags/some",
    "experiments/some",
    "history",
    "history/1",
    "keys",
)
WRITES = ("Add ", "Save", "Disable", "Enable", "Delete", "Move ", "Roll back", "Start", "Promote")
EXPERIMENT = {"arms": [{"name": "only", "router": "small", "share": 100}]}


@pytest.fixture(scope="module")
def guarded(tmp_path_factory):
    """A system that wants a token; the file of tokens, and the secret of each."""
    folder = tmp_path_factory.mktemp("guarded")
    file, secrets = folder / "tokens.json", {}
    for name, role in (("viewer", "viewer"), ("operator", "operator"), ("demoted", "operator")):
        secrets[name], token = new_token(name, role)
        add(file, token)
    system = System(folder, workers=1, tokens_file=file)
    documents = {"flags": {"some": {"enabled": True}}, "experiments": {"some": EXPERIMENT}}
    try:
        system.start()
        system.write(system.base_documents() | documents)
        system.until(lambda: int(system.redis.get("pointsman:version")) > 1, "a second version")
        yield system, secrets, file
    finally:
        system.stop()


def as_role(visits, system, secret):
    visit = visits(system)
    visit.context.add_init_script(
        f"sessionStorage.setItem('pointsman.token', {json.dumps(secret)})"
    )
    return visit


def test_a_viewer_sees_no_button_that_writes_and_an_operator_none_for_keys(visits, guarded):
    system, secrets, _file = guarded
    visit = as_role(visits, system, secrets["viewer"])
    for place in PLACES:
        page = visit.go(f"#/{place}")
        visit.settled()
        shown = page.locator("main").locator("button, a.button").all_inner_texts()
        assert [text for text in shown if text.startswith(WRITES)] == [], place
    expect(page.get_by_role("heading", name="Keys")).to_be_visible()

    visit = as_role(visits, system, secrets["operator"])
    page = visit.go("#/flags")
    expect(page.get_by_role("link", name="Add a flag")).to_be_visible()
    page = visit.go("#/keys")
    expect(page.get_by_role("heading", name="Keys")).to_be_visible()
    expect(page.get_by_role("link", name="Add a key")).to_have_count(0)


def test_who_lost_the_right_to_write_is_told_in_a_sentence(visits, guarded):
    system, secrets, file = guarded
    visit = as_role(visits, system, secrets["demoted"])
    visit.expected = {403}
    page = visit.go("#/flags")
    switch = page.get_by_role("switch", name="Flag some")
    expect(switch).to_be_visible()
    tokens = json.loads(file.read_text())
    tokens["tokens"][2]["role"] = "viewer"
    file.write_text(json.dumps(tokens))
    switch.click()
    told = "This needs the role operator; demoted has the role viewer."
    expect(page.get_by_text(told)).to_be_visible()
    assert json.loads(system.redis.hget("pointsman:flags", "some"))["enabled"] is True
