"""How far measured errors are from a published one, and whether that is as good as nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import mean, variance
from typing import Any

MARGIN = 0.5  # points of percent that count as nothing
SEEDS = 3  # from which on an interval is given


@dataclass(frozen=True)
class Comparison:
    """Measured less published, in points of percent.

    Args:
        interval: the ends of its 90 % confidence interval; None for fewer than three seeds.
    """

    difference: float
    interval: tuple[float, float] | None = None

    @property
    def verdict(self) -> str:
        """Equivalent and different are each found at a level of 5 %, by one-sided t-tests; empty without interval."""
        if self.interval is None:
            return ""
        low, high = self.interval
        if low > -MARGIN and high < MARGIN:
            return "equivalent"
        return "different" if high < -MARGIN or low > MARGIN else "undecided"

    def __str__(self) -> str:
        words = f"{_rounded(self.difference):+.2f}"
        if self.interval:
            words += " [{:+.2f}, {:+.2f}]".format(*map(_rounded, self.interval))
        return words


def compare(ours: Sequence[float], published: float, entry: Mapping[str, Any]) -> Comparison | None:
    """Compares the errors (percent) of our seeds with a published one; None without any.

    Args:
        published: an error of one run, which is taken as it is, or a mean.
        entry: of paper.yaml; with a mean come its "runs" and their standard deviation "std", and the interval is
            Welch's.
    """
    if not ours:
        return None
    difference = mean(ours) - published
    if len(ours) < SEEDS:
        return Comparison(difference)
    from scipy.special import stdtrit  # its import takes longer than a report without it

    parts = [(variance(ours) / len(ours), len(ours) - 1)]
    if "std" in entry:
        parts.append((entry["std"] ** 2 / entry["runs"], entry["runs"] - 1))
    squared = sum(part for part, _ in parts)
    freedom = squared**2 / sum(part**2 / degrees for part, degrees in parts) if squared else 1
    half = float(stdtrit(freedom, 0.95)) * sqrt(squared)
    return Comparison(difference, (difference - half, difference + half))


def _rounded(value: float) -> float:
    return round(value, 2) + 0.0  # never -0.00
