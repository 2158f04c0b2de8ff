"""Pictures of the console's pages over a minute of real traffic, for docs/console.md.

python -m tests.e2e.console.screenshots docs/img
"""

import io
import random
import sys
import tempfile
import threading
from pathlib import Path

from PIL import Image

from tests.e2e.console.browser import PHONE, Visit, running_chromium
from tests.e2e.system import System

TRAFFIC_SECONDS = 75
COLOURS = 128
PAGES = {
    "overview": "overview",
    "backends": "backends",
    "route": "routes/premium",
    "experiments": "experiments/answers",
    "decisions": "decisions",
    "flags": "flags",
    "history": "history",
}
WHOLE = {"overview", "experiments"}


def documents(system):
    """Return rules as a small team may have them."""
    price = {
        "small": {"per_input_token": 0.15e-6, "per_output_token": 0.6e-6},
        "large": {"per_input_token": 2.5e-6, "per_output_token": 10e-6},
        "canary": {"per_input_token": 1e-6, "per_output_token": 4e-6},
    }
    words = {
        "small": "Quick and cheap",
        "large": "For what has to be right",
        "canary": "The next version, on trial",
    }
    backends = {
        name: system.backend(name, priority=place, price=price[name], description=words[name])
        for place, name in enumerate(("small", "large", "canary"))
    }
    arms = [
        {"name": "now", "router": {"type": "fallback", "targets": ["small"]}, "share": 60},
        {"name": "next", "router": {"type": "fallback", "targets": ["canary"]}, "share": 40},
    ]
    rollout = {
        "steps": [5, 40, 99],
        "guards": [{"metric": "error_rate", "max_increase": 0.05}],
        "min_exposures": 5000,
    }
    return {
        "backends": backends,
        "routers": {"resilient": {"type": "fallback", "targets": ["large", "small"]}},
        "routes": {
            "premium": {
                "order": 10,
                "match": {"user.tier": {"eq": "premium"}},
                "router": "resilient",
                "description": "Paying customers get the large model",
            },
            "trial": {"order": 20, "router": {"type": "experiment", "experiment": "answers"}},
            "default": {"order": 1000, "router": "resilient"},
        },
        "flags": {
            "long-answers": {"enabled": True, "share": 25, "description": "More room to answer"},
            "night-rates": {"enabled": False, "share": 100, "description": "Cheaper at night"},
        },
        "experiments": {"answers": {"state": "running", "arms": arms, "rollout": rollout}},
    }


def send(system, stop):
    """Ask as a mixed crowd does, until told to stop."""
    draw = random.Random(7)
    while not stop.wait(draw.uniform(0.02, 0.15)):
        headers = {"x-user-id": f"user-{draw.randrange(200)}"}
        if draw.random() < 0.3:
            headers["x-user-tier"] = "premium"
        words = "What is the capital of France? " * draw.randrange(1, 9)
        system.chat(words, headers=headers, stream=draw.random() < 0.6)


def edit(visit, name, label, text):
    """Change one field of a backend, as an operator does."""
    visit.go(f"#/backends/{name}")
    visit.field(label).fill(text)
    visit.press("Check and save")
    visit.press("Save")
    visit.page.get_by_role("status").get_by_text("saved as version").wait_for()


def keep(visit, path, **options):
    """Write what the window shows, in few colours: pages are flat."""
    visit.settled()
    visit.page.mouse.move(0, 0)
    picture = Image.open(io.BytesIO(visit.page.screenshot(**options))).convert("RGB")
    picture.quantize(COLOURS, dither=Image.Dither.NONE).save(path, optimize=True)
    print(f"{path}: {path.stat().st_size // 1024} KiB")


def explained(visit, folder):
    """Show why: of a request that is tried on the routes, and of one that was decided."""
    visit.go("#/routes")
    visit.page.get_by_label("Headers").fill("x-user-id: ann\nx-user-tier: premium")
    visit.press("Try it")
    visit.page.locator(".explained").wait_for()
    keep(visit, folder / "console-routes.png", full_page=True)
    visit.go("#/decisions")
    visit.page.get_by_role("table").get_by_role("link").first.click()
    visit.page.locator(".explained").wait_for()
    keep(visit, folder / "console-decision.png", full_page=True)


def take(browser, system, folder):
    visit = Visit(browser, system.settings.admin)
    edit(visit, "canary", "Time limit (seconds)", "20")
    edit(visit, "large", "Region", "eu-west")
    for name, place in PAGES.items():
        visit.page.goto("about:blank")  # no toast of the page before
        visit.go(f"#/{place}")
        keep(visit, folder / f"console-{name}.png", full_page=name in WHOLE)
    explained(visit, folder)
    visit.go("#/backends/small")
    visit.field("Time limit (seconds)").fill("15")
    keep(visit, folder / "console-backend.png")
    visit.press("Check and save")
    visit.page.locator(".diff").wait_for()
    keep(visit, folder / "console-save.png")
    visit.close()
    phone = Visit(browser, system.settings.admin, width=PHONE)
    phone.go("#/backends")
    keep(phone, folder / "console-phone.png")
    phone.close()


def main(folder):
    with tempfile.TemporaryDirectory() as scratch, running_chromium() as browser:
        system, stop, crowd = System(Path(scratch), workers=1), threading.Event(), []
        try:
            system.start()
            system.write(documents(system))
            system.models["small"].control(first_token_ms=40, tokens_per_second=300)
            system.models["large"].control(first_token_ms=120, tokens_per_second=120)
            system.models["canary"].control(first_token_ms=60, tokens_per_second=220)
            crowd = [threading.Thread(target=send, args=(system, stop)) for _ in range(4)]
            for one in crowd:
                one.start()
            stop.wait(TRAFFIC_SECONDS)
            take(browser, system, folder)
        finally:
            stop.set()
            for one in crowd:
                one.join()
            system.stop()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
