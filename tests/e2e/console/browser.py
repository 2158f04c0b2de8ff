"""A real Chromium that looks at the console, and remembers what no visit may bring about."""

import shutil
from contextlib import contextmanager
from urllib.parse import urlsplit

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect, sync_playwright

CHROMIUM = shutil.which("chromium")
PHONE = 375
MOST_MS = 10_000
_TRIAL = "?dry_run=true"
"""What is wrong with a change is told by a 422; a browser logs it as if it were a mishap."""
_ANSWERS = "Failed to load resource: the server responded with a status of "


@contextmanager
def running_chromium():
    """Yield a browser; playwright's own loop ends with it, so that tests on asyncio can follow."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"]
        )
        try:
            yield browser
        finally:
            browser.close()


class Visit:
    """One person with one window on the console of ``system``.

        visit.go("#/backends")
        visit.page.get_by_role("button", name="Save")

    ``faults``: errors in the browser's console, violations of the page's policy and requests to
    the outside. Answers that a test asks for, such as a 412, are named in ``expected``.
    """

    def __init__(self, browser, admin, width=1280, scheme="light"):
        self.base = f"http://{admin}/"
        self.expected = set()
        self.faults = []
        self.context = browser.new_context(
            viewport={"width": width, "height": 800}, color_scheme=scheme, reduced_motion="reduce"
        )
        self.context.set_default_timeout(MOST_MS)
        expect.set_options(timeout=MOST_MS)
        self.page = self.context.new_page()
        self.page.on("console", self._said)
        self.page.on("pageerror", lambda error: self.faults.append(f"error: {error}"))
        self._open = set()
        self.page.on("request", self._asked)
        self.page.on("requestfinished", self._done)
        self.page.on("requestfailed", self._done)
        self.page.on("dialog", lambda dialog: dialog.accept())

    def _said(self, message):
        if message.type not in {"error", "warning"}:
            return
        url = message.location.get("url", "")
        if message.text.startswith(_ANSWERS):
            status = int(message.text.removeprefix(_ANSWERS)[:3])
            if status in self.expected or (status == 422 and _TRIAL in url):
                return
        if "ERR_CONNECTION_REFUSED" in message.text and "refused" in self.expected:
            return
        self.faults.append(f"{message.type}: {message.text} {url}")

    def _asked(self, request):
        self._open.add(request)
        if urlsplit(request.url).netloc not in {urlsplit(self.base).netloc, ""}:
            self.faults.append(f"request to the outside: {request.url}")

    def _done(self, request):
        self._open.discard(request)

    def go(self, place="#/overview"):
        """Go to a page of the console and wait until it has its heading."""
        self.page.goto(self.base + place)
        name = place.removeprefix("#/").partition("/")[0].partition("?")[0]
        self.page.wait_for_selector(f'main[data-page="{name}"] h1')
        return self.page

    def settled(self):
        """Wait until the page has what it asked for, and has drawn it."""
        expect(self.page.locator(".loading")).to_have_count(0)
        drawn = "() => new Promise((done) => requestAnimationFrame(() => setTimeout(done)))"
        self.page.evaluate(drawn)
        while self._open:
            self.page.wait_for_timeout(10)  # lets playwright hear of what is done
            self.page.evaluate(drawn)

    def violations(self, *rules):
        """Return what axe finds wrong: rule, what it says, and where. Without rules: by all."""
        only = {"runOnly": {"type": "rule", "values": list(rules)}} if rules else {}
        options = {"resultTypes": ["violations"], **only}
        found = Axe().run(self.page, options=options).response["violations"]
        return [
            f"{one['id']}: {node['failureSummary']} at {node['target']}"
            for one in found
            for node in one["nodes"]
        ]

    def overflow(self):
        """Return by how many pixels the page is wider than its window."""
        return self.page.evaluate(
            "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        )

    def field(self, label):
        """Return the input with this label."""
        return self.page.get_by_label(label, exact=True)

    def press(self, name):
        """Press the button of this name."""
        self.page.get_by_role("button", name=name, exact=True).click()

    def close(self):
        """Close the window and return the faults of the visit."""
        self.context.close()
        return self.faults
