"""The tables of docs/experiments.md: what is simulated, with which seed, and what came of it."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from bench.experiments import coverage, offpolicy, regret, rollouts, split
from bench.experiments.peeking import Rates, Setting, fixed, fixed_horizon, simulate
from sidecar.evidence import Patience
from sidecar.evidence.boundary import Floats

ALIKE = Rates(0.02, 0.02)
WORSE = Rates(0.02, 0.04)
POWER = 0.9


class Table(NamedTuple):
    """A title, headings, and rows of text."""

    title: str
    headings: Sequence[str]
    rows: list[Sequence[str]]


def markdown(table: Table) -> str:
    """Return the table as Markdown."""
    lines = [table.headings, ["---"] * len(table.headings), *table.rows]
    body = "\n".join("| " + " | ".join(line) + " |" for line in lines)
    return f"### {table.title}\n\n{body}\n"


def tables(runs: int) -> Iterator[Table]:
    """Make all tables, one after the other; ``runs`` of each simulation."""
    yield alike(runs)
    yield worse(runs)
    yield covered(runs)
    yield confounded(max(runs // 10, 10))
    yield driven(max(runs // 10, 10))
    yield alarmed(runs)
    yield lost(max(runs // 10, 10))
    yield estimated(10 * runs)


def alike(runs: int) -> Table:
    """Return how often two arms that are the same are told apart."""
    rows = []
    for seed, at in (
        (1, Setting(10_000, 0.5, ALIKE)),
        (2, Setting(10_000, 0.05, ALIKE)),
        (3, Setting(10_000, 0.5, Rates(0.2, 0.2))),
        (4, Setting(10_000, 0.5, ALIKE, limit=0.01)),
        (5, Setting(10_000, 0.5, Rates(0.02, 0.03), limit=0.01)),
    ):
        times = simulate(seed, runs, at)
        naive = "" if at.limit else _share(times.naive)
        better = _share(times.better) if at.rates.control == at.rates.candidate else ""
        rates = f"{at.rates.control:.0%}, {at.rates.candidate:.0%}"
        rows.append(
            (str(seed), f"{at.share:.0%}", rates, f"{at.limit:g}",
             _share(times.harm), better, naive)
        )  # fmt: skip
    return Table(
        f"No harm, looked at after every one of 10,000 requests; {runs:,} runs, alpha 5 %",
        ("seed", "candidate's share", "error rates", "max_increase", "rolled back",
         "promoted as better", "naive peeking rolls back"),
        rows,
    )  # fmt: skip


def worse(runs: int) -> Table:
    """Return how soon two points more errors are seen."""
    rows = []
    for seed, share, limit, requests in (
        (11, 0.5, 0.0, 10_000), (12, 0.2, 0.0, 20_000), (13, 0.05, 0.0, 60_000),
        (14, 0.5, 0.01, 40_000),
    ):  # fmt: skip
        rows.append(_worse(seed, runs, Setting(requests, share, WORSE, limit)))
    for seed, rates in ((15, Rates(0.02, 0.3)), (16, Rates(0.02, 1.0))):
        rows.append(_worse(seed, runs, Setting(10_000, 0.05, rates, 0.01)))
    return Table(
        f"Harm: requests (of both arms) until roll-back; {runs:,} runs, alpha 5 %",
        ("seed", "candidate's share", "error rates", "max_increase", "rolled back", "mean",
         "median", f"fixed horizon for {POWER:.0%} power", "naive peeking, mean"),
        rows,
    )  # fmt: skip


def _worse(seed: int, runs: int, at: Setting) -> Sequence[str]:
    times = simulate(seed, runs, at)
    stopped = np.minimum(times.harm, at.requests)
    return (
        str(seed), f"{at.share:.0%}", f"{at.rates.control:.0%}, {at.rates.candidate:.0%}",
        f"{at.limit:g}", f"{_share(times.harm)} of {at.requests:,}", f"{stopped.mean():,.0f}",
        f"{np.median(stopped):,.0f}", _planned(seed, runs, at),
        "" if at.limit else f"{np.minimum(times.naive, at.requests).mean():,.0f}",
    )  # fmt: skip


def _planned(seed: int, runs: int, at: Setting) -> str:
    """Return what a test that is planned for just this harm takes; of gross harm there is none."""
    if at.rates != WORSE:
        return ""
    horizon = fixed_horizon(at.rates, at.share, at.alpha, POWER, at.limit)
    found = "" if at.limit else f" (finds {fixed(seed, runs, at, horizon):.0%})"
    return f"{horizon:,}{found}"


def _latency(rng: np.random.Generator, size: tuple[int, int]) -> Floats:
    return rng.lognormal(0.0, 0.6, size)


def _skewed(rng: np.random.Generator, size: tuple[int, int]) -> Floats:
    return rng.lognormal(0.0, 1.0, size)


def covered(runs: int) -> Table:
    """Return how often the truth is ever outside."""
    n = 10_000
    p95, p50 = coverage.lognormal_bucket(0.6, 0.95), coverage.lognormal_bucket(0.6, 0.5)
    sharp = coverage.Places(0.95, 0.95, 0.95)
    found = [
        ("21", "share, 2 %", coverage.share(21, runs, n, 0.02)),
        ("22", "share, 30 %", coverage.share(22, runs, n, 0.3)),
        ("23", "mean, lognormal 0.6", coverage.mean(23, runs, n, _latency, np.exp(0.18))),
        ("24", "mean, lognormal 1.0", coverage.mean(24, runs, n, _skewed, np.exp(0.5))),
        ("25", "difference of means, half and half, lognormal 0.6",
         coverage.mean_difference(25, runs, n, _latency, 0.5)),
        ("26", "difference of means, 5 % canary, lognormal 1.0",
         coverage.mean_difference(26, runs, n, _skewed, 0.05)),
        ("27", "ratio of means (1.2), 10 % canary, lognormal 0.6",
         coverage.mean_ratio(27, runs, n, _latency, 1.2)),
        ("28", "ratio of sums (tokens per second)", coverage.ratio_of_sums(28, runs, n)),
        ("29", "p95 in buckets of 2 %, lognormal 0.6", coverage.quantile(29, runs, n, p95)),
        ("30", "p50 in buckets of 2 %, lognormal 0.6", coverage.quantile(30, runs, n, p50)),
        ("31", "p95, buckets without width", coverage.quantile(31, runs, n, sharp)),
        ("32", "p95 of two arms, 10 % canary", coverage.quantile(32, runs, n, p95, 0.1)),
    ]  # fmt: skip
    rows = [(seed, name, f"{1 - missed:.1%}") for seed, name, missed in found]
    return Table(
        f"The truth is inside at every one of 10,000 looks; {runs:,} runs, alpha 5 %",
        ("seed", "interval of", "share of runs"),
        rows,
    )


def confounded(runs: int) -> Table:
    """Return what is blamed on a canary that has done nothing."""
    (pooled, apart), (plain, corrected) = coverage.outage(41, runs), coverage.users(42, runs)
    return Table(
        f"What could be blamed on a canary that is no worse; {runs:,} runs, alpha 5 %",
        ("seed", "trap", "without care", "as it is done here"),
        [
            ("41", "an outage of both arms after a step: all in one sum, or by stretches",
             f"{pooled:.0%}", f"{apart:.0%}"),
            ("42", "users who differ: requests as if independent, or with the design effect",
             f"{plain:.0%}", f"{corrected:.0%}"),
        ],
    )  # fmt: skip


def driven(runs: int) -> Table:
    """Return how whole rollouts end."""
    rows = []
    sure, bold = Patience(500), Patience(500, 1000)
    for seed, name, world, patience in (
        (81, "no difference, errors 2 %", rollouts.World(0.02, 0.02), sure),
        (82, "no difference, errors 2 %", rollouts.World(0.02, 0.02), bold),
        (83, "no difference, errors 0.2 %", rollouts.World(0.002, 0.002), sure),
        (84, "errors 2 % → 4 %", rollouts.World(0.02, 0.04), sure),
        (85, "errors 2 % → 4 %", rollouts.World(0.02, 0.04), bold),
        (86, "errors 2 % → 20 %", rollouts.World(0.02, 0.2), sure),
        (87, "slower by half", rollouts.World(0.02, 0.02, 1.5), sure),
    ):
        ends = rollouts.rollouts(seed, runs, world, patience)
        shares = [np.mean([end.action == each for end in ends]) for each in
                  ("promote", "roll_back", "hold")]  # fmt: skip
        rows.append((
            str(seed), name, f"{patience.max_exposures or 'none'}", *(f"{each:.0%}" for each in
            shares), f"{np.mean([end.exposures for end in ends]):,.0f}",
            f"{np.mean([end.requests for end in ends]):,.0f}",
        ))  # fmt: skip
    return Table(
        f"Rollouts by themselves, 1, 5, 20, 50, 100 %; {runs:,} runs, alpha 5 %",
        ("seed", "candidate", "max_exposures", "all the way", "rolled back", "undecided",
         "its requests, mean", "all requests, mean"),
        rows,
    )  # fmt: skip


def alarmed(runs: int) -> Table:
    """Return how often, and how soon, the split raises the flag."""
    rows = []
    for seed, share, missing, requests in (
        (51, 0.5, 0.0, 10_000), (52, 0.05, 0.0, 10_000), (53, 0.5, 0.5, 40_000),
        (54, 0.5, 0.1, 40_000), (55, 0.05, 0.2, 40_000),
    ):  # fmt: skip
        times = split.alarms(seed, runs, requests, share, missing)
        mean = f"{times[np.isfinite(times)].mean():,.0f}" if np.isfinite(times).any() else ""
        rows.append(
            (str(seed), f"{share:.0%}", f"{missing:.0%}", f"{_share(times)} of {requests:,}", mean)
        )
    return Table(
        f"Split: flag at p < 0.001, looked at every 10 requests; {runs:,} runs",
        ("seed", "candidate's share", "of its requests lost", "flagged", "after, mean"),
        rows,
    )


def lost(runs: int) -> Table:
    """Return the regret of bandits."""
    n = 10_000
    rows = [
        ("61, 62", name, *(
            f"{regret.regret(seed, runs, n, world, weigh)[-1]:,.0f}"
            for seed, world in ((61, regret.STATIONARY), (62, regret.SWITCH))
        ))
        for name, weigh in regret.STRATEGIES.items()
    ]  # fmt: skip
    fixed_arm = [f"{regret.best_fixed(n, w)[-1]:,.0f}" for w in (regret.STATIONARY, regret.SWITCH)]
    rows.append(("", "best fixed arm, known beforehand", *fixed_arm))
    return Table(
        f"Rewards lost of 10,000 requests against the best arm at the time; {runs:,} runs",
        ("seeds", "strategy", "0.70, 0.75, 0.80", "after half of it 0.85, 0.75, 0.60"),
        rows,
    )


def estimated(runs: int) -> Table:
    """Return the coverage of estimates from logs."""
    found = [
        (name, offpolicy.coverage(71, runs, 2000, estimate))
        for name, estimate in offpolicy.ESTIMATES.items()
    ]
    wrong = offpolicy.coverage(71, runs, 2000, offpolicy.doubly_robust, right=False)
    found.append(("doubly robust, model always says 0.5", wrong))
    rows = [
        ("71", name, f"{one.inside:.1%}", f"{one.width:.3f}", f"{one.bias:+.4f}")
        for name, one in found
    ]
    return Table(
        f"Estimates from 2,000 logged decisions; {runs:,} logs, intervals of 95 %",
        ("seed", "estimate", "truth inside", "width", "bias"),
        rows,
    )


def _share(times: Floats) -> str:
    return f"{np.isfinite(times).mean():.1%}"
