"""`python -m bench.experiments`: simulate experiments, print the tables, draw the pictures."""

import argparse
import time
from pathlib import Path

from bench.experiments.plots import draw
from bench.experiments.tables import markdown, tables

PICTURES = Path(__file__).parents[2] / "docs" / "img"


def main() -> None:
    """Run everything; the same seeds give the same figures."""
    parser = argparse.ArgumentParser("python -m bench.experiments", description=__doc__)
    parser.add_argument("--runs", type=int, default=1000, help="of each simulation")
    parser.add_argument("--pictures", type=Path, default=PICTURES, metavar="FOLDER")
    options = parser.parse_args()
    began = time.monotonic()
    for table in tables(options.runs):
        print(markdown(table), flush=True)
    for path in draw(options.pictures, options.runs):
        print(f"wrote {path}")
    print(f"{time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
