"""References to credentials."""

import json

import pytest

from sidecar.xds.secrets import SecretMissing, read_secret, secret_text


def test_a_secret_comes_from_the_environment():
    assert read_secret("env:KEY", {"KEY": "sk-1"}) == "sk-1"


def test_a_secret_comes_from_a_file_without_its_line_end(tmp_path):
    (tmp_path / "key").write_text("sk-2\r\n")

    assert read_secret(f"file:{tmp_path / 'key'}", {}) == "sk-2"


@pytest.mark.parametrize(
    ("reference", "why"),
    [
        ("env:NOT_SET", "env:NOT_SET is not set or empty"),
        ("env:BLANK", "env:BLANK is not set or empty"),
        ("file:/no/such/file", "file:/no/such/file cannot be read: FileNotFoundError"),
        ("env:TWO_LINES", "env:TWO_LINES has characters that no header can carry"),
        ("env:ACCENT", "env:ACCENT has characters that no header can carry"),
        ("sk-live-secret", "is neither env:NAME nor file:PATH"),
    ],
)
def test_a_secret_that_cannot_be_had_is_explained_and_not_quoted(reference, why):
    environ = {"BLANK": " \n", "TWO_LINES": "sk-secret\r\nx: y", "ACCENT": "sk-secret-é"}

    with pytest.raises(SecretMissing) as caught:
        read_secret(reference, environ)

    assert str(caught.value) == why
    assert "secret" not in str(caught.value)


def test_a_file_that_is_no_text_is_not_quoted(tmp_path):
    (tmp_path / "key").write_bytes(b"\xff\xfe sk-secret")

    with pytest.raises(SecretMissing) as caught:
        read_secret(f"file:{tmp_path / 'key'}", {})

    assert "sk-secret" not in str(caught.value)


def test_the_file_for_envoy_names_the_backend_and_has_no_hash_of_the_secret():
    one, other = (json.loads(secret_text("a", text)) for text in ("sk-1", "sk-2"))

    assert one["resources"][0]["name"] == "a"
    assert one["resources"][0]["generic_secret"]["secret"]["inline_string"] == "sk-1"
    assert one["version_info"] == other["version_info"]
