"""The colour of every network: in figures and on dashboards, by its family and depth."""

from collections.abc import Sequence
from itertools import cycle

from resnet_lightning.reporting.settings import by_network
from resnet_lightning.runs.reading import Run

# The palette of Okabe and Ito, told apart by colour-blind readers; 110 is black as in the paper. Plain and residual
# networks of one depth share theirs: they stand in panels of their own.
DEPTHS = {20: "#E69F00", 32: "#56B4E9", 44: "#009E73", 56: "#D55E00", 110: "#000000", 1202: "#CC79A7"}
DEPTHS |= {18: "#0072B2", 34: "#D55E00"}  # of ImageNet, never in one figure with CIFAR-10's
OTHER_DEPTHS = ("#0072B2", "#7F7F7F", "#8C564B")
OTHER_FAMILIES = (
    *("#882255", "#117733", "#332288", "#AA4499", "#999933", "#661100", "#6699CC", "#44AA99"),
    *("#CC6677", "#DDCC77", "#88CCEE", "#7F7F7F"),
)


def colours(runs: Sequence[Run]) -> dict[str, str]:
    """The colour of each network that stands in one figure, by its name there.

    Those of plain networks and ResNets are the same everywhere. Other families have the next free ones, so that no two
    of a dozen networks look the same.
    """
    found: dict[str, str] = {}
    others = cycle(OTHER_FAMILIES)
    for name, own in by_network(runs).items():
        family, depth = own[0].family, own[0].depth
        if family in ("plain", "ResNet"):
            found[name] = DEPTHS.get(depth) or OTHER_DEPTHS[depth // 6 % len(OTHER_DEPTHS)]
        else:
            found[name] = next(others)
    return found
