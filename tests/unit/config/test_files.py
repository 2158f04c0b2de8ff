"""Configuration files and the last good configuration on disk."""

import stat

import pytest

from sidecar.config import files
from sidecar.config.documents import Digester, Documents
from sidecar.errors import ConfigError

DOCUMENTS = Documents.of({"backends": {"a": {"endpoints": ["http://a"]}}, "flags": {"f": {}}})


def keep(folder, documents=DOCUMENTS):
    files.save_last_good(folder, documents, 4, Digester()(documents))


def test_a_configuration_file_is_read(tmp_path):
    path = tmp_path / "rules.json"
    path.write_text('{"backends": {"a": {"endpoints": ["http://a"]}}}')

    assert files.load(path) == Documents(backends={"a": b'{"endpoints": ["http://a"]}'})


@pytest.mark.parametrize("text", [None, "", "[]", '{"backend": {}}'])
def test_a_file_that_is_none_is_a_fault(tmp_path, text):
    path = tmp_path / "rules.json"
    if text is not None:
        path.write_text(text)

    with pytest.raises(ConfigError):
        files.load(path)


def test_the_last_good_configuration_is_read_again(tmp_path):
    keep(tmp_path / "deep" / "state")

    kept = files.load_last_good(tmp_path / "deep" / "state")

    assert kept == files.LastGood(DOCUMENTS, 4)


def test_only_its_owner_reads_it_and_nothing_else_is_left_there(tmp_path):
    keep(tmp_path / "state")
    keep(tmp_path / "state")

    (only,) = (tmp_path / "state").iterdir()
    assert stat.S_IMODE(only.stat().st_mode) == 0o600
    assert stat.S_IMODE(only.parent.stat().st_mode) == 0o700


def test_there_may_be_none(tmp_path):
    assert files.load_last_good(tmp_path / "nowhere") is None


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[:-10],
        lambda text: b"",
        lambda text: text.replace(b"http://a", b"http://b"),
        lambda text: text.replace(b'"flags"', b'"flaws"'),
        lambda text: b"\xff" + text,
    ],
)
def test_a_damaged_one_is_told_and_not_used(tmp_path, damage):
    keep(tmp_path)
    path = tmp_path / files.LAST_GOOD
    path.write_bytes(damage(path.read_bytes()))

    with pytest.raises(ConfigError):
        files.load_last_good(tmp_path)
