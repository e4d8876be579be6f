"""What this machine can do at most: a large matrix product, a large copy; and our CIFAR networks' convolutions."""

from collections.abc import Callable
from statistics import median
from typing import Any

import torch
from torch.nn.functional import conv2d

from resnet_lightning.benchmarks.complexity.measuring import default_device, timed
from resnet_lightning.training.devices import fastest_safe_precision

SIDE = {"cpu": 2048}  # of the matrices; others have 8192
COPIED = 2**28  # bytes, more than any cache holds
SECONDS = 2.0  # about, of each measurement
CONVOLUTIONS = ((16, 32), (32, 16), (64, 8))  # channels and width of the stages of section 4.2
BATCH = 128


def limits(threads: int, seconds: float = SECONDS) -> dict[str, Any]:
    """The machine's limits, and how near to them the 3×3 convolutions of the CIFAR-10 networks come.

    Returns:
        flops (operations per second, two for a multiply-add, of a float32 matrix product), bandwidth (bytes per second
        read and written by a copy), convolutions (for each type and stage: operations per second, and those of a
        matrix product of the same type).
    """
    torch.set_num_threads(threads)
    device = default_device()
    types = {"float32": torch.float32}
    if fastest_safe_precision("auto") == "bf16-mixed":
        types["bfloat16"] = torch.bfloat16
    products = {name: matrix_product(device, kind, threads, seconds) for name, kind in types.items()}
    convolutions = [
        {"type": name, "channels": channels, "width": width, "matrix_flops": products[name]}
        | {"flops": convolution(device, kind, channels, width, threads, seconds)}
        for name, kind in types.items()
        for channels, width in CONVOLUTIONS
    ]
    source = torch.ones(COPIED // 4, device=device)
    target = torch.empty_like(source)
    copying = typical(lambda: target.copy_(source), threads, seconds)
    return {"flops": products["float32"], "bandwidth": 2 * COPIED / copying, "convolutions": convolutions}


def matrix_product(device: torch.device, kind: torch.dtype, threads: int, seconds: float) -> float:
    side = SIDE.get(device.type, 8192)
    left, right = (torch.randn(side, side, device=device).to(kind) for _ in range(2))
    return 2 * side**3 / typical(lambda: left @ right, threads, seconds)


def convolution(
    device: torch.device, kind: torch.dtype, channels: int, width: int, threads: int, seconds: float
) -> float:
    """Operations per second of an evaluation, channels last as `fit` has it."""
    images, weights = (
        torch.randn(shape, device=device, dtype=kind).contiguous(memory_format=torch.channels_last)
        for shape in ((BATCH, channels, width, width), (channels, channels, 3, 3))
    )
    operations = 2 * BATCH * width**2 * channels**2 * 9
    return operations / typical(lambda: conv2d(images, weights, padding=1), threads, seconds)


def typical(work: Callable[[], Any], threads: int, seconds: float) -> float:
    """The median time (s)."""
    times: list[float] = timed(work, seconds, threads)["times"]
    return median(times)
