"""Table 1: sizes, parameters and multiply-adds of the ImageNet networks (section 3.3), counted here, without runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from resnet_lightning.reporting.cells import NOTHING
from resnet_lightning.reporting.table import Table
from resnet_lightning.runs.reading import Run, paper
from resnet_lightning.studies import Study

if TYPE_CHECKING:
    from torch import nn

STAGES = {"conv1": "conv1", "layer1": "conv2_x", "layer2": "conv3_x", "layer3": "conv4_x", "layer4": "conv5_x"}
BOTTLENECKS = (50, 101, 152)


def tables(_: Sequence[Run] = ()) -> list[Table]:
    """Table 1: output sizes (pixels), parameters, and multiply-adds (1e9, which the paper calls FLOPs) per image."""
    from torchvision.models import vgg16, vgg19

    from resnet_lightning.networks import Shortcut, imagenet_resnet

    published, text = paper()["table1_architectures"], paper()["table1_architectures"]["text_flops"]
    builders: list[tuple[str, int, float, Callable[..., nn.Module]]] = [
        ("VGG-16", 16, text["vgg16"], partial(vgg16, init_weights=False)),
        ("VGG-19", 19, text["vgg19"], partial(vgg19, init_weights=False)),
    ]
    for depth, net in published["nets"].items():
        if depth not in BOTTLENECKS:
            builders.append((f"plain-{depth}", depth, net["flops"], partial(imagenet_resnet, depth, "none")))
        option: Shortcut = "B" if depth in BOTTLENECKS else "A"
        builders.append((f"ResNet-{depth}", depth, net["flops"], partial(imagenet_resnet, depth, option)))
    rows = []
    for name, depth, flops, build in builders:
        counted = count(build)
        moved = count(partial(build, stride_in="3x3"))["macs"] if depth in BOTTLENECKS else None
        rows.append(
            {
                "Network": name,
                "Layers": str(depth),
                **{stage: str(counted["sizes"].get(module, NOTHING)) for module, stage in STAGES.items()},
                "Parameters": f"{counted['parameters']:,}",
                "Published FLOPs (1e9)": f"{flops / 1e9:.1f}",
                "Multiply-adds (1e9)": f"{counted['macs'] / 1e9:.3f}",
                "with the stride on the 3×3 (1e9)": NOTHING if moved is None else f"{moved / 1e9:.3f}",
            }
        )
    rows.sort(key=lambda row: (not row["Network"].startswith("VGG"), not row["Network"].startswith("plain")))
    vgg = paper()["counts_imagenet"]["vgg"][16]["macs_conv_only"]
    notes = (
        "Published: He et al. (2015), Table 1 and section 3.3. It writes FLOPs for multiply-adds; those of VGG-16 are "
        f"of its convolutions alone ({vgg / 1e9:.2f}), the others of all layers. ResNet-50 as described there counts "
        "to 3.86, not 3.8.",
        "Counted: convolutions and fully connected layers, for one image of 224×224; parameters include those of batch "
        "normalisation. Shortcuts of option A up to 34 layers, B above. A bottleneck that halves the map has its "
        "stride on the first 1×1, as the paper's; the last column is for the common form with the stride on the 3×3.",
    )
    title = "Table 1. Architectures for ImageNet: width of the outputs, parameters, multiply-adds"
    return [Table(title, tuple(rows[0]), tuple(tuple(row.values()) for row in rows), notes)]


def count(build: Callable[..., nn.Module]) -> dict[str, Any]:
    """Parameters, multiply-adds for an image of 224×224, and the output width of each stage; nothing is computed."""
    import torch

    from resnet_lightning.networks.counting import Part, count_parts

    with torch.device("meta"):
        network = build().eval()
    with torch.no_grad():
        parts = count_parts(network, (1, 3, 224, 224))
    total = sum(parts.values(), Part())
    sizes = {name: part.output[-1] for name, part in parts.items() if name in STAGES}
    return {"parameters": total.parameters, "macs": total.macs, "sizes": sizes}


STUDY = Study(
    title="Table 1: layers, sizes and multiply-adds of the ImageNet networks",
    section="3.3",
    experiments=(),
    evaluations=(),
    command="",
    tables=tables,
    figures={},
)
