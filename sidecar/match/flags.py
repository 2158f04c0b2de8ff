"""Feature flags: an operator's switch, for everybody or for a sticky share of callers."""

from hashlib import blake2b
from typing import Any

from sidecar.errors import ConfigError, Fault
from sidecar.match.condition import Compiled, compile_condition
from sidecar.match.subjects import compile_accessor, headers_of
from sidecar.model import Accessor, Context, Predicate


def compile_flag(
    name: str,
    path: str,
    *,
    enabled: bool = True,
    share: float | None = None,
    key: str = "user.id",
    match: Any = None,
) -> Compiled:
    """Compile a flag: on when it is enabled, ``match`` holds and the caller is in the share.

    ``share`` is a percentage of the values of subject ``key``; whoever is in stays in when it is
    raised, and a request without a value is in no share below 100. A flag reads no other flag.
    Raises ConfigError with every fault, each below ``path``.
    """
    faults: list[Fault] = []
    rule = Compiled(_never)
    read: Accessor = _never
    try:
        rule = compile_condition({} if match is None else match, f"{path}.match")
    except ConfigError as error:
        faults.extend(error.faults)
    try:
        read = compile_accessor(key, f"{path}.key")
    except ConfigError as error:
        faults.extend(error.faults)
    if share is not None and not 0 <= share <= 100:
        faults.append(Fault(f"{path}.share", "needs a percentage from 0 to 100"))
    if faults:
        raise ConfigError(faults)
    if not enabled:
        return Compiled(_never)
    if share is None or share == 100:
        return Compiled(rule.matches, None, rule.headers)
    matches = _shared(rule.matches, read, name, share)
    return Compiled(matches, None, rule.headers | headers_of(key))


def _never(_: Context) -> bool:
    return False


def _shared(matches: Predicate, read: Accessor, name: str, share: float) -> Predicate:
    """Narrow ``matches`` to callers whose key falls below ``share`` of the hash's range.

    BLAKE2b (RFC 7693) of name NUL value, 64 bits: the same on every node and after a restart.
    """
    salt = name.encode() + b"\0"
    limit = int(share / 100 * 2**64)

    def shared(context: Context) -> bool:
        if not matches(context):
            return False
        value = read(context)
        if not isinstance(value, (str, int, float)):
            return False
        text = str(value).encode(errors="surrogatepass")
        return int.from_bytes(blake2b(salt + text, digest_size=8).digest()) < limit

    return shared
