"""A study is the set of runs behind a table or figure of the paper: `study` runs what is missing, `report` shows it."""

from dataclasses import dataclass
from pathlib import Path

from resnet_lightning.errors import BadInput

RESNETS = tuple(f"cifar10/table6/resnet{depth}" for depth in (20, 32, 44, 56, 110, 1202))
PLAIN = tuple(f"cifar10/figure6/plain{depth}" for depth in (20, 32, 44, 56, 110))


@dataclass(frozen=True)
class Study:
    """The experiments (paths below experiments/, without .yaml) of one table or figure."""

    title: str
    experiments: tuple[str, ...]


STUDIES = {
    "demo": Study(
        "Degradation on handwritten digits: plain and residual networks of 20 and 56 layers",
        ("digits/plain56", "digits/resnet56", "digits/plain20", "digits/resnet20"),  # the longest first
    ),
    "degradation": Study(
        "Figure 1 and what shortcuts change: plain and residual networks of 20 and 56 layers on CIFAR-10",
        (PLAIN[3], RESNETS[3], PLAIN[0], RESNETS[0]),
    ),
    "figure1": Study("Figure 1: plain networks of 20 and 56 layers on CIFAR-10", (PLAIN[0], PLAIN[3])),
    "figure6": Study("Figure 6: training of plain and residual networks on CIFAR-10", PLAIN + RESNETS),
    "table6": Study("Table 6: test error on CIFAR-10", RESNETS),
}


def find_study(name: str) -> Study:
    """The study of that name.

    Raises:
        BadInput: if there is none.
    """
    if name not in STUDIES:
        raise BadInput(f"no study is named {name!r}: expected one of {', '.join(STUDIES)}")
    return STUDIES[name]


def choose(study: Study, only: list[str]) -> tuple[str, ...]:
    """The study's experiments, or those named (resnet20, or cifar10/table6/resnet20).

    Raises:
        BadInput: for a name that is not in the study.
    """
    names = {Path(experiment).name: experiment for experiment in study.experiments}
    for name in only:
        if Path(name).name not in names:
            raise BadInput(f"no experiment is named {name!r} in this study: expected some of {', '.join(names)}")
    chosen = {names[Path(name).name] for name in only} or set(study.experiments)
    return tuple(experiment for experiment in study.experiments if experiment in chosen)
