"""Ideas before and after ResNet, in networks that one core trains in minutes: all by the first paper's training."""

from resnet_lightning.reporting.figures import CURVES
from resnet_lightning.studies import Drawing, Study
from resnet_lightning.studies.family import tables
from resnet_lightning.studies.preactivation import draw

STUDY = Study(
    title="Ideas before and after ResNet, in networks of ResNet-20's size",
    section="4.2",
    experiments=[
        f"cifar10/ideas/{name}"
        for name in (
            *("densenet22", "preactivation20", "wrn10_2", "resnet20", "plain20", "stochastic20", "resnext20"),
            *("fractalnet21", "fractalnet21_drop_path", "highway19", "highway19_without_gates", "nin"),
            *("squeezenet", "squeezenet_simple"),
        )
    ],
    evaluation="",
    command="",
    tables=tables,
    figures={"": Drawing(draw, CURVES)},
)
