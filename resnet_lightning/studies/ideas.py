"""Ideas before and after ResNet in networks that one core trains in minutes, all by the first paper's training.

Nobody has published these networks: the study says which idea helps at this size and length, and how sure that is.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import mean, variance
from typing import TYPE_CHECKING

from resnet_lightning.reporting.cells import errors, mean_error, seeds, training_and_test
from resnet_lightning.reporting.figures import CURVES, Panel, error_figure
from resnet_lightning.reporting.setting_tables import Networks, Rows, table_per_setting
from resnet_lightning.reporting.settings import Setting
from resnet_lightning.reporting.table import Table
from resnet_lightning.runs.reading import Run
from resnet_lightning.studies import Drawing, Study, gradients, lesions
from resnet_lightning.studies.family import entries, family, size

if TYPE_CHECKING:
    from matplotlib.figure import Figure

INSIDE = ("ResNet", "pre-activation", "DenseNet", "FractalNet")  # whose gradients and lesions are drawn


def tables(runs: Sequence[Run]) -> list[Table]:
    """A table for each setting, the lowest test error first; then the lesions, where there are any."""
    return [*table_per_setting("Ideas", runs, _rows), *lesions.tables(runs)]


def _rows(_: Setting, networks: Networks) -> tuple[Rows, list[str]]:
    ideas = {family(name): entry["idea"] for name, entry in reversed(entries().items())}
    ideas |= {name: entry["idea"] for name, entry in entries().items()} | {"plain": "no shortcut"}
    rows = []
    for name, own in sorted(networks.items(), key=lambda item: mean_error(item[1], "test") or 100):
        parameters, macs = size({}, own)
        known = name.partition(",")[0]
        rows.append(
            {
                "Network": name,
                "Idea": ideas.get(known) or ideas.get(family(known), own[0].family),
                "Parameters": f"{parameters / 1e6:.2f}M",
                "Multiply-adds (1e6)": f"{macs / 1e6:,.0f}",
                **training_and_test(own),
                "Seeds": seeds(own),
            }
        )
    return rows, [
        chance(networks),
        "Multiply-adds are those of convolutions and linear layers, for 32×32 pixels. Networks without batch "
        "normalisation (Highway, NiN, SqueezeNet) learn at a lower rate than the others: see the experiments' files.",
    ]


def chance(networks: Networks) -> str:
    """How far two networks' test errors lie apart by chance, from the spread of the seeds of all networks."""
    found = [values for own in networks.values() if len(values := errors(own, "test")) > 1]
    if len({len(values) for values in found}) != 1 or len(found) < 2:
        return ""
    from scipy.stats import t

    count, freedom = len(found[0]), len(found) * (len(found[0]) - 1)
    deviation = mean(map(variance, found)) ** 0.5
    gap = float(t.ppf(0.975, freedom)) * deviation * (2 / count) ** 0.5
    return (
        f"Seeds of one network differ with a standard deviation of {deviation:.2f} points, pooled over "
        f"{len(found)} networks. Two networks of {count} seeds that are equally good lie more than "
        f"{gap:.1f} points apart in one of 20 such comparisons only: a smaller difference says nothing."
    )


def draw(runs: Sequence[Run]) -> Figure:
    """Training and test error (percent): what came before, shortcuts, and other ways."""
    before = ("plain", "highway", "NiN", "SqueezeNet")
    residual = ("ResNet", "pre-activation", "wide ResNet", "ResNeXt", "stochastic depth")
    first = [run for run in runs if run.family in before]
    second = [run for run in runs if run.family in residual]
    others = [run for run in runs if run.family not in (*before, *residual)]
    panels = {"before, or without a sum": first, "residual": second, "joined otherwise": others}
    return error_figure(runs, [Panel(title, own) for title, own in panels.items() if own])


def inside(runs: Sequence[Run]) -> list[Run]:
    """Those runs whose blocks are looked at."""
    return [run for run in runs if run.family in INSIDE]


def draw_gradients(runs: Sequence[Run]) -> Figure | None:
    """Gradient norms by layer, at initialisation and last; where paths are dropped, some layers have none."""
    return gradients.draw_networks([run for run in inside(runs) if "drop-path" not in run.network])


def draw_lesions(runs: Sequence[Run]) -> Figure | None:
    """Test errors without single blocks."""
    return lesions.draw(inside(runs))


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
    evaluations=(),
    command="",
    tables=tables,
    figures={
        "": Drawing(draw, CURVES),
        "-gradients": Drawing(draw_gradients, "Gradient norms by layer, at initialisation and last"),
        "-lesions": Drawing(draw_lesions, "Test errors after lesions, and sizes of F(x) beside x, by block"),
    },
)
