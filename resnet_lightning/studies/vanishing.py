"""Vanishing gradients as textbooks show them: sigmoid networks of 3 to 40 layers, without and with skip connections."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from statistics import geometric_mean
from typing import TYPE_CHECKING

from resnet_lightning.reporting.curves import TEXT_SIZE, quiet
from resnet_lightning.reporting.table import Table
from resnet_lightning.runs.reading import Run
from resnet_lightning.studies import Drawing, Study

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from torch import Tensor, nn

DEPTHS = (3, 10, 20, 40)
SEEDS = range(5)
IMAGES = 256


def tables(_: Sequence[Run] = ()) -> list[Table]:
    """The gradient norm of the first layer over that of the last, at initialisation, against depth."""
    rows = tuple((str(depth), *(f"{ratio(depth, skip):.3g}" for skip in (False, True))) for depth in DEPTHS)
    shrink = (ratio(DEPTHS[-1], False) / ratio(DEPTHS[0], False)) ** (1 / (DEPTHS[-1] - DEPTHS[0]))
    notes = (
        f"Every layer of sigmoids multiplies the gradient by about {shrink:.2f}, so that the first layers of a deep "
        f"network learn nothing. With skip connections {DEPTHS[-1]} layers cost a factor of only "
        f"{ratio(DEPTHS[0], True) / ratio(DEPTHS[-1], True):.0f} over {DEPTHS[0]}.",
        "Linear layers of 64 units with a sigmoid after each, without biases, weights normal with variance 1 / fan-in; "
        f"cross entropy of {IMAGES} handwritten digits in 10 classes; geometric mean of {len(SEEDS)} seeds. Nothing is "
        "trained. This is not an experiment of the paper: its networks have ReLUs and batch normalisation.",
    )
    columns = ("Layers", "First / last, no skip", "First / last, with skip")
    return [Table("Vanishing gradients: norm of the first layer's gradient over the last one's", columns, rows, notes)]


def draw(_: Sequence[Run] = ()) -> Figure:
    """The same ratio on a logarithmic axis."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.2, 2.9), layout="constrained")
    axes = figure.subplots()
    for skip, style, name in ((False, "--", "without skip connections"), (True, "-", "with skip connections")):
        axes.plot(DEPTHS, [ratio(depth, skip) for depth in DEPTHS], f"{style}o", color="black", ms=3.5, label=name)
    quiet(axes)
    axes.set_yscale("log")
    axes.set_xticks(DEPTHS)
    axes.set_xlabel("layers of a sigmoid network", fontsize=TEXT_SIZE)
    axes.set_ylabel("first / last layer's gradient norm", fontsize=TEXT_SIZE)
    axes.legend(fontsize=TEXT_SIZE, frameon=False)
    return figure


@cache
def ratio(depth: int, skip: bool) -> float:
    """First over last gradient norm at initialisation, on handwritten digits; the geometric mean over the seeds."""
    import torch
    from sklearn.datasets import load_digits
    from torch.nn import functional as F

    from resnet_lightning.networks.mlp import SigmoidMLP

    digits = load_digits()
    # In float64: the gradient of the first of 40 layers is below the smallest float32.
    images = torch.from_numpy(digits.images[:IMAGES]).double().flatten(1) / 16
    labels = torch.from_numpy(digits.target[:IMAGES]).long()
    ratios = []
    for seed in SEEDS:
        with torch.random.fork_rng(devices=()):
            torch.manual_seed(seed)
            network = SigmoidMLP(depth, images.shape[1], 10, skip).double()
        norms = gradient_norms(network, F.cross_entropy(network(images), labels))
        ratios.append(norms[0] / norms[-1])
    return geometric_mean(ratios)


def gradient_norms(network: nn.Module, loss: Tensor) -> list[float]:
    """The Euclidean norm of the loss's gradient by each parameter, first to last."""
    from torch import autograd

    return [float(gradient.norm()) for gradient in autograd.grad(loss, list(network.parameters()))]


STUDY = Study(
    title="Vanishing gradients: sigmoid networks without and with skip connections",
    section="4.1",
    experiments=(),
    evaluations=(),
    command="",
    tables=tables,
    figures={"": Drawing(draw, "First over last gradient norm by depth, on a logarithmic axis")},
)
