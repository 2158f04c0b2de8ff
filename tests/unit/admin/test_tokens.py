import hashlib
import hmac
import json
import stat
from concurrent.futures import ThreadPoolExecutor

import pytest
from structlog.testing import capture_logs

from sidecar.admin.token_file import TokenFile
from sidecar.admin.tokens import MOST_BYTES, find, new_token, parse_tokens, read_tokens
from sidecar.admin.tokens_write import add, revoke
from sidecar.errors import ConfigError

DIGEST = "0" * 64


@pytest.fixture
def path(tmp_path):
    return tmp_path / "tokens.json"


def added(path, name, role="viewer"):
    secret, token = new_token(name, role)
    add(path, token)
    return secret


# ── tokens ─────────────────────────────────────────────────────────────────


def test_a_token_has_256_bits_and_its_entry_only_their_hash():
    secret, token = new_token("ann", "operator")

    assert len(secret) == 46
    assert token.sha256 == hashlib.sha256(secret.encode()).hexdigest()
    assert secret.removeprefix("pm_") not in repr(token)
    assert new_token("ann", "operator")[0] != secret


def test_a_token_is_found_among_others_and_a_wrong_one_is_not():
    made = [new_token(name, "viewer") for name in ("ann", "bob", "eve")]
    tokens = [token for _, token in made]

    assert [find(tokens, secret).name for secret, _ in made] == ["ann", "bob", "eve"]
    for wrong in ("", "pm_", made[0][0][:-1], made[0][0] + "x", made[0][0].lower(), "pm_ü" * 9):
        assert find(tokens, wrong) is None


def test_all_entries_are_compared_also_when_the_first_is_the_one(monkeypatch):
    made = [new_token(str(place), "viewer") for place in range(5)]
    compared = []
    monkeypatch.setattr(hmac, "compare_digest", lambda a, b: compared.append(a) or a == b)

    assert find([token for _, token in made], made[0][0]).name == "0"

    assert len(compared) == 5


def test_a_password_whose_hash_somebody_has_put_in_is_no_token():
    digest = hashlib.sha256(b"admin").hexdigest()
    tokens = parse_tokens(_file({"name": "a", "role": "admin", "sha256": digest}))

    assert find(tokens, "admin") is None


# ── the file ───────────────────────────────────────────────────────────────


def _file(*entries):
    return json.dumps({"tokens": list(entries)}).encode()


def entry(**changes):
    return {"name": "ann", "role": "viewer", "sha256": DIGEST, **changes}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (b"", "tokens file: is not JSON"),
        (b"\xff", "tokens file: is not JSON"),
        (b"[]", "tokens file: an entry has name, role, sha256 and created"),
        (_file(entry(), entry(role="root")), "tokens[1].role: must be viewer, operator or admin"),
        (_file(entry(sha256="pm_x")), "tokens[0].sha256: must be the 64 hex digits"),
        (_file(entry(sha256=DIGEST + "\n")), "tokens[0].sha256: must be"),
        (_file(entry(name="a\nb")), "tokens[0].name: must be 1 to 64 letters"),
        (_file(entry(name="")), "tokens[0].name: must be"),
        (_file(entry(rôle="x")), "tokens[0]: an entry has name, role"),
        (_file({"name": "ann", "role": "viewer"}), "tokens[0]: an entry has name, role"),
        (_file(entry(), entry(sha256="1" * 64)), "tokens[1].name: is that of tokens[0]"),
        (_file(entry(), entry(name="bob")), "tokens[1].sha256: is that of tokens[0]"),
    ],
)
def test_what_is_wrong_with_a_file_is_said_with_its_place(text, told):
    with pytest.raises(ConfigError) as wrong:
        parse_tokens(text)

    assert told in str(wrong.value)


@pytest.mark.parametrize("field", ["name", "role", "sha256", "created", "pm_other"])
def test_a_token_that_was_pasted_into_the_file_is_not_told_to_anybody(field):
    with pytest.raises(ConfigError) as wrong:
        parse_tokens(_file(entry(**{field: "pm_secret " * 9})))

    assert "pm_secret" not in str(wrong.value)
    assert "pm_other" not in str(wrong.value)


def test_a_file_that_everybody_can_write_is_refused(path):
    added(path, "ann")
    path.chmod(0o602)

    with pytest.raises(ConfigError, match="written by everybody"):
        read_tokens(path)


def test_a_file_of_a_wrong_size_or_kind_is_refused(path):
    path.write_bytes(b" " * (MOST_BYTES + 1))
    with pytest.raises(ConfigError, match="more than"):
        read_tokens(path)
    with pytest.raises(ConfigError, match="directory"):
        read_tokens(path.parent)


# ── as of now ──────────────────────────────────────────────────────────────


def test_the_file_counts_as_soon_as_it_is_changed(path):
    live = TokenFile(path)
    assert live.report()["fault"] == "tokens file: No such file or directory"

    ann = added(path, "ann")
    assert live.find(ann).name == "ann"
    bob = added(path, "bob")
    assert live.find(bob).name == "bob"

    revoke(path, "ann")
    assert live.find(ann) is None
    assert live.find(bob).name == "bob"
    assert live.report() == {"by": "tokens", "tokens": 1, "fault": None}


@pytest.mark.parametrize("broken", [b"{", b'{"tokens": [{}]}', None])
def test_a_broken_or_lost_file_keeps_the_last_good_one_and_is_told_once(path, broken):
    live = TokenFile(path)
    ann = added(path, "ann")
    assert live.find(ann)

    with capture_logs() as logs:
        path.write_bytes(broken) if broken else path.unlink()
        assert live.find(ann)
        assert live.find(ann)
        assert live.report()["tokens"] == 1
        assert live.report()["fault"]
        path.write_text('{"tokens": []}')
        assert live.find(ann) is None

    assert [log["event"] for log in logs] == ["tokens_rejected", "tokens_read"]
    assert live.report() == {"by": "tokens", "tokens": 0, "fault": None}


def test_before_there_was_a_good_file_nobody_is_known(path):
    path.write_text("{")

    assert TokenFile(path).find(new_token("ann", "admin")[0]) is None


# ── changes ────────────────────────────────────────────────────────────────


def test_a_new_file_is_for_its_owner_alone_and_nothing_is_left_beside_it(path):
    added(path, "ann")

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize(("before", "after"), [(0o640, 0o640), (0o644, 0o640), (0o600, 0o600)])
def test_a_file_stays_readable_for_its_group_and_for_nobody_else(path, before, after):
    added(path, "ann")
    path.chmod(before)
    added(path, "bob")

    assert stat.S_IMODE(path.stat().st_mode) == after


def test_a_name_is_taken_only_once(path):
    added(path, "ann")
    text = path.read_bytes()

    with pytest.raises(ConfigError, match='"ann": is taken'):
        added(path, "ann", "admin")

    assert path.read_bytes() == text


def test_a_file_that_is_wrong_is_not_written_over(path):
    path.write_text("{")

    with pytest.raises(ConfigError):
        added(path, "ann")
    with pytest.raises(ConfigError):
        revoke(path, "ann")

    assert path.read_text() == "{"


def test_a_link_stays_one(path):
    added(path, "ann")
    link = path.with_name("link.json")
    link.symlink_to(path)

    added(link, "bob")

    assert link.is_symlink()
    assert [token.name for token in read_tokens(path)] == ["ann", "bob"]


def test_of_many_at_once_none_is_lost(path):
    with ThreadPoolExecutor(8) as pool:
        secrets = list(pool.map(lambda place: added(path, f"n{place}"), range(40)))

    tokens = read_tokens(path)
    assert sorted(find(tokens, secret).name for secret in secrets) == sorted(
        f"n{place}" for place in range(40)
    )


def test_revoking_says_whether_there_was_such_a_token(path):
    added(path, "ann")

    assert not revoke(path, "bob")
    assert revoke(path, "ann")
    assert read_tokens(path) == ()
