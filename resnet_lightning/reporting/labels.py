"""Experiments in the place of networks, where several may train the same network: what tables and figures call them."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

from resnet_lightning.runs.reading import Run


def labels(experiments: Sequence[str]) -> dict[str, str]:
    """What each experiment is called: its file, or its whole path where files in two folders have one name.

    >>> labels(["cifar10/mine/idea", "cifar10/table6/resnet20"])
    {'cifar10/mine/idea': 'idea', 'cifar10/table6/resnet20': 'resnet20'}
    """
    stems = Counter(experiment.rpartition("/")[2] for experiment in experiments)
    return {
        experiment: stem if stems[stem := experiment.rpartition("/")[2]] == 1 else experiment
        for experiment in experiments
    }


def labelled(runs: Sequence[Run], names: Mapping[str, str] | None = None) -> list[Run]:
    """The runs, each with its experiment as the name of its network, and as a family with a colour of its own.

    Args:
        names: of the experiments; by default those of the runs' experiments.
    """
    names = names or labels(list(dict.fromkeys(run.experiment for run in runs)))
    return [replace(run, network=names[run.experiment], family=names[run.experiment]) for run in runs]
