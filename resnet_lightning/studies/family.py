"""Before and after ResNet: the networks that led to it and came of it, on CIFAR-10, beside their published errors."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from importlib import import_module
from statistics import mean
from typing import TYPE_CHECKING, Any, NamedTuple

import yaml

from resnet_lightning.reporting.cells import NOTHING, errors, mean_error, measured, published_mean
from resnet_lightning.reporting.colours import DEPTHS, OTHER_FAMILIES
from resnet_lightning.reporting.curves import TEXT_SIZE, quiet
from resnet_lightning.reporting.settings import by_network, is_whole
from resnet_lightning.reporting.table import Table
from resnet_lightning.runs.reading import Run, paper, read_json_or_nothing
from resnet_lightning.studies import Drawing, Study
from resnet_lightning.studies.experiments import RESNETS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SAME = "same_protocol"  # the overlay, as a run's changes name it
Row = Mapping[str, Any]  # of paper.yaml


class Group(NamedTuple):
    """Runs on the same data and with the same changes; each network as published, or all by one protocol."""

    data: str
    changes: tuple[str, ...]
    runs: list[Run]

    @property
    def title(self) -> str:
        return self.data + (f"; changed: {', '.join(self.changes)}" if self.changes else "")

    @property
    def published(self) -> bool:
        """Whether its runs may be compared with what was published."""
        return not self.changes and (not self.data or is_whole(self.data))


def grouped(runs: Iterable[Run]) -> list[Group]:
    """The runs by data and changes, whatever their length is; one group without runs if there are none."""
    found: dict[tuple[str, tuple[str, ...]], list[Run]] = {}
    for run in runs:
        if not run.weights:
            found.setdefault((run.data, tuple(change for change in run.changes if change != SAME)), []).append(run)
    return sorted((Group(*key, own) for key, own in found.items()), key=lambda group: (group.changes, group.data)) or [
        Group("", (), [])
    ]


def entries() -> dict[str, Row]:
    """What is published of each network, by its name, the oldest first; ResNets of the first paper among them."""
    counts, table6 = paper()["counts_cifar"]["nets"], paper()["table6_cifar10"]["resnet"]
    resnets = {
        f"ResNet-{depth}": {
            **{"year": 2015, "idea": "add the input to F(x)", "layers": depth, "parameters": counts[depth]["params"]},
            **{"macs": counts[depth]["macs"], **table6[depth]},
        }
        for depth in counts
    }
    return dict(sorted((resnets | paper()["family"]["rows"]).items(), key=lambda item: item[1]["year"]))


def tables(runs: Sequence[Run]) -> list[Table]:
    """A table for each group of runs; where nothing was changed, with all networks of the papers."""
    made = []
    for group in grouped(runs):
        known, own = entries(), by_network(group.runs)
        names = list(dict.fromkeys([*(name for name in known if group.published or name in own), *own]))
        rows = [row(name, known.get(name, {}), own.get(name, [])) for name in names]
        title = f"Before and after ResNet. {group.title}" if group.title else "Before and after ResNet"
        cells = tuple(tuple(cells.values()) for cells in rows)
        made.append(Table(title, tuple(rows[0]), cells, notes(group)))
    return made


def row(name: str, entry: Row, own: Sequence[Run]) -> dict[str, str]:
    """The cells of one network."""
    as_published, same = split(own)
    parameters, macs = size(entry, own)
    return {
        "Network": name,
        "Year": str(entry.get("year", NOTHING)),
        "Idea": entry.get("idea", NOTHING),
        "Layers": str(entry["layers"] if entry else own[0].depth),
        "Parameters": f"{parameters / 1e6:.2f}M",
        "Multiply-adds (1e6)": f"{macs / 1e6:,.0f}",
        "Published error %": published_mean(entry) if "error" in entry else NOTHING,
        "Measured error %": with_seeds(as_published),
        "Same protocol error %": with_seeds(same),
        "Iterations / s": speed(own),
    }


def split(own: Sequence[Run]) -> tuple[list[Run], list[Run]]:
    """The runs that train as published, and those that follow the protocol of all."""
    return [run for run in own if SAME not in run.changes], [run for run in own if SAME in run.changes]


def with_seeds(own: Sequence[Run]) -> str:
    """The measured error (percent), and of how many seeds it is."""
    count = len(errors(own, "test"))
    return measured(own, "test") + (f" ({count} seeds)" if count > 1 else "")


def size(entry: Row, own: Sequence[Run]) -> tuple[int, int]:
    """Parameters, and multiply-adds for an image of 32×32; of a network that no paper has, counted now."""
    if entry:
        return entry["parameters"], entry["macs"]
    import torch

    from resnet_lightning.networks.counting import Part, count_parts

    config = yaml.safe_load((own[0].folder / "config.yaml").read_text(encoding="utf-8"))["model"]["network"]
    module, _, name = config["class_path"].rpartition(".")
    with torch.device("meta"):
        network = getattr(import_module(module), name)(**config.get("init_args", {}))
    total = sum(count_parts(network, (2, 3, 32, 32)).values(), Part())  # batch normalisation needs two images
    return total.parameters, total.macs // 2


def speed(own: Sequence[Run]) -> str:
    """Iterations of training per second, the mean of the finished runs."""
    results = [read_json_or_nothing(run.folder / "result.json") for run in own if run.state == "finished"]
    found = [result["iteration"] / result["seconds"] for result in results if result.get("seconds")]
    return f"{mean(found):.2g}" if found else NOTHING


def notes(group: Group) -> tuple[str, ...]:
    said = [
        "Published: as each paper trained, on 32×32 pixels, with augmentation. " + paper()["family"]["note"] + ".",
        "Measured: by the experiments' own files, which follow each paper. Same protocol: the first paper's training "
        "for all, with experiments/cifar10/same_protocol.yaml. Errors are those of the last iteration; ± is the sample "
        "standard deviation of the seeds.",
        "Parameters and multiply-adds (of convolutions and linear layers, for 32×32 pixels) are counted. FractalNet's "
        "widths do not make the 38.6M that are printed of it.",
    ]
    devices = {read_json_or_nothing(run.folder / "result.json").get("device") for run in group.runs}
    if names := sorted(filter(None, devices)):
        said.append(f"Iterations per second: training alone, on {', '.join(names)}.")
    if group.runs and not group.published:
        said.append("These are not the papers' runs: their numbers are shown for orientation only.")
    return tuple(said)


def draw(runs: Sequence[Run]) -> Figure:
    """Errors against parameters and against multiply-adds, a row of both for each group of runs."""
    from matplotlib.figure import Figure

    known, found = entries(), grouped(runs)
    found = [group for group in found if group.published or len(by_network(group.runs)) > 1] or found[:1]
    figure = Figure(figsize=(8.6, 3.3 * len(found)), layout="constrained")
    for line, group in zip(figure.subplots(len(found), 2, squeeze=False, sharey="row"), found, strict=True):
        own = by_network(group.runs)
        for axes, measure, label in zip(line, (0, 1), ("parameters", "multiply-adds"), strict=True):
            names = [name for name in {**known, **own} if group.published or name in own]
            sizes = {name: size(known.get(name, {}), own.get(name, []))[measure] for name in names}
            points(axes, sizes, known, own, group.published)
            quiet(axes)
            axes.set_xscale("log")
            axes.xaxis.set_minor_formatter("")
            axes.set_xlabel(label, fontsize=TEXT_SIZE)
        line[0].set_ylabel("test error (%)", fontsize=TEXT_SIZE)
        line[0].set_title(group.title or "published", fontsize=TEXT_SIZE, loc="left")
        line[1].legend(fontsize=TEXT_SIZE - 1.5, frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
    words = "hollow: published; circles: trained as published; squares: by the first paper's protocol"
    figure.supxlabel(words, fontsize=TEXT_SIZE - 0.5)
    return figure


def points(
    axes: Axes,
    sizes: Mapping[str, int],
    known: Mapping[str, Row],
    own: Mapping[str, Sequence[Run]],
    published: bool,
) -> None:
    """Each family's errors against its networks' sizes: published ones hollow, measured ones filled."""
    families = dict.fromkeys(map(family, {**known, **own}))
    shades = dict(zip(families, [*DEPTHS.values(), *OTHER_FAMILIES] * 3, strict=False))
    for name in dict.fromkeys(map(family, sizes)):
        members = sorted((one for one in sizes if family(one) == name), key=lambda one: sizes[one])
        said = {one: known[one].get("mean", known[one].get("error")) for one in members if published and one in known}
        apart = {one: split(own.get(one, [])) for one in members}
        ours, same = ({one: mean_error(runs[way], "test") for one, runs in apart.items()} for way in (0, 1))
        label: str | None = name
        for style, face, values in (("o--", "none", said), ("o-", shades[name], ours), ("s-", shades[name], same)):
            places = [(sizes[one], value) for one, value in values.items() if value is not None]
            if places:
                across, up = zip(*places, strict=True)
                axes.plot(across, up, style, color=shades[name], mfc=face, ms=4, linewidth=0.8, label=label)
                label = None


def family(name: str) -> str:
    """The part of a network's name before its numbers.

    >>> family("DenseNet-BC-100-12")
    'DenseNet-BC'
    """
    found = re.match(r"\D*[^\W\d]", name)
    return found[0] if found else name


STUDY = Study(
    title="Before and after ResNet: other networks on CIFAR-10",
    section="4.2",
    experiments=(
        *(f"cifar10/family/{entry['experiment']}" for entry in paper()["family"]["rows"].values()),
        *(RESNETS[depth] for depth in (110, 56, 20)),
    ),
    evaluations=(),
    command="",
    tables=tables,
    figures={"": Drawing(draw, "Test errors by parameters and by multiply-adds", together=True)},
)
