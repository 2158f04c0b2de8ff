"""The pictures of docs/experiments.md."""

from pathlib import Path
from typing import Any

import numpy as np

from bench.experiments import regret
from bench.experiments.peeking import Rates, Setting, fixed_horizon, simulate, traffic
from bench.experiments.tables import ALIKE, POWER, WORSE
from sidecar.evidence import Proportion, difference

COLORS = {"here": "#1b6ca8", "naive": "#c8553d", "fixed": "#6b7280"}


def draw(folder: Path, runs: int) -> list[Path]:
    """Write all pictures as SVG; needs matplotlib."""
    import matplotlib as mpl  # noqa: PLC0415

    mpl.use("svg")
    mpl.rcParams.update({
        "svg.hashsalt": "experiments", "svg.fonttype": "none", "font.size": 9,
        "axes.spines.top": False, "axes.spines.right": False, "figure.constrained_layout.use": True,
    })  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    return [
        _save(folder / "experiments-peeking.svg", _peeking(runs)),
        _save(folder / "experiments-interval.svg", _interval()),
        _save(folder / "experiments-regret.svg", _regret(max(runs // 10, 10))),
    ]


def _save(path: Path, figure: Any) -> Path:
    from matplotlib import pyplot as plt  # noqa: PLC0415

    # Without a date and with Unix line ends the same figures give the same file.
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)
    return path


def _subplots(columns: int, height: float = 3.2) -> Any:
    from matplotlib import pyplot as plt  # noqa: PLC0415

    return plt.subplots(1, columns, figsize=(4.2 * columns, height))


def _peeking(runs: int) -> Any:
    figure, axes = _subplots(2)
    requests = 10_000
    grid = np.arange(0, requests + 1, 50)
    for axis, seed, rates, title in (
        (axes[0], 1, ALIKE, "No difference: false roll-backs"),
        (axes[1], 11, WORSE, "Error rate 2 % → 4 %: roll-backs"),
    ):
        times = simulate(seed, runs, Setting(requests, 0.5, rates))
        for label, found in (("here", times.harm), ("naive", times.naive)):
            done = [float((found <= at).mean()) * 100 for at in grid]
            name = "confidence sequence" if label == "here" else "naive peeking"
            axis.plot(grid, done, color=COLORS[label], label=name)
        axis.set(title=title, xlabel="requests", ylabel="% of runs rolled back")
    axes[0].axhline(5, color="black", linewidth=0.6, linestyle=":", label="alpha")
    horizon = fixed_horizon(WORSE, 0.5, 0.05, POWER, 0.0)
    axes[1].axvline(horizon, color=COLORS["fixed"], linestyle="--", label="fixed horizon")
    for axis in axes:
        axis.legend(frameon=False)
    return figure


def _interval() -> Any:
    figure, axis = _subplots(1)
    seen = traffic(np.random.default_rng(81), 1, 10_000, 0.5, Rates(0.02, 0.04))
    at = np.unique(np.geomspace(60, 10_000, 150).astype(int)) - 1
    found = [
        difference(
            Proportion(seen.control[0, k], seen.control_errors[0, k]),
            Proportion(seen.candidate[0, k], seen.candidate_errors[0, k]),
            0.05,
        )
        for k in at
    ]
    ends = [[100 * (end or 0) for end in (one.low, one.estimate, one.high)] for one in found]
    low, middle, high = np.array(ends).T
    axis.fill_between(at + 1, low, high, color=COLORS["here"], alpha=0.25, label="interval")
    axis.plot(at + 1, middle, color=COLORS["here"], label="estimate")
    axis.axhline(2, color="black", linewidth=0.6, linestyle=":", label="truth")
    axis.axhline(0, color="black", linewidth=0.6)
    axis.set(title="One experiment", xlabel="requests", ylabel="more errors, points", ylim=(-6, 12))
    axis.set_xscale("log")
    axis.legend(frameon=False)
    return figure


def _regret(runs: int) -> Any:
    figure, axes = _subplots(2, 4.0)
    requests = 10_000
    grid = np.arange(1, requests // regret.EVERY + 1) * regret.EVERY
    for axis, seed, world, title in (
        (axes[0], 61, regret.STATIONARY, "Nothing changes"),
        (axes[1], 62, regret.SWITCH, "The best arm fails after 5,000"),
    ):
        for name, weigh in regret.STRATEGIES.items():
            axis.plot(grid, regret.regret(seed, runs, requests, world, weigh), label=name)
        best = regret.best_fixed(requests, world)
        axis.plot(grid, best, color="black", linestyle=":", label="best fixed arm")
        axis.set(title=title, xlabel="requests", ylabel="rewards lost")
    lines, names = axes[0].get_legend_handles_labels()
    figure.legend(lines, names, loc="outside lower center", ncols=3, frameon=False, fontsize=8)
    return figure
