"""Hypothesis strategies for requests and plans, shared by the tests of several rooms."""

import json
import random

from hypothesis import strategies as st

from sidecar.model import CONTROL_FIELDS, OPERATIONS, Attempt, Backend

PATHS = st.sampled_from(sorted(OPERATIONS))

_NUMBERS = st.one_of(
    st.integers(-(10**25), 10**25),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from([0, -0.0, 1.0, 100, 100.0, 2**63, 1e308]),
)
_SCALARS = st.one_of(st.none(), st.booleans(), _NUMBERS, st.text(max_size=12))

JSON = st.recursive(
    _SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=6), inner, max_size=4)
    ),
    max_leaves=12,
)
"""Any JSON value, nested, with the whole of Unicode but lone surrogates."""

_STREAM_OPTIONS = st.one_of(
    JSON,
    st.fixed_dictionaries({}, optional={"include_usage": st.booleans() | JSON, "other": JSON}),
)
_PARAMETERS = {
    "temperature": st.none() | _NUMBERS,
    "max_tokens": st.none() | st.sampled_from([0, 1, 100, 100.0]),
    "stop": JSON,
    "stream": st.none() | st.booleans(),
    "stream_options": _STREAM_OPTIONS,
    'weird "key"\\\n': JSON,
    "ключ": JSON,
}
_RESERVED = {"model": JSON} | dict.fromkeys(CONTROL_FIELDS, JSON)
_MODELS = st.sampled_from(["gpt", "модель", 'a"b\\c']) | st.text(max_size=8)


def objects() -> st.SearchStrategy[dict]:
    """A body's value: known members, control fields and strangers in any order."""
    known = _PARAMETERS | {"model": _MODELS} | dict.fromkeys(CONTROL_FIELDS, JSON)
    known |= {"messages": JSON, "input": JSON, "user": JSON, "metadata": JSON}
    return st.tuples(
        st.fixed_dictionaries({}, optional=known),
        st.dictionaries(st.text(max_size=6).filter(lambda key: key not in known), JSON, max_size=3),
        st.randoms(use_true_random=False),
    ).map(_shuffled)


def _shuffled(parts: tuple[dict, dict, random.Random]) -> dict:
    members = list({**parts[0], **parts[1]}.items())
    parts[2].shuffle(members)
    return dict(members)


def bodies() -> st.SearchStrategy[bytes]:
    """Valid bodies in odd spellings: random white space, random escapes, also in keys."""
    return st.builds(spell, objects(), st.integers(0, 2**32))


def attempts() -> st.SearchStrategy[Attempt]:
    """A backend with defaults, and parameters over them; both may name what no target may set."""
    parameters = st.fixed_dictionaries({}, optional=_PARAMETERS | _RESERVED)
    backends = st.builds(
        Backend, name=st.just("b"), model=_MODELS, provider=st.just("p"), defaults=parameters
    )
    return st.builds(Attempt, backends, parameters)


def spell(value: object, seed: int) -> bytes:
    """Write a JSON value in one of its many spellings."""
    rng = random.Random(seed)
    roomy = rng.random() < 0.5
    gap = lambda: "".join(rng.choices(" \t\r\n", k=rng.randrange(3))) if roomy else ""  # noqa: E731

    def write(node: object) -> str:
        if isinstance(node, dict):
            pairs = (f"{gap()}{text(k)}{gap()}:{write(v)}" for k, v in node.items())
            written = "{" + (",".join(pairs) or gap()) + "}"
        elif isinstance(node, list):
            written = "[" + (",".join(map(write, node)) or gap()) + "]"
        else:
            written = text(node) if isinstance(node, str) else json.dumps(node)
        return f"{gap()}{written}{gap()}"

    def text(string: str) -> str:
        return '"' + "".join(map(char, string)) + '"'

    def char(one: str) -> str:
        if rng.random() < 0.1:
            units = one.encode("utf-16-be").hex()
            return "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))
        return "\\/" if one == "/" and roomy else json.dumps(one, ensure_ascii=False)[1:-1]

    return write(value).encode()
