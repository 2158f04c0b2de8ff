import pytest

from tests.e2e.system import System


@pytest.fixture(scope="session")
def shared_system(tmp_path_factory):
    """One system for all tests that leave it as they found it."""
    system = System(tmp_path_factory.mktemp("system"))
    try:
        yield system.start()
    finally:
        system.stop()


@pytest.fixture
def system(shared_system):
    """The shared system with the base rules, no faults and empty records."""
    shared_system.calm()
    shared_system.write(shared_system.base_documents())
    shared_system.until(
        lambda: shared_system.chat().headers["x-pointsman-route"] == "default", "base rules"
    )
    shared_system.calm()
    return shared_system


@pytest.fixture
def own_system(tmp_path):
    """Make a system that a test may break."""
    made = []

    def make(**settings):
        made.append(System(tmp_path / f"system-{len(made)}", **settings))
        return made[-1]

    yield make
    for system in made:
        system.stop()
