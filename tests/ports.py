"""Free ports for servers that tests start."""

import os
import random
import socket

_FIRST, _LAST = 12_000, 30_000
"""Below the range from which the kernel takes ports of outgoing connections."""
_places = random.Random(os.getpid())


def free_port() -> int:
    """Return a port that was free on loopback a moment ago."""
    while True:
        port = _places.randint(_FIRST, _LAST)
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                continue
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
