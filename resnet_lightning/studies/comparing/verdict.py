"""What a comparison finds: each experiment tested against the baseline, and that in sentences."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from resnet_lightning.errors import BadInput
from resnet_lightning.reporting.differences import LEVEL, POINTS, Difference, holm, paired, unpaired
from resnet_lightning.runs.reading import Run


class Test(NamedTuple):
    """The difference of an experiment from the baseline, by pairs of seeds and without, and its p-value.

    Args:
        p: of the pairs, corrected where there are several experiments beside the baseline.
    """

    by_pairs: Difference
    apart: Difference
    p: float


def test(own: Mapping[str, Sequence[Run]]) -> dict[str, Test]:
    """Each experiment against the first, by its name.

    Raises:
        BadInput: if two experiments have not finished two seeds in common.
    """
    errors = {name: by_seed(runs) for name, runs in own.items()}
    baseline, *others = errors
    for name in others:
        common = errors[baseline].keys() & errors[name].keys()
        if len(common) < 2:
            said = [f"{one} {', '.join(map(str, sorted(errors[one]))) or 'none'}" for one in (baseline, name)]
            how_many = "one seed is" if common else "no seeds are"
            raise BadInput(
                f"seeds that are finished: {'; '.join(said)}; {how_many} common to both, expected two at least: give "
                'SEEDS="0 1" or more, and RETRY=1 for what has failed'
            )
    pairs = [paired(errors[baseline], errors[name]) for name in others]
    apart = [unpaired([*errors[baseline].values()], [*errors[name].values()]) for name in others]
    corrected = holm([one.p for one in pairs])
    return {name: Test(*found) for name, found in zip(others, zip(pairs, apart, corrected, strict=True), strict=True)}


def by_seed(runs: Sequence[Run]) -> dict[int, float]:
    """The test errors (percent) of the finished runs."""
    return {run.seed: run.test_error for run in runs if run.state == "finished" and run.test_error is not None}


def of(runs: Sequence[Run]) -> str:
    """The images that the errors are of, in a word."""
    return "validation" if runs and all(run.evaluated_on == "validation" for run in runs) else "test"


def p_value(p: float) -> str:
    return f"{p:.3f}" if p >= 0.001 else "< 0.001"


def verdict(baseline: str, name: str, test: Test, images: str) -> str:
    """What a difference means, in one sentence."""
    by_pairs = test.by_pairs
    far = f"{abs(by_pairs.mean):.2f}"
    points = f"{far} points {'lower' if by_pairs.mean < 0 else 'higher'} than" if float(far) else "as high as"
    points += f" that of {baseline}"
    if by_pairs.interval is None:
        return (
            f"The {images} error of {name} is {points} with each of {by_pairs.seeds} seeds: without any spread, no "
            "test can say whether this is more than chance."
        )
    low, high = by_pairs.interval
    chance = f"p {'' if test.p < 0.001 else '= '}{p_value(test.p)}"
    tested = f"(95 % interval {low:+.2f} to {high:+.2f}, {chance}, {by_pairs.seeds} pairs of seeds)"
    if test.p < LEVEL:
        return f"{name} is {'better' if by_pairs.mean < 0 else 'worse'}: its {images} error is {points} {tested}."
    return f"No difference between {name} and {baseline} is seen: the {images} error of {name} is {points} {tested}."


def needed(tests: Mapping[str, Test]) -> str:
    """How many seeds would show a small difference, at the widest spread; nothing where none is known."""
    spreads = [test.by_pairs for test in tests.values() if test.by_pairs.interval]
    if not spreads:
        return ""
    widest = max(spreads, key=lambda one: one.spread)
    count = f"about {widest.seeds_needed:,}" if widest.seeds_needed else "more than 10,000"
    return (
        f"With a spread of {widest.spread:.2f} points between the pairs, {count} seeds of each would be needed to see "
        f"a difference of {POINTS} points in four of five comparisons."
    )


def caveats(others: int) -> tuple[str, ...]:
    """What the table of a comparison has to say; others: experiments beside the baseline."""
    several = f"p is corrected for {others} comparisons with the baseline (Holm); intervals, and p unpaired, are not."
    return (
        "Errors are those of the last iteration; ± is the sample standard deviation of the seeds.",
        "Differences are in points, less the baseline, with 95 % intervals. Paired: a t-test over pairs of runs with "
        "one seed, so one order of data and one augmentation; the verdict is by this one. Unpaired: Welch's t-test.",
        *[several] * (others > 1),
        f"Seeds for {POINTS} points: paired / unpaired, at a level of 5 % and a power of 80 %.",
        "Milliseconds are of training alone; runs at the same time slow each other down.",
    )
