"""Which data set and length is a row? What runs must share to stand side by side, and which of them are the paper's."""

import re
from collections.abc import Sequence
from typing import NamedTuple

from resnet_lightning.runs.reading import Run


class Training(NamedTuple):
    """How the paper trained on a data set (sections 4.2 and 3.4), and the folder of the experiments that follow it."""

    experiments: str
    iterations: int
    batch_size: int


PAPERS = {
    "CIFAR-10": Training("cifar10/", 64_000, 128),
    "ImageNet": Training("imagenet/", 600_000, 256),
    # Of both parts together; py-faster-rcnn's for VOC, where the paper names another's.
    "VOC 2007 test": Training("detection/voc07/", 70_000, 2),
    "COCO val2014": Training("detection/coco/", 320_000, 8),
}
FAMILIES = ("plain", "ResNet", "VGG")  # of the paper's networks
# The title of a DataModule: the data set, as which files, at which size, how much of it.
TITLE = re.compile(
    r"(CIFAR-10|ImageNet|VOC 2007 test|COCO val2014)"
    r"(?: \(JPEG\))?(?P<part> at \d+×\d+)?(?P<only>, only .*| \(.*\))?"
)


class Setting(NamedTuple):
    """What runs must share before their errors are compared.

    Args:
        data: what they were trained and tested on, in words.
        iterations: planned.
        changes: what differs from their experiments' files, but for the length.
        papers: the data set of the paper whose training they follow, such as CIFAR-10; empty for all else, which is
            never set beside its numbers.
        full: whether they are the paper's training itself: its networks, on all of the data, with nothing changed.
        of_others: weights that others trained; nothing here says how.
    """

    data: str
    iterations: int
    changes: tuple[str, ...] = ()
    papers: str = ""
    full: bool = False
    of_others: bool = False

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
        if self.papers:
            _, full, batch = PAPERS[self.papers]
            if self.full:
                return f"{self.data}, full length: {self.iterations:,} iterations of {batch}"
            if full != self.iterations:
                words = f"{'Shortened' if self.iterations < full else 'Longer'} runs on {words} instead of {full:,}"
            elif self.changes or not is_whole(self.data):
                words = f"Changed runs on {words}"
            else:
                words = f"Runs that are not the paper's on {words}"
        return words + (f"; changed: {', '.join(self.changes)}" if self.changes else "")


def whole(papers: str) -> Setting:
    """The paper's training on one of its data sets, such as CIFAR-10 or ImageNet."""
    return Setting(papers, PAPERS[papers].iterations, (), papers, full=True)


def setting_of(run: Run) -> Setting:
    """Where a run stands."""
    papers = papers_data(run)
    if run.weights:
        return Setting(run.data, 0, (), papers, of_others=True)
    # A changed length is in the iterations already.
    changes = tuple(change for change in run.changes if not change.startswith("max_steps="))
    full = bool(papers) and run.iterations == PAPERS[papers].iterations and is_whole(run.data)
    full = full and run.family in FAMILIES and run.shipped
    return Setting(run.data, run.iterations, changes, papers, full)


def papers_data(run: Run) -> str:
    """The data set of the paper whose training a run follows, or nothing."""
    found = TITLE.fullmatch(run.data)
    papers = found[1] if found else ""
    return papers if papers and run.experiment.startswith(PAPERS[papers].experiments) else ""


def is_whole(data: str) -> bool:
    """Whether a DataModule's title is that of a whole data set of the paper, at its size."""
    found = TITLE.fullmatch(data)
    return found is not None and not found["part"] and not found["only"]


def groups(runs: Sequence[Run]) -> list[tuple[Setting, list[Run]]]:
    """The runs by setting: full-length ones first, then by data, the longest first; weights of others last."""
    found: dict[Setting, list[Run]] = {}
    for run in runs:
        found.setdefault(setting_of(run), []).append(run)
    order = sorted(found, key=lambda own: (own.of_others, not own.full, own.data, -own.iterations, own[2:]))
    return [(setting, found[setting]) for setting in order]


def by_network(runs: Sequence[Run]) -> dict[str, list[Run]]:
    """The runs of each network by its name: plain ones first, then ResNets, by shortcut and depth; then others."""
    found: dict[str, list[Run]] = {}
    order = {"plain": 0, "ResNet": 1}
    for run in sorted(runs, key=lambda run: (order.get(run.family, 2), run.family, run.shortcut, run.depth, run.seed)):
        found.setdefault(name_of(run), []).append(run)
    return found


def name_of(run: Run) -> str:
    """A network's name in tables; with its family if another one's network could be meant, whose error is published."""
    expected = run.network.partition("-")[0]
    return f"{run.network} ({run.family})" if expected in FAMILIES and run.family != expected else run.network


def shown(runs: Sequence[Run]) -> list[Run]:
    """The runs that a report shows: all of the user's, and of those kept in results/ what belongs beside them.

    That is the full-length runs, and runs of a setting that the user has runs of. A user without any sees all of them.
    """
    found = groups(runs)
    own = {setting for setting, group in found if not all(run.kept for run in group)}
    return [run for setting, group in found for run in group if not own or setting in own or setting.full]
