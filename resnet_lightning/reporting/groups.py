"""Which runs may stand side by side, and what several seeds of one network say together."""

from collections import Counter
from collections.abc import Sequence
from statistics import mean, stdev
from typing import Literal, NamedTuple

from resnet_lightning.runs.reading import Run

WHOLE = ("CIFAR-10", "CIFAR-10 (JPEG)", "ImageNet")
PAPERS = {"CIFAR-10": (64_000, 128), "ImageNet": (600_000, 256)}  # iterations and batch, sections 4.2 and 3.4
NOTHING = "–"
Kind = Literal["train", "test"]


class Setting(NamedTuple):
    """What runs must share before their errors are compared: data, planned iterations, and other changes.

    Weights that others trained have a setting of their own: nothing here says how they were trained. And what is not
    an experiment of the paper on CIFAR-10 or ImageNet, such as those on gradient flow, is never set beside its numbers.
    """

    data: str
    iterations: int
    changes: tuple[str, ...]
    of_others: bool = False
    of_paper: bool = True

    @property
    def full(self) -> bool:
        """Whether this is the paper's training on the whole of CIFAR-10 or ImageNet."""
        as_long = self.iterations == PAPERS.get(self.papers, (0,))[0]
        return self.data in WHOLE and as_long and not self.changes and not self.of_others

    @property
    def papers(self) -> str:
        """Which of the paper's data sets this is, or nothing: a part of ImageNet's classes is other data."""
        if not self.of_paper:
            return ""
        if self.data.startswith("CIFAR-10"):
            return "CIFAR-10"
        return "ImageNet" if self.data.partition(" at ")[0] == "ImageNet" else ""

    @property
    def cifar10(self) -> bool:
        return self.papers == "CIFAR-10"

    @property
    def imagenet(self) -> bool:
        return self.papers == "ImageNet"

    @property
    def title(self) -> str:
        """What was trained, in words, as a table's title says it."""
        if self.of_others:
            return f"{self.data}: weights of others, evaluated here, not trained here"
        words = f"{self.data}: {self.iterations:,} iterations"
        full, batch = PAPERS.get(self.papers, (0, 0))
        if self.full:
            return f"{self.data}, full length: {self.iterations:,} iterations of {batch}"
        if full == self.iterations:
            words = f"Changed runs on {words}"
        elif full:
            words = f"{'Shortened' if self.iterations < full else 'Longer'} runs on {words} instead of {full:,}"
        return words + (f"; changed: {', '.join(self.changes)}" if self.changes else "")


def groups(runs: Sequence[Run]) -> list[tuple[Setting, list[Run]]]:
    """The runs by setting: full-length ones first, then by data, the longest first; weights of others last."""
    found: dict[Setting, list[Run]] = {}
    for run in runs:
        # A changed length is in the iterations already.
        changes = tuple(change for change in run.changes if not change.startswith("max_steps="))
        setting = Setting(run.data, 0, (), True) if run.weights else Setting(run.data, run.iterations, changes)
        setting = setting._replace(of_paper=not run.experiment.startswith("gradients/"))
        found.setdefault(setting, []).append(run)
    order = sorted(found, key=lambda own: (own.of_others, not own.full, own.data, -own.iterations, own.changes))
    return [(setting, found[setting]) for setting in order]


def by_network(runs: Sequence[Run]) -> dict[str, list[Run]]:
    """The runs of each network: plain ones first, then by shortcut and depth."""
    found: dict[str, list[Run]] = {}
    for run in sorted(runs, key=lambda run: (run.shortcut != "none", run.shortcut, run.depth, run.seed)):
        found.setdefault(run.network, []).append(run)
    return found


def errors(runs: Sequence[Run], kind: Kind) -> list[float]:
    """The errors (percent) of the finished runs at their last iteration."""
    found = [run.test_error if kind == "test" else run.train_error for run in runs if run.state == "finished"]
    return [error for error in found if error is not None]


def mean_error(runs: Sequence[Run], kind: Kind) -> float | None:
    """The mean error (percent) of the finished runs; None if there are none."""
    values = errors(runs, kind)
    return mean(values) if values else None


def measured(runs: Sequence[Run], kind: Kind) -> str:
    """The error (percent) of a network in words: 8.75, 8.75 ± 0.21, at 12,000: 45.31, diverged, or – without runs.

    The mean and the sample standard deviation are over the finished runs only.
    """
    values = errors(runs, kind)
    others = [run for run in runs if run.state != "finished"]
    if values:
        words = mean_and_deviation(values)
    elif others:
        run = max(others, key=lambda run: (run.state == "unfinished", run.iteration))
        others.remove(run)
        iterations, curve = run.curve(f"{kind}/error")
        here = f"at {iterations[-1]:,}: {curve[-1]:.2f}" if curve else f"at {run.iteration:,}: {NOTHING}"
        words = here if run.state == "unfinished" else run.state
    else:
        words = NOTHING
    counts = Counter(run.state for run in others)
    return words + (f" ({', '.join(f'+{counts[state]} {state}' for state in sorted(counts))})" if counts else "")


def mean_and_deviation(values: Sequence[float]) -> str:
    """8.75, or of several values 8.75 ± 0.21, the sample standard deviation."""
    return f"{mean(values):.2f}" + (f" ± {stdev(values):.2f}" if len(values) > 1 else "")


def seeds(runs: Sequence[Run]) -> str:
    """The number of finished seeds of a network, or – if it has no runs."""
    return str(len(errors(runs, "test"))) if runs else NOTHING
