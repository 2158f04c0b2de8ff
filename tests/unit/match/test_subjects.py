"""Subjects on their own, as routers read them."""

import pytest

from sidecar.errors import ConfigError
from sidecar.match import compile_accessor, headers_of
from sidecar.model import MISSING


@pytest.mark.parametrize(
    ("subject", "value"),
    [
        ("user.id", "ann"),
        ("headers.X-Team", "core"),
        ("body.messages[0].role", "user"),
        ("metadata.a", "b"),
        ("prompt.messages", 1),
        ("user.tags", MISSING),
        ("time.weekday", "thu"),
        ("metrics.gpt.requests", 0),
    ],
)
def test_an_accessor_reads_its_subject(context_of, subject, value):
    body = {"messages": [{"role": "user", "content": "hi"}], "metadata": {"a": "b"}}
    context = context_of({"headers": {"x-user-id": "ann", "x-team": "core"}, "body": body})

    assert compile_accessor(subject, "routers.r.key")(context) == value


def test_an_accessor_reads_a_flag(context_of):
    flags = {"beta": lambda context: True}

    assert compile_accessor("flags.beta", "p", flags=flags)(context_of({})) is True


@pytest.mark.parametrize(
    ("subject", "near"),
    [
        ("modle", "model"),
        ("header.x-a", "headers.x-a"),
        ("user.teir", "user.tier"),
        ("prompt.token", "prompt.tokens"),
        ("flag.beta", "flags.beta"),
        ("bdy.a.b", "body.a.b"),
    ],
)
def test_a_misspelt_subject_is_told_the_nearest(subject, near):
    with pytest.raises(ConfigError) as raised:
        compile_accessor(subject, "routers.r.key")

    start = f'routers.r.key: unknown subject "{subject}"; did you mean "{near}"? legal: model '
    assert str(raised.value).startswith(start)


@pytest.mark.parametrize("subject", ["", ".", "headers", "headers.", "flags.", "body.", "extra.x"])
def test_a_subject_that_is_like_no_other_is_told_the_legal_ones(subject):
    with pytest.raises(ConfigError, match=r"p: .*unknown subject .*legal: model .*headers\.<name>"):
        compile_accessor(subject, "p")


def test_the_headers_of_a_subject_are_lower_case():
    assert headers_of("headers.X-Team") == {"x-team"}
    assert headers_of("user.tenant") == {"x-tenant-id"}
    assert headers_of("prompt.text") == frozenset()
