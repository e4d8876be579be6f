"""The tables of `complexity`: counted, times by batch size, training and memory, and the fraction of the limit."""

from collections.abc import Mapping, Sequence
from typing import Any

import torchvision

from resnet_lightning.benchmarks.complexity.results import MIB, Result, Time, common_batch, front, published_macs
from resnet_lightning.reporting.cells import NOTHING
from resnet_lightning.reporting.table import Table
from resnet_lightning.runs.reading import paper

COUNTED, MEASURED = "counted", "measured"  # by which figures find their table
NEITHER = 0.3  # of both limits: below it a network is bound by neither


def table(title: str, rows: Sequence[Mapping[str, str]], notes: Sequence[str], setting: str = "") -> Table:
    return Table(title, tuple(rows[0]), tuple(tuple(row.values()) for row in rows), tuple(notes), setting=setting)


def counted_table(results: Sequence[Result], said: Sequence[str]) -> Table:
    """What needs no device: accuracy, operations, parameters, memory."""
    fronts = {
        "operations": {result.name for result in front(results, lambda result: result.counts["macs"])},
        "parameters": {result.name for result in front(results, lambda result: result.counts["parameters"])},
    }
    rows = []
    for result in results:
        counts, told, printed = result.counts, result.metadata, published_macs(result.name)
        on = [words for words, names in fronts.items() if result.name in names]
        error = f"{100 - result.measured['accuracy']:.2f}" if result.measured else NOTHING
        measured = {"Measured %": error} if any(result.measured for result in results) else {}
        per = NOTHING if result.accuracy is None else f"{result.accuracy / (counts['macs'] / 1e9):.1f}"
        density = NOTHING if result.accuracy is None else f"{result.accuracy / (counts['parameters'] / 1e6):.2f}"
        rows.append(
            {
                "Network": result.name,
                "Published top-1 error %": NOTHING if result.published is None else f"{result.published:.1f}",
                "torchvision's %": f"{100 - told['accuracy']:.2f}" if told.get("accuracy") else NOTHING,
                **measured,
                "Parameters": f"{counts['parameters']:,}",
                "Multiply-adds (1e9)": f"{counts['macs'] / 1e9:.3f}",
                "torchvision's (1e9)": f"{told['gigamacs']:.3f}" if told else NOTHING,
                "Published (1e9)": NOTHING if printed is None else f"{printed / 1e9:.4g}",
                "Weights (MiB)": f"{counts['weights'] / MIB:.1f}",
                "Kept for training (MiB)": f"{counts['activations'] / MIB:.1f}",
                "Peak of a forward pass (MiB)": f"{(counts['weights'] + counts['peak']) / MIB:.1f}",
                "Accuracy per 1e9": per,
                "Accuracy per 1e6 parameters": density,
                "Pareto front": ", ".join(on) or NOTHING,
            }
        )
    return table("What is counted, for one image", rows, (*counted_notes(results), *said), COUNTED)


def counted_notes(results: Sequence[Result]) -> list[str]:
    vgg = paper()["counts_imagenet"]["vgg"][16]["macs_conv_only"]
    return [
        "Errors are of one centre crop of 224×224 pixels (Inception: 299×299), one model. Published: "
        + paper()["complexity"]["one_crop"]["source"]
        + f". torchvision's: of its weights IMAGENET1K_V1, from the metadata of torchvision {torchvision.__version__}. "
        "Accuracy is 100 % less torchvision's error, or less the published one where torchvision has no such network.",
        "Multiply-adds: of convolutions and fully connected layers. What papers print differs where it counts something"
        f" else: VGG-16 its convolutions alone ({vgg / 1e9:.2f}); SqueezeNet takes images of 227×227; ResNet-50 as the "
        "paper describes it counts to 3.86, not 3.8. ResNet-50 to 152 have the stride of a bottleneck on its first 1×1,"
        " as the paper's; v1.5 has it on the 3×3, as torchvision's.",
        "Weights: parameters and buffers in float32. Kept for training: activations that the forward pass keeps for the"
        " backward pass. Peak: weights, and the activations that have to be there at one time. Inception-v3 has its "
        "auxiliary classifier, GoogLeNet has none.",
        f"plain-34: the paper has its error of ten crops alone, {paper()['table3_10crop_val']['rows']['plain-34'][0]}.",
        *(
            f"Measured: on {images:,} images."
            for images in sorted({r.measured["images"] for r in results if r.measured})
        ),
        "Pareto front: no network of this table is at least as accurate at a lower cost.",
    ]


def times_table(results: Sequence[Result], device: str) -> Table:
    """Forward time by batch size."""
    sizes = sorted({batch for result in results for batch in result.batches})
    rows = [
        {"Network": result.name}
        | {f"{batch}": cell(result.forward(batch)) if batch in result.batches else NOTHING for batch in sizes}
        for result in results
    ]
    notes = (
        f"{device}, float32, random weights. Median over the rounds, and in brackets the distance of the quartiles. "
        "–: left out, since it does not fit into the time for a network.",
    )
    return table("Forward time of an image (ms), by batch size", rows, notes, MEASURED)


def cell(time: Time) -> str:
    return f"{1e3 * time.median:.3g} ({1e3 * time.spread:.2g})"


def training_table(results: Sequence[Result], energy: str) -> Table:
    """The training step, memory and energy."""
    rows = []
    for result in results:
        largest = max(result.batches)
        row = {
            "Network": result.name,
            "Training step (ms an image)": cell(result.training),
            "Batch": str(result.training_batch),
            "Step, in forward passes": f"{result.training.median / result.forward(nearest(result)).median:.1f}",
            "Memory, batch 1 (MiB)": f"{result.peak(min(result.batches)):,.0f}",
            "Memory, largest batch (MiB)": f"{result.peak(largest):,.0f}",
            "Largest batch": str(largest),
        }
        if (watts := result.watts(largest)) is not None:
            row |= {"Power (W)": f"{watts:.1f}", "Energy (J an image)": f"{watts * result.forward(largest).median:.3g}"}
        rows.append(row)
    notes = (
        "Training step: forward, backward and an update by SGD with momentum. Memory: what the process takes at most, "
        "above what it takes without the network; the library's own working memory is in it.",
        energy[:1].upper() + energy[1:] + ".",
    )
    return table("Training step, memory and energy", rows, notes)


def nearest(result: Result) -> int:
    """The measured batch size nearest to that of the training step."""
    return min(result.batches, key=lambda batch: abs(batch - result.training_batch))


def limits_table(results: Sequence[Result], limits: Mapping[str, Any]) -> Table:
    """How much of what the machine can do each network uses."""
    batch = common_batch(results)
    rows = []
    for result in sorted(results, key=lambda result: -result.flops(batch)):
        arithmetic, memory = fractions(result, batch, limits)
        rows.append(
            {
                "Network": result.name,
                "GFLOP/s": f"{result.flops(batch) / 1e9:,.0f}",
                "of the matrix product": f"{arithmetic:.0%}",
                "GB/s": f"{result.bandwidth(batch) / 1e9:,.1f}",
                "of the copy": f"{memory:.0%}",
                "Bound by": bound_by(arithmetic, memory),
            }
        )
    notes = (
        f"With {batch} image{'s' * (batch > 1)}. The limits of this machine in float32: a large matrix product, "
        f"{limits['flops'] / 1e9:,.0f} GFLOP/s (two for a multiply-add); a copy of 256 MiB, "
        f"{limits['bandwidth'] / 1e9:,.1f} GB/s read and written.",
        "GB/s: all that operations read and write, were there no caches, so that it may exceed the copy. Bound by: the "
        f"limit that it is nearer to; neither, if it comes to less than {NEITHER:.0%} of both, as small operations do.",
    )
    return table("Fraction of the limit", rows, notes)


def fractions(result: Result, batch: int, limits: Mapping[str, Any]) -> tuple[float, float]:
    """Of the arithmetic, and of the memory's limit."""
    return result.flops(batch) / limits["flops"], result.bandwidth(batch) / limits["bandwidth"]


def bound_by(arithmetic: float, memory: float) -> str:
    if max(arithmetic, memory) < NEITHER:
        return "neither"
    return "arithmetic" if arithmetic >= memory else "memory"


def convolutions_table(limits: Mapping[str, Any]) -> Table:
    """The 3×3 convolutions of our CIFAR-10 networks."""
    rows = [
        {
            "Measured": f"{one['channels']} channels, {one['width']}×{one['width']}, {one['type']}",
            "GFLOP/s": f"{one['flops'] / 1e9:,.0f}",
            "matrix product (GFLOP/s)": f"{one['matrix_flops'] / 1e9:,.0f}",
            "of it": f"{one['flops'] / one['matrix_flops']:.0%}",
        }
        for one in limits["convolutions"]
    ]
    notes = ("Batches of 128, channels last, forward; two operations for a multiply-add.",)
    return table("Convolutions of the CIFAR-10 networks", rows, notes)
