"""What tests of the console share. One Chromium and the worker's one System for each file."""

import pytest

from tests.e2e.console.browser import CHROMIUM, Visit, running_chromium


@pytest.fixture(scope="module")
def chromium():
    if CHROMIUM is None:
        pytest.skip("no chromium on PATH (Debian: apt-get install chromium)")
    with running_chromium() as browser:
        yield browser


@pytest.fixture
def visits(chromium):
    """Make visits; none of them may leave an error or ask the outside for anything."""
    made = []

    def make(system, **options):
        made.append(Visit(chromium, system.settings.admin, **options))
        return made[-1]

    yield make
    faults = [fault for visit in made for fault in visit.close()]
    assert faults == []


@pytest.fixture
def visit(visits, system):
    """One visit to the console of the shared system with the base rules."""
    return visits(system)
