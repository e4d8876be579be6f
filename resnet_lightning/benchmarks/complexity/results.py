"""What is known of one network on one device: counted, measured, published; and what follows from it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any, NamedTuple

import numpy as np

from resnet_lightning.benchmarks.complexity.counts import from_torchvision
from resnet_lightning.benchmarks.complexity.networks import Subject
from resnet_lightning.runs.reading import paper

MIB = 2**20


class Time(NamedTuple):
    """Seconds for one image: the median over all rounds, and the distance of the quartiles."""

    median: float
    spread: float


@dataclass(frozen=True)
class Result:
    """One network.

    Args:
        counts: see counts.counted.
        rounds: see measuring.measure.
        metadata: see counts.from_torchvision.
        measured: what accuracy.top1 has found here, if anything.
    """

    name: str
    counts: dict[str, Any]
    rounds: list[dict[str, Any]]
    metadata: dict[str, Any]
    measured: dict[str, Any] = field(default_factory=dict)

    @property
    def published(self) -> float | None:
        """The top-1 error (percent) of one centre crop that the authors, or those who released the weights, print."""
        found: float | None = paper()["complexity"]["one_crop"]["errors"].get(self.name)
        return found

    @property
    def accuracy(self) -> float | None:
        """The top-1 accuracy (percent) of one centre crop: torchvision's, or the published one."""
        if self.metadata.get("accuracy") is not None:
            return float(self.metadata["accuracy"])
        return None if self.published is None else 100 - self.published

    @property
    def batches(self) -> list[int]:
        """The batch sizes that every round has measured, rising."""
        sizes = [set(map(int, one["forward"])) for one in self.rounds]
        return sorted(set.intersection(*sizes)) if sizes else []

    def forward(self, batch: int) -> Time:
        return self._time([one["forward"][str(batch)]["times"] for one in self.rounds], batch)

    @property
    def training(self) -> Time:
        return self._time([one["training"]["times"] for one in self.rounds], self.training_batch)

    @property
    def training_batch(self) -> int:
        return int(self.rounds[0]["training"]["batch"])

    def watts(self, batch: int) -> float | None:
        """Mean power while a batch size was measured, if the machine tells it."""
        found = [one["forward"][str(batch)].get("watts") for one in self.rounds]
        return None if None in found else median(found)

    def peak(self, batch: int) -> float:
        """MiB of memory that the network and its evaluations, of batches up to this size, took at most."""
        return float(median(one["forward"][str(batch)]["peak"] for one in self.rounds)) / MIB

    def flops(self, batch: int) -> float:
        """Operations per second, two for a multiply-add."""
        return float(2 * self.counts["macs"] / self.forward(batch).median)

    def bandwidth(self, batch: int) -> float:
        """Bytes per second that its operations read and write, were there no caches."""
        per_image = self.counts["traffic"] + self.counts["read_once"] / batch
        return float(per_image / self.forward(batch).median)

    def _time(self, rounds: Sequence[Sequence[float]], batch: int) -> Time:
        low, middle, high = np.percentile([time for times in rounds for time in times], (25, 50, 75)) / batch
        return Time(float(middle), float(high - low))


def results_of(networks: dict[str, Any], subjects: Sequence[Subject]) -> list[Result]:
    """The measured ones of these networks."""
    found = [(subject, networks[subject.name]) for subject in subjects if subject.name in networks]
    return [
        Result(
            subject.name, network["counts"], network["rounds"], from_torchvision(subject), network.get("measured", {})
        )
        for subject, network in found
        if network["rounds"]
    ]


def published_macs(name: str) -> float | None:
    """Multiply-adds as a paper prints them, if one does."""
    table1, others = paper()["table1_architectures"], paper()["complexity"]["macs"]
    texts = {"VGG-16": "vgg16", "VGG-19": "vgg19", "plain-34": "plain34"}
    if name in texts:
        return float(table1["text_flops"][texts[name]])
    depths = {f"ResNet-{depth}": net["flops"] for depth, net in table1["nets"].items()}
    found = others.get(name, depths.get(name))
    return None if found is None else float(found)


def common_batch(results: Sequence[Result], most: int | None = None) -> int:
    """The largest batch size that all of them have measured; at most the given one."""
    sizes = set.intersection(*(set(result.batches) for result in results))
    return max((size for size in sizes if most is None or size <= most), default=0)


def front(results: Sequence[Result], cost: Callable[[Result], float]) -> list[Result]:
    """Those of which none is both cheaper and at least as accurate, by rising cost; without an accuracy, none."""
    best, found = float("-inf"), []
    known = [result for result in results if result.accuracy is not None]
    for result in sorted(known, key=lambda result: (cost(result), -(result.accuracy or 0))):
        if (result.accuracy or 0) > best:
            best = result.accuracy or 0
            found.append(result)
    return found


def rank_correlation(one: Sequence[float], other: Sequence[float]) -> float:
    """Spearman's."""
    from scipy.stats import spearmanr

    return float(spearmanr(one, other).statistic)
