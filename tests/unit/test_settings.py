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
