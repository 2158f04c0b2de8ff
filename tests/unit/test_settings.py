"""Settings: what is legal, what is said when it is not."""

from pathlib import Path

import pytest

from sidecar.errors import SettingsError
from sidecar.settings import Address, Settings


def test_settings_come_from_the_environment_and_overrides_win():
    settings = Settings.read(
        {"POINTSMAN_LISTEN": "0.0.0.0:80", "POINTSMAN_WORKERS": "3", "OTHER": "x"}, workers="5"
    )

    assert settings.listen == Address("0.0.0.0", 80)
    assert settings.workers == 5


def test_an_empty_variable_is_as_good_as_none():
    assert Settings.read({"POINTSMAN_WORKERS": ""}) == Settings.read({})


def test_a_child_process_reads_the_very_same_settings(tmp_path):
    settings = Settings.read(
        {
            "POINTSMAN_RUN_DIR": str(tmp_path),
            "POINTSMAN_REDIS_URL": "redis://somewhere/3",
            "POINTSMAN_INLINE_ROUTERS": "deny",
            "POINTSMAN_ADMIN": "[::1]:8081",
        }
    )

    assert Settings.read(settings.environment()) == settings


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("VARIANT_PINS", "yes", "legal: allow, deny"),
        ("LISTEN", "80", "HOST:PORT"),
        ("LISTEN", "host:http", "HOST:PORT"),
        ("ADMIN", "host:70000", "HOST:PORT"),
        ("WORKERS", "many", "POINTSMAN_WORKERS"),
        ("WORKERS", "0", "between 1 and 1024"),
        ("INLINE_ROUTERS", "yes", "POINTSMAN_INLINE_ROUTERS"),
        ("ON_UNKNOWN_MODEL", "404", "POINTSMAN_ON_UNKNOWN_MODEL"),
        ("MAX_BODY_BYTES", "1", "between 1024"),
        ("LOG_LEVEL", "verbose", "POINTSMAN_LOG_LEVEL"),
    ],
)
def test_a_wrong_setting_is_named(variable, value, said):
    with pytest.raises(SettingsError, match="POINTSMAN_" + variable) as caught:
        Settings.read({f"POINTSMAN_{variable}": value})

    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("variable", "legal"),
    [
        ("INLINE_ROUTERS", "allow, deny"),
        ("ON_UNKNOWN_MODEL", "default, reject"),
        ("LOG_FORMAT", "auto, console, json"),
    ],
)
def test_a_choice_names_its_legal_values(variable, legal):
    with pytest.raises(SettingsError, match=legal):
        Settings.read({f"POINTSMAN_{variable}": "else"})


def test_the_run_directory_is_private(tmp_path):
    settings = Settings(run_dir=tmp_path / "run").with_run_dir()

    assert settings.run_folder() == tmp_path / "run"
    assert settings.run_folder().stat().st_mode & 0o777 == 0o700


def test_a_run_directory_without_room_for_sockets_is_refused(tmp_path):
    with pytest.raises(SettingsError, match="POINTSMAN_RUN_DIR"):
        Settings(run_dir=tmp_path / ("x" * 90)).with_run_dir()


def test_state_goes_below_the_users_state_folder(monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", "/somewhere")

    assert Settings().state_folder() == Path("/somewhere/pointsman")


def test_who_may_ask_for_explanations_is_networks_and_keys():
    settings = Settings.read(
        {"POINTSMAN_EXPLAIN_FROM": " 10.0.0.0/8, 2BB80D537B1DA3E3 ,2001:db8::1"}
    )

    networks, keys = settings.explain_askers()
    assert [str(network) for network in networks] == ["10.0.0.0/8", "2001:db8::1/128"]
    assert keys == {"2bb80d537b1da3e3"}
    assert Settings.read({}).explain_askers() == ((), frozenset())


@pytest.mark.parametrize("wrong", ["10.0.0.1/8", "me", "2bb80d537b1da3e", "10.0.0.0/8;x"])
def test_somebody_who_cannot_be_is_told_with_what_can(wrong):
    with pytest.raises(SettingsError, match=r"EXPLAIN_FROM.*networks such as.*SHA-256"):
        Settings.read({"POINTSMAN_EXPLAIN_FROM": wrong})


@pytest.mark.parametrize(
    ("admin", "api", "shown"),
    [
        ("127.0.0.1:1", "", True),
        ("[::1]:1", "", True),
        ("localhost:1", "", True),
        ("0.0.0.0:1", "", False),
        ("admin.internal:1", "", False),
        ("0.0.0.0:1", "allow", True),
    ],
)
def test_past_decisions_are_explained_on_loopback_or_where_that_is_allowed(admin, api, shown):
    settings = Settings.read({"POINTSMAN_ADMIN": admin, "POINTSMAN_EXPLAIN_API": api})

    assert settings.trusts_admin is shown
