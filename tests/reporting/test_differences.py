"""Verdicts on differences: false alarms at the nominal rate, a known difference found, against slow references."""

from itertools import chain, combinations

import numpy as np
import pytest

from resnet_lightning.reporting.differences import Difference, holm, paired, seeds_needed, unpaired


def simulated(count: int, seeds: int, points: float, random: np.random.Generator) -> list[tuple[Difference, ...]]:
    """Comparisons of two settings whose errors are 8.5 ± 0.2 %, and so many points more; half of the spread is shared.

    Seeds share data order and augmentation.
    """
    found = []
    for _ in range(count):
        shared = random.normal(8.5, 0.14, seeds)
        one, two = (shared + random.normal(more, 0.14, seeds) for more in (0, points))
        found.append((paired(dict(enumerate(one)), dict(enumerate(two))), unpaired(one.tolist(), two.tolist())))
    return found


def test_false_alarms_are_as_many_as_the_level_says() -> None:
    found = simulated(200, 5, 0.0, np.random.default_rng(0))
    # Of 200 at 5 %, 4 to 17 with a probability of 99 %; the shared part only makes the unpaired test more careful.
    assert 4 <= sum(by_pairs.real for by_pairs, _ in found) <= 17
    assert sum(unpaired.real for _, unpaired in found) <= 17
    for difference in chain(*found):
        assert difference.interval is not None
        assert difference.real == (not difference.interval[0] < 0 < difference.interval[1])


def test_a_family_of_comparisons_has_one_rate_of_false_alarms() -> None:
    random = np.random.default_rng(1)
    alarms = 0
    for _ in range(200):
        settings = random.normal(8.5, 0.2, (5, 5))
        tests = [unpaired(settings[0].tolist(), other.tolist()).p for other in settings[1:]]
        alarms += min(holm(tests)) < 0.05
    assert alarms <= 17


def test_a_known_difference_is_found() -> None:
    # Five seeds of ResNet-20 and plain-20 by the strict protocol, as others found them: 8.51 ± 0.22, 9.78 ± 0.13 %.
    random = np.random.default_rng(0)
    residual, plain = random.normal(8.51, 0.22, 5), random.normal(9.78, 0.13, 5)
    for difference in (paired(dict(enumerate(residual)), dict(enumerate(plain))), unpaired(residual, plain)):
        assert difference.real and difference.interval is not None
        assert 0.7 < difference.interval[0] < 1.27 < difference.interval[1] < 1.8


@pytest.mark.parametrize("by_pairs", [True, False])
def test_so_many_seeds_are_needed_as_four_of_five_comparisons_take(by_pairs: bool) -> None:
    needed = seeds_needed(0.2, by_pairs)
    random = np.random.default_rng(2)
    assert needed == (10 if by_pairs else 17)  # Cohen's tables: an effect of one standard deviation
    seen = 0
    for _ in range(1000):
        one, two = random.normal(0, 0.2 / (2**0.5 if by_pairs else 1), (2, needed))
        two += 0.2
        test = paired(dict(enumerate(one)), dict(enumerate(two))) if by_pairs else unpaired(one, two)
        seen += test.real
    assert 0.77 < seen / 1000 < 0.86


def test_seeds_needed_at_the_ends() -> None:
    assert [seeds_needed(1e-4, True), seeds_needed(100.0, False), seeds_needed(0.0, True)] == [2, None, None]


def test_holm_is_the_closed_test_of_all_families() -> None:
    """A difference is real if each family of tests that it is in finds one by Bonferroni (Marcus and others, 1976)."""
    random = np.random.default_rng(3)
    for _ in range(50):
        tests = (random.random(5) ** 3).tolist()
        families = list(chain.from_iterable(combinations(range(5), size) for size in range(1, 6)))
        slow = [
            max(min(1.0, len(family) * min(tests[k] for k in family)) for family in families if place in family)
            for place in range(5)
        ]
        assert holm(tests) == pytest.approx(slow)


def test_seeds_without_spread_say_nothing() -> None:
    same = {0: 9.0, 1: 9.25, 2: 9.1}
    assert paired(same, same) == Difference(0.0, None, 1.0, 0.0, 3, paired=True)
    assert paired({0: 9.0, 1: 8.0}, {1: 8.5}).interval is None
    assert paired({0: 9.1, 1: 8.1}, {0: 9.4, 1: 8.4}).interval is None  # a chance of rounding, and no certainty
    assert unpaired([9.0, 9.0], [9.1, 9.1]).p == 1
    assert unpaired([9.0, 9.0], [9.1, 9.2]).interval is not None
    assert str(paired({0: 9.0, 1: 9.4}, {0: 9.0, 1: 9.3})) == "-0.05 [-0.69, +0.59]"
