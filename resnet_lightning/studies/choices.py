"""The choices of a training protocol and the recipes of others: their runs, and what each is worth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from resnet_lightning.reporting.cells import NOTHING, mean_and_deviation
from resnet_lightning.reporting.differences import Difference, paired
from resnet_lightning.reporting.effects import Effect, effects
from resnet_lightning.reporting.settings import is_whole
from resnet_lightning.runs.experiments import experiment_files, longer
from resnet_lightning.runs.reading import Run
from resnet_lightning.studies.experiments import RESNETS

BEST = "best"  # no experiment: the paper's runs, read at their best evaluation
FULL = 64_000
Errors = Mapping[int, float]  # percent, by seed


class Choice(NamedTuple):
    """What the paper has, as experiments/cifar10/table6/resnet20.yaml reads it, and what others have instead."""

    what: str
    ours: str
    others: str


CHOICES = {
    "images45k": Choice("Training images", "50,000", "45,000"),
    BEST: Choice("Reported error", "last", "best on the test set"),
    "pad_first": Choice("Padding", "after normalisation", "before normalisation"),
    "channel_mean_std": Choice("Normalisation", "mean of each pixel", "mean and deviation of channels"),
    "decay_weights": Choice("Weight decay", "of everything", "of weights only"),
    "weight_decay_5e4": Choice("Size of weight decay", "0.0001", "0.0005"),
    "nesterov": Choice("Momentum", "plain", "Nesterov's"),
    "epochs200": Choice("Drops of the rate", "32k and 48k of 64k iterations", "100 and 150 of 200 epochs"),
    "fan_out": Choice("Initialisation", "fan-in", "fan-out"),
    "zeros_around": Choice("Zeros of shortcuts", "after the channels", "around the channels"),
    "keep_last_batch": Choice("Last batch of an epoch", "dropped", "kept"),
}
# What the recipes of others have of these.
RECIPES = {
    "akamaster": ("epochs200", "pad_first", "channel_mean_std", "zeros_around", "keep_last_batch", BEST),
    "fb_resnet_torch": ("channel_mean_std", "nesterov", "fan_out", "keep_last_batch", BEST),
    "keras": ("epochs200", "decay_weights", "keep_last_batch"),
    "images45k": ("images45k",),
}


class Group(NamedTuple):
    """Runs on the same data, with the same changes, and shortened alike.

    Args:
        length: iterations of the paper's protocol; longer experiments have more in proportion.
    """

    data: str
    changes: tuple[str, ...]
    length: int
    runs: list[Run]

    @property
    def title(self) -> str:
        words = f"{self.data}, {self.length:,} iterations" + (" (full length)" if self.length == FULL else "")
        return words + (f"; changed: {', '.join(self.changes)}" if self.changes else "")

    @property
    def full(self) -> bool:
        return self.length == FULL and not self.changes and is_whole(self.data)

    def errors(self, name: str, best: bool = False) -> Errors:
        """The test errors of the finished runs of a choice or recipe; without a name, of the paper's protocol."""
        finished = [run for run in self.runs if run.state == "finished" and run.experiment == experiment(name)]
        if best or name == BEST:
            return {run.seed: min(curve) for run in finished if (curve := run.curve("test/error")[1])}
        return {run.seed: run.test_error for run in finished if run.test_error is not None}

    def effect(self, name: str, best: bool = False) -> Difference | None:
        """What a choice or recipe is worth; None if no seed of it and of the paper's protocol is finished."""
        ours, theirs = self.errors(""), self.errors(name, best)
        return paired(ours, theirs) if ours.keys() & theirs.keys() else None

    def added_up(self, names: Sequence[str]) -> Difference | None:
        """What several choices are worth if each is worth what it is by itself."""
        ours, each = self.errors(""), [self.errors(name) for name in names]
        seeds = ours.keys() & set.intersection(*(set(errors) for errors in each))
        total = {seed: ours[seed] + sum(errors[seed] - ours[seed] for errors in each) for seed in seeds}
        return paired(ours, total) if total else None


def percent(errors: Errors) -> str:
    """The mean error (percent) and the deviation of the seeds, in words."""
    return mean_and_deviation(list(errors.values())) if errors else NOTHING


def experiment(name: str) -> str:
    return f"cifar10/protocols/{name}" if name not in ("", BEST) else RESNETS[20]


def grouped(runs: Sequence[Run]) -> list[Group]:
    """The runs by data, changes and length, the longest first; one group without runs if there are none."""
    found: dict[tuple[str, tuple[str, ...], int], list[Run]] = {}
    for run in runs:
        changes = tuple(change for change in run.changes if not change.startswith("max_steps="))
        length = round(run.iterations / longer(experiment_files(run.experiment)))
        found.setdefault((run.data, changes, length), []).append(run)
    groups = sorted((Group(*key, own) for key, own in found.items()), key=lambda g: (-g.length, g.changes, g.data))
    return groups or [Group("", (), FULL, [])]


def words(name: str) -> str:
    choice = CHOICES.get(name)
    return f"{choice.what}: {choice.others}" if choice else name.replace("_", ".")


def of_choices(group: Group) -> dict[str, Effect]:
    """What each choice is worth that has finished runs, all of them as one family of tests."""
    return known(group, dict.fromkeys(CHOICES, False))


def of_recipes(group: Group) -> dict[str, Effect]:
    """The same of the recipes, each as its own page reports it: by the last error or by the best one."""
    return known(group, {name: BEST in own for name, own in RECIPES.items() if name not in CHOICES})


def known(group: Group, names: Mapping[str, bool]) -> dict[str, Effect]:
    found = {name: effect for name, best in names.items() if (effect := group.effect(name, best))}
    return dict(zip(found, effects({words(name): effect for name, effect in found.items()}), strict=True))
