"""Addresses to listen on: whether they are free, said before anything is started."""

import socket
from collections.abc import Mapping

from sidecar.errors import PointsmanError
from sidecar.settings import Address


class PortInUse(PointsmanError):
    """An address that is needed is taken; the message names the setting that moves it."""

    code = "port_in_use"


def check_ports(ports: Mapping[str, Address]) -> None:
    """Raise PortInUse when addresses are taken; keys are the names of their settings."""
    taken = [f"{address}: set {name}" for name, address in ports.items() if _is_taken(address)]
    if taken:
        raise PortInUse(f"in use: {'; '.join(taken)} to a free address")


def _is_taken(address: Address) -> bool:
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(tuple(address))
        except OSError:
            return True
    return False
