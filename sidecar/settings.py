"""Process settings: read once from the environment, frozen, handed down by `app` and `cli`."""

import ipaddress
import os
import re
import socket
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, NamedTuple, Self, get_args, get_type_hints

import msgspec

from sidecar.errors import SettingsError

PREFIX = "POINTSMAN_"
_LONGEST_RUN_DIR = 90
"""A Unix socket's address has 107 bytes on Linux, and sockets are called ``/worker-NNNN.sock``."""


Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_KEY = re.compile(r"[0-9a-fA-F]{16}")


class Address(NamedTuple):
    """A host and a port to listen on."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


EMBEDDED_REDIS = Address("127.0.0.1", 16379)


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that is set per process. Field ``redis_url`` is ``POINTSMAN_REDIS_URL``."""

    listen: Address = Address("127.0.0.1", 10000)
    admin: Address = Address("127.0.0.1", 8080)
    envoy_admin: Address = Address("127.0.0.1", 9901)
    redis_url: str = ""
    prefix: str = "pointsman:"
    workers: int = msgspec.field(default_factory=lambda: os.cpu_count() or 1)
    run_dir: Path | None = None
    fallback_config: Path | None = None
    state_dir: Path | None = None
    inline_routers: Literal["allow", "deny"] = "allow"
    inline_scripts: Literal["allow", "deny"] = "deny"
    variant_pins: Literal["allow", "deny"] = "deny"
    on_unknown_model: Literal["default", "reject"] = "default"
    max_body_bytes: int = 32 * 1024 * 1024
    tokens_file: Path | None = None
    ca_file: Path | None = None
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["auto", "console", "json"] = "auto"
    node: str = msgspec.field(default_factory=socket.gethostname)
    record_decisions: int = 1000
    decision_log: int = 100_000
    decision_log_hours: float = 72.0
    decision_facts: float = 0.1
    feedback_hours: float = 24.0
    feedback_decisions: int = 1_000_000
    feedback_per_second: float = 100.0
    explain_from: str = ""
    explain_api: Literal["loopback", "allow"] = "loopback"

    @classmethod
    def read(cls, environ: Mapping[str, str], **overrides: str | None) -> Self:
        """Read settings from ``environ``; an override that is not ``None`` wins.

        Raises SettingsError, naming the variable and the legal values.
        """
        raw = {name: environ.get(PREFIX + name.upper()) for name in cls.__struct_fields__}
        raw |= {name: value for name, value in overrides.items() if value is not None}
        given = {name: _parse(name, text) for name, text in raw.items() if text}
        try:
            settings = msgspec.convert(given, cls, strict=False, dec_hook=_path)
        except msgspec.ValidationError as error:
            raise SettingsError(_explain(str(error), cls)) from None
        _check_range("workers", settings.workers, 1, 1024)
        _check_range("max_body_bytes", settings.max_body_bytes, 1024, 2**31 - 1)
        _check_range("record_decisions", settings.record_decisions, 0, 100_000)
        _check_range("decision_log", settings.decision_log, 0, 100_000_000)
        _check_range("decision_log_hours", settings.decision_log_hours, 0.01, 8760)
        _check_range("decision_facts", settings.decision_facts, 0, 1)
        _check_range("feedback_hours", settings.feedback_hours, 0.01, 8760)
        _check_range("feedback_decisions", settings.feedback_decisions, 0, 100_000_000)
        _check_range("feedback_per_second", settings.feedback_per_second, 0.1, 1_000_000)
        settings.explain_askers()
        return settings

    def state_folder(self) -> Path:
        """Return the folder of the last good snapshot (it need not exist yet)."""
        if self.state_dir is not None:
            return self.state_dir
        base = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
        return Path(base) / "pointsman"

    def store_url(self) -> str:
        """Return the URL of Redis; without one it is the embedded Redis of ``pointsman up``."""
        return self.redis_url or f"redis://{EMBEDDED_REDIS}/0"

    def explain_askers(self) -> tuple[tuple[Network, ...], frozenset[str]]:
        """Return who may ask on a request why it goes where it goes: networks, and API keys.

        Keys are 16 hex digits, as the subject `api_key` has them. Raises SettingsError.
        """
        parts = [part.strip() for part in self.explain_from.split(",") if part.strip()]
        keys = frozenset(part.lower() for part in parts if _KEY.fullmatch(part))
        try:
            networks = [ipaddress.ip_network(one) for one in parts if one.lower() not in keys]
        except ValueError as error:
            raise SettingsError(
                f"{PREFIX}EXPLAIN_FROM: {error}; legal: networks such as 10.0.0.0/8 and the "
                "first 16 hex digits of an API key's SHA-256, separated by commas"
            ) from None
        return tuple(networks), keys

    @property
    def trusts_admin(self) -> bool:
        """Whether whoever reaches the admin address may see why others' requests were decided."""
        return self.explain_api == "allow" or self.admin_is_loopback

    @property
    def admin_is_loopback(self) -> bool:
        """Whether only this machine reaches the admin address."""
        if self.admin.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.admin.host).is_loopback
        except ValueError:
            return False

    def run_folder(self) -> Path:
        """Return the run directory.

        Raises SettingsError when there is none: `with_run_dir` makes one, once per node.
        """
        if self.run_dir is None:
            raise SettingsError(f"{PREFIX}RUN_DIR is not set")
        return self.run_dir

    def with_run_dir(self) -> Self:
        """Return settings with a run directory, made here (mode 0700) when none was set.

        Raises SettingsError when its path leaves no room for a Unix socket's name.
        """
        folder = (self.run_dir or Path(tempfile.mkdtemp(prefix="pointsman-"))).absolute()
        if len(os.fsencode(folder)) > _LONGEST_RUN_DIR:
            raise SettingsError(
                f"{PREFIX}RUN_DIR={str(folder)!r} is too long for the sockets in it: "
                f"at most {_LONGEST_RUN_DIR} bytes"
            )
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return msgspec.structs.replace(self, run_dir=folder)

    def environment(self) -> dict[str, str]:
        """Return the variables that make a child process read these very settings."""
        pairs = ((name, getattr(self, name)) for name in self.__struct_fields__)
        return {PREFIX + name.upper(): str(value) for name, value in pairs if value is not None}


def _parse(name: str, text: str) -> object:
    """Turn the text of an address setting into its parts; leave the others to msgspec."""
    if name not in {"listen", "admin", "envoy_admin"}:
        return text
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65535:
        raise SettingsError(f"{PREFIX}{name.upper()}={text!r} must be HOST:PORT, port 0 to 65535")
    return Address(host.strip("[]"), int(port))


def _path(kind: type, value: object) -> object:
    if kind is Path and isinstance(value, str):
        return Path(value)
    raise NotImplementedError(kind)


def _explain(message: str, cls: type) -> str:
    """Turn msgspec's ``… - at `$.workers``` into a sentence about the variable."""
    what, _, where = message.partition(" - at ")
    name = where.strip("`$.")
    legal = get_args(get_type_hints(cls).get(name))
    choices = [choice for choice in legal if isinstance(choice, str)]
    return f"{PREFIX}{name.upper()}: {what}" + (f"; legal: {', '.join(choices)}" if choices else "")


def _check_range(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise SettingsError(f"{PREFIX}{name.upper()}={value} must be between {low} and {high}")
