"""`summary`: what the network of an experiment is made of and costs, without its data and without a run."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from resnet_lightning.compat import exchange_compiled
from resnet_lightning.errors import BadInput
from resnet_lightning.networks import inspection
from resnet_lightning.networks.counting import Part, count_parts
from resnet_lightning.networks.inspection import Block
from resnet_lightning.networks.shortcuts import ZeroPadding
from resnet_lightning.reporting.cells import NOTHING
from resnet_lightning.reporting.table import Table, print_tables
from resnet_lightning.runs.command_line import prepare
from resnet_lightning.runs.naming import config_files
from resnet_lightning.training.classifier import Classifier

HELP = """\
usage: resnet-lightning summary --config FILE [--config FILE ...] [--OPTION VALUE ...]

Shapes, blocks, parameters, multiply-adds and activation memory of the network that `fit` would train with the same
files and options (fit --help lists them). Needs no data and writes nothing. For example:

  resnet-lightning summary --config experiments/cifar10/base.yaml --config experiments/cifar10/table6/resnet56.yaml
"""
SHORTCUTS = {nn.Identity: "identity", ZeroPadding: "zero-padded"}
MIB = 2**20


def summary(arguments: Sequence[str]) -> None:
    """`resnet-lightning summary`: prints the table of the network that `fit` with these arguments would train."""
    if {"-h", "--help"} & set(arguments):
        print(HELP, end="")
        return
    if not config_files(arguments):
        raise BadInput("summary needs the files of an experiment: --config experiments/... (summary --help)")
    run = prepare(arguments, watched=False)
    network: Any = run.model.network
    exchange_compiled(network, None)  # it is moved to where nothing can be compiled
    print_tables([network_table(network, run.data) if isinstance(run.model, Classifier) else detector_table(network)])


def network_table(network: nn.Module, data: Any) -> Table:
    """The parts of a network, and what a training batch of a data module takes; the network's values are lost.

    Raises:
        BadInput: if the data module does not say how large images and batches are, or the network fails on them.
    """
    name = inspection.name(network)
    for needed in ("image_size", "batch_size"):
        if not hasattr(data, needed):
            raise BadInput(f"summary needs the {needed} of the data, and {type(data).__name__} has none")
    size, batch = data.image_size, data.batch_size
    try:
        parts = count_parts(network.train(), (batch, 3, size, size))
    except (RuntimeError, ValueError) as error:
        raise BadInput(f"{name} does not work with {batch} images of 3×{size}×{size}: {error}") from error
    stages: dict[str, list[Block]] = {}
    for key, block in inspection.blocks(network).items():
        stages.setdefault(key.partition(".")[0], []).append(block)
    if stages:
        first = list(parts).index(next(iter(stages)))
        stem = {"stem": sum((parts.pop(key) for key in list(parts)[:first]), Part())} if first else {}
        parts = stem | {"pooling" if key == "avgpool" else key: part for key, part in parts.items()}
    total = sum(parts.values(), Part())
    if parts[""] == Part():
        del parts[""]
    rows = [{"Network": key or "elsewhere", **row(stages, key, part, batch)} for key, part in parts.items()]
    rows.append({"Network": "total", **row(stages, "", total, batch)})
    cells = tuple(tuple(row.values()) for row in rows)
    return Table(f"{name} for images of 3×{size}×{size}", tuple(rows[0]), cells, notes(network, total, batch))


def detector_table(network: Any) -> Table:
    """The parts of a detector, for one image of its full size and the regions that it is tested on; values are lost."""
    heads, transform = network.roi_heads, network.transform
    height, width = transform.min_size[0], transform.max_size
    regions = network.rpn.eval().post_nms_top_n()
    body = count_parts(nn.Sequential(network.backbone).eval(), (1, 3, height, width))["0"]
    proposing = count_parts(nn.Sequential(OnOneMap(network.rpn.head)), (1, *body.output))["0"]
    pooled = (regions + heads.context, body.output[0], network.side, network.side)  # and the whole image
    head = count_parts(nn.Sequential(heads.box_head).eval(), pooled)["0"]
    last = count_parts(nn.Sequential(heads.box_predictor), (regions, heads.box_predictor.cls_score.in_features))["0"]
    parts = {"shared body": body, "proposals": proposing, "head of the regions": head, "sibling layers": last}
    modules = (network.backbone, network.rpn, heads.box_head, heads.box_predictor)
    trained = [sum(p.numel() for p in module.parameters() if p.requires_grad) for module in modules]
    rows = [
        (name, f"{part.parameters:,}", f"{number:,}", f"{part.macs:,}")
        for (name, part), number in zip(parts.items(), trained, strict=True)
    ]
    total = sum(parts.values(), Part())
    rows.append(("total", f"{total.parameters:,}", f"{sum(trained):,}", f"{total.macs:,}"))
    note = "What is fixed, batch normalisation everywhere and the first stages, is not trained."
    title = f"{inspection.name(network)} for an image of 3×{height}×{width} and {regions:,} regions"
    return Table(title, ("Network", "Parameters", "Trained", "Multiply-adds"), tuple(rows), (note,))


class OnOneMap(nn.Module):
    """The layers that propose regions, which take a list of maps."""

    def __init__(self, head: nn.Module) -> None:
        super().__init__()
        self.head = head

    def forward(self, features: Tensor) -> Any:
        return self.head([features])


def row(stages: dict[str, list[Block]], name: str, part: Part, batch: int) -> dict[str, str]:
    """The cells of a part, which was counted for a batch of images, in a network with such stages of blocks."""
    made_of = {}
    if stages:
        blocks = stages.get(name, [])
        kinds = Counter("none" if b.plain else SHORTCUTS.get(type(b.shortcut), "projection") for b in blocks)
        shortcuts = "none" if set(kinds) == {"none"} else ", ".join(f"{count} {kind}" for kind, count in kinds.items())
        made_of = {"Blocks": str(len(blocks) or NOTHING), "Shortcuts": shortcuts or NOTHING}
    return {
        "Output": "×".join(map(str, part.output)) or NOTHING,
        **made_of,
        "Parameters": f"{part.parameters:,}",
        "Multiply-adds": f"{part.macs // batch:,}",
        "Activations (MiB)": f"{part.activations / batch / MIB:.2f}",
    }


def notes(network: nn.Module, total: Part, batch: int) -> tuple[str, ...]:
    memory = (
        f"A training batch of {batch:,} images, on one device, keeps {total.activations / MIB:,.0f} MiB of activations "
        "in float32 for the backward pass; weights, gradients and the optimizer come on top."
    )
    segments = inspection.checkpoint_segments(network)
    if segments:
        memory += (
            f" This is with checkpoint_segments {segments}: only what is between the groups of blocks is kept, and the "
            "backward pass computes the activations of one group at a time again, which come on top too."
        )
    elif segments == 0:
        memory += " Less with --model.network.checkpoint_segments, at the price of one more forward pass."
    return (
        "For one image: channels × height × width, multiply-adds of convolutions and fully connected layers, and "
        "activations that are kept for the backward pass.",
        memory,
    )
