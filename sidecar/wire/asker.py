"""Who may ask, on a request of his own, why it went where it went; and what he is told."""

import ipaddress
import json
from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from sidecar.explain import Record, encode, explain_record, summary
from sidecar.facts import api_key_of

HEADER = "x-pointsman-explain"
LONGEST_HEADER = 4096

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Asker(NamedTuple):
    """Addresses and API keys (by the first 16 hex digits of their SHA-256) that may ask."""

    networks: tuple[Network, ...]
    keys: frozenset[str]

    def may(self, headers: Mapping[str, str], source: str) -> bool:
        """Tell whether this request asks, and may. ``source``: address and port, or nothing."""
        if headers.get(HEADER) != "1":
            return False
        if self.keys and api_key_of(headers) in self.keys:
            return True
        address = _address(source)
        return address is not None and any(address in network for network in self.networks)


def _address(source: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Read ``192.0.2.1:80`` or ``[2001:db8::1]:80``."""
    host, _, _ = source.rpartition(":")
    try:
        address = ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        return address.ipv4_mapped
    return address


def explanation_header(record: Record) -> str:
    """Return the explanation of a decision as JSON in ASCII, cut to a summary when it is long."""
    found = explain_record(record)
    text = _ascii(msgspec.json.decode(encode(found)))
    return text if len(text) <= LONGEST_HEADER else _ascii(summary(found))


def _ascii(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))
