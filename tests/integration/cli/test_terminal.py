"""Commands on a terminal: they show what would change and ask; elsewhere they never ask."""

import fcntl
import os
import pty
import select
import subprocess
import sys
import termios
import time

import pytest

RULES = {
    "backends": {"a": {"endpoints": ["http://127.0.0.1:1"]}},
    "routes": {"all": {"router": "a"}, "odd": {"router": "a", "order": 1}},
}
FEWER = RULES | {"routes": {"all": {"router": "a"}}}


class Terminal:
    """A command on a terminal of its own, as somebody sees it and types into it."""

    def __init__(self, arguments, environment, folder):
        self._own, other = pty.openpty()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "sidecar.cli", *arguments],
            env=os.environ | environment,
            stdin=other,
            stdout=other,
            stderr=other,
            cwd=folder,
            start_new_session=True,
            preexec_fn=_take_terminal,  # noqa: PLW1509 - no threads yet
        )
        os.close(other)
        self.text = ""

    def reads(self, wanted, seconds=30):
        """Read until this is on the screen, or the command ends."""
        until = time.monotonic() + seconds
        while wanted not in self.text and time.monotonic() < until:
            if not self._read():
                break
        assert wanted in self.text, self.text

    def types(self, text):
        os.write(self._own, text.encode())

    def insists(self, text):
        """Type until the command ends: a key between the question and its reading may be lost."""
        self.types(text)
        while select.select([self._own], [], [], 1)[0]:
            if not self._read():
                return
        self.insists(text)

    def ends(self):
        """Return the exit code, when all is read."""
        while self._read():
            pass
        return self._process.wait(30)

    def close(self):
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait(30)
        os.close(self._own)

    def _read(self):
        try:
            ready, _, _ = select.select([self._own], [], [], 30)
            text = os.read(self._own, 65536) if ready else b""
        except OSError:  # Linux' way to say that the other end is closed
            return False
        self.text += text.decode(errors="replace")
        return bool(text)


def _take_terminal():
    """Make standard input the terminal that Ctrl-C comes from."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


@pytest.fixture
def terminal(pointsman, file, redis_url, tmp_path):
    """Start a command on a terminal, on rules of which version 1 is live."""
    assert pointsman("apply", file(RULES)).returncode == 0
    file(FEWER, "fewer.json")
    opened = []

    def start(*arguments):
        environment = {"POINTSMAN_REDIS_URL": redis_url, "COLUMNS": "120", "TERM": "xterm"}
        opened.append(Terminal(arguments, environment, tmp_path))
        return opened[-1]

    yield start
    for one in opened:
        one.close()


def routes(pointsman):
    return [one["name"] for one in pointsman("routes", "list", "--json").json]


def test_apply_shows_the_difference_in_colour_and_asks(terminal, pointsman):
    screen = terminal("apply", "fewer.json")
    screen.reads("Apply fewer.json?")
    assert "Checking" in screen.text

    assert "\x1b[1;31m- routes.odd" in screen.text
    assert "0 to add, 0 to change, 1 to remove" in screen.text
    screen.types("y\n")
    assert screen.ends() == 0
    assert "live as version 2" in screen.text
    assert routes(pointsman) == ["all"]


def test_nothing_is_asked_when_nothing_would_change(terminal):
    screen = terminal("rollback", "1")

    assert screen.ends() == 0
    assert "nothing differs: version 1 stays" in screen.text
    assert "[y/N]" not in screen.text


@pytest.mark.parametrize("answer", ["\x04", "\x03"])
def test_whatever_is_not_yes_writes_nothing(terminal, pointsman, answer):
    screen = terminal("apply", "fewer.json")
    screen.reads("[y/N]")

    screen.insists(answer)

    assert screen.ends() == 1
    assert "nothing written" in screen.text
    assert "Traceback" not in screen.text
    assert routes(pointsman) == ["odd", "all"]


def test_what_somebody_else_writes_meanwhile_is_not_overwritten(terminal, pointsman):
    screen = terminal("apply", "fewer.json")
    screen.reads("[y/N]")
    pointsman("routes", "put", "theirs", "-", text='{"router": "a", "order": 2}')

    screen.types("y\n")

    assert screen.ends() == 1
    assert "the store is at version 2" in screen.text
    assert routes(pointsman) == ["odd", "theirs", "all"]


def test_rm_removes_only_what_was_shown_and_yes_is_an_answer_beforehand(terminal, pointsman):
    screen = terminal("routes", "rm", "odd")
    screen.reads("Remove routes.odd?")
    pointsman("routes", "put", "odd", "--set", "order=3")
    screen.types("y\n")
    assert screen.ends() == 1
    assert "routes.odd is not as it was read" in screen.text

    screen = terminal("routes", "rm", "odd", "--yes")

    assert screen.ends() == 0
    assert "[y/N]" not in screen.text
    assert routes(pointsman) == ["all"]


def test_a_wrong_edit_is_refused_before_anything_is_asked(terminal):
    screen = terminal("backends", "rm", "a")

    assert screen.ends() == 1
    assert "[y/N]" not in screen.text
    assert "backends.a was not removed" in screen.text
