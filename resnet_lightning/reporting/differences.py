"""Is the error of one setting really lower than that of another? t-tests over seeds, many of them, and seeds needed."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import mean, stdev, variance

LEVEL = 0.05  # of false alarms; intervals are of 95 %
POWER = 0.8  # the chance to see a difference that is there
POINTS = 0.2  # of percent: the difference that one would like to see
MOST_SEEDS = 10_000
NO_SPREAD = 1e-9  # points; errors are parts of a percent
SURE = 30.0  # a noncentrality from which on the power is as good as 1, and scipy's distribution less exact


@dataclass(frozen=True)
class Difference:
    """The mean error of one setting less that of the baseline, in points of percent.

    Args:
        interval: the ends of its 95 % confidence interval; None where seeds say nothing of the spread: there is one
            alone, or they are all the same.
        p: of the two-sided t-test; 1 without interval.
        spread: the sample standard deviation: paired, of the differences; unpaired, of the errors, over both settings.
        seeds: pairs, or the fewer of the two settings.
    """

    mean: float
    interval: tuple[float, float] | None
    p: float
    spread: float
    seeds: int
    paired: bool

    @property
    def real(self) -> bool:
        """Whether it is seen at a level of 5 %."""
        return self.p < LEVEL

    @property
    def seeds_needed(self) -> int | None:
        """Seeds of each setting, about, to see a difference of 0.2 points at this spread; None for very many."""
        return seeds_needed(self.spread, self.paired)

    def __str__(self) -> str:
        words = f"{_rounded(self.mean):+.2f}"
        return words + (" [{:+.2f}, {:+.2f}]".format(*map(_rounded, self.interval)) if self.interval else "")


def paired(baseline: Mapping[int, float], other: Mapping[int, float]) -> Difference:
    """The difference over the seeds that both have: with one seed come one data order and one augmentation.

    Args:
        baseline, other: test errors (percent) by seed.

    Raises:
        ValueError: if no seed is in both.
    """
    from scipy.stats import ttest_rel  # its import takes longer than a report without it

    common = sorted(baseline.keys() & other.keys())
    ours, theirs = [other[seed] for seed in common], [baseline[seed] for seed in common]
    each = [one - two for one, two in zip(ours, theirs, strict=True)]
    if len(each) < 2 or max(each) - min(each) < NO_SPREAD:
        return Difference(mean(each), None, 1.0, 0.0, len(each), paired=True)
    test = ttest_rel(ours, theirs)
    low, high = test.confidence_interval(1 - LEVEL)
    return Difference(mean(each), (float(low), float(high)), float(test.pvalue), stdev(each), len(each), paired=True)


def unpaired(baseline: Sequence[float], other: Sequence[float]) -> Difference:
    """The difference of all seeds' errors (percent) as of independent runs, by Welch's test.

    Raises:
        ValueError: if one of the two has no errors.
    """
    from scipy.stats import ttest_ind

    points, fewer = mean(other) - mean(baseline), min(len(baseline), len(other))
    if fewer < 2:
        return Difference(points, None, 1.0, 0.0, fewer, paired=False)
    spread = sqrt((variance(baseline) + variance(other)) / 2)
    if spread < NO_SPREAD:
        return Difference(points, None, 1.0, 0.0, fewer, paired=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of one setting without spread, which Welch's test allows
        test = ttest_ind(other, baseline, equal_var=False)
    low, high = test.confidence_interval(1 - LEVEL)
    return Difference(points, (float(low), float(high)), float(test.pvalue), spread, fewer, paired=False)


def holm(p_values: Sequence[float]) -> list[float]:
    """The p-values of several tests, corrected so that the chance of any false alarm stays at the level (Holm, 1979).

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    corrected, highest = [0.0] * len(p_values), 0.0
    for rank, place in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[place]))
        corrected[place] = highest
    return corrected


def seeds_needed(spread: float, paired: bool, points: float = POINTS) -> int | None:
    """The fewest seeds of each setting with which a difference of so many points is seen in four of five comparisons.

    Args:
        spread: as Difference has it.

    Returns:
        None if even 10,000 seeds are too few, or no spread is known.
    """
    import numpy as np
    from scipy.stats import nct, t

    if spread < NO_SPREAD:
        return None
    count = np.arange(2, MOST_SEEDS + 1)
    freedom = count - 1 if paired else 2 * count - 2
    effect = np.minimum(points / spread * np.sqrt(count if paired else count / 2), SURE)
    enough = nct.sf(t.isf(LEVEL / 2, freedom), freedom, effect) >= POWER  # the other tail is as good as nothing
    return int(count[enough.argmax()]) if enough.any() else None


def _rounded(value: float) -> float:
    return round(value, 2) + 0.0  # never -0.00
