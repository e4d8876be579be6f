"""A study is the set of runs behind a table or figure of the paper: `study` runs what is missing, `report` shows it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from resnet_lightning.errors import BadInput

FAMILIES = ("plain", "resnet")
RESNETS = tuple(f"cifar10/table6/resnet{depth}" for depth in (20, 32, 44, 56, 110, 1202))
GRADIENTS = tuple(
    f"gradients/{family}{depth}{norm}" for depth in (110, 56, 20) for norm in ("", "_without_bn") for family in FAMILIES
)
PLAIN = tuple(f"cifar10/figure6/plain{depth}" for depth in (20, 32, 44, 56, 110))
TABLE2 = tuple(f"imagenet/table2/{network}" for network in ("plain34", "resnet34", "plain18", "resnet18"))
RESNET34 = ("imagenet/table2/resnet34", "imagenet/table3/resnet34b", "imagenet/table3/resnet34c")
BOTTLENECKS = tuple(f"imagenet/table3/resnet{depth}" for depth in (50, 101, 152))

# Networks for which torchvision has trained weights, and the names that its files begin with.
TORCHVISION = {
    "imagenet/table3/vgg16": "vgg16",
    "imagenet/table3/resnet34b": "resnet34",
    **{experiment: Path(experiment).name for experiment in BOTTLENECKS},
}


@dataclass(frozen=True)
class Study:
    """The experiments (paths below experiments/, without .yaml) of one table or figure.

    Args:
        experiments: the longest first, so that it does not run alone in the end.
        evaluation: what the finished networks are shown, beyond the evaluations of their training.
        command: what is done with them: `test`; `predict`, to average probabilities; or `lesions`.
    """

    title: str
    experiments: tuple[str, ...]
    evaluation: str | None = None
    command: str = "test"


STUDIES = {
    "demo": Study(
        "Degradation on handwritten digits: plain and residual networks of 20 and 56 layers",
        ("digits/plain56", "digits/resnet56", "digits/plain20", "digits/resnet20"),
    ),
    "degradation": Study(
        "Figure 1 and what shortcuts change: plain and residual networks of 20 and 56 layers on CIFAR-10",
        (PLAIN[3], RESNETS[3], PLAIN[0], RESNETS[0]),
    ),
    "figure1": Study("Figure 1: plain networks of 20 and 56 layers on CIFAR-10", (PLAIN[0], PLAIN[3])),
    "figure6": Study("Figure 6: training of plain and residual networks on CIFAR-10", RESNETS[::-1] + PLAIN[::-1]),
    "figure7": Study(
        "Figure 7: layer responses of plain and residual networks on CIFAR-10",
        (RESNETS[4], PLAIN[3], RESNETS[3], PLAIN[0], RESNETS[0]),
    ),
    "gradients": Study("Gradient flow with and without shortcuts and batch normalisation", GRADIENTS),
    "vanishing": Study("Vanishing gradients: sigmoid networks without and with skip connections", ()),
    "lesions": Study(
        "What the blocks have learned: their size, and the error without them",
        (PLAIN[3], RESNETS[3], PLAIN[0], RESNETS[0]),
        "center",
        "lesions",
    ),
    "table1": Study("Table 1: layers, sizes and multiply-adds of the ImageNet networks", ()),
    "table2": Study("Table 2: plain and residual networks of 18 and 34 layers on ImageNet", TABLE2, "ten_crop"),
    "table3": Study(
        "Table 3: shortcuts A, B and C and deeper networks on ImageNet, ten crops",
        ("imagenet/table3/vgg16", TABLE2[0], *RESNET34, *BOTTLENECKS),
        "ten_crop",
    ),
    "table4": Study("Table 4: single networks on ImageNet, five scales", RESNET34[1:] + BOTTLENECKS, "multi_scale"),
    "table5": Study(
        "Table 5: the ensemble of networks on ImageNet", RESNET34[1:] + BOTTLENECKS, "multi_scale", "predict"
    ),
    "figure4": Study("Figure 4: training of plain and residual networks on ImageNet", TABLE2),
    "table6": Study("Table 6: test error on CIFAR-10", RESNETS[::-1]),
}


def find_study(name: str) -> Study:
    """The study of that name.

    Raises:
        BadInput: if there is none.
    """
    if name not in STUDIES:
        raise BadInput(f"no study is named {name!r}: expected one of {', '.join(STUDIES)}")
    return STUDIES[name]


def name_given(command: str, arguments: Sequence[str]) -> str:
    """The name of a study, which is all that a command takes.

    Raises:
        BadInput: saying how it is written.
    """
    if len(arguments) != 1 or arguments[0].startswith("-"):
        raise BadInput(f"usage: resnet-lightning {command} NAME, with one of {', '.join(STUDIES)}")
    return arguments[0]


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
