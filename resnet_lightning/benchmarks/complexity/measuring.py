"""One network's times, memory and energy in one round, in a process of its own, within a number of seconds."""

import logging
import resource
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from resnet_lightning.benchmarks.complexity.energy import Joules, find_meter
from resnet_lightning.benchmarks.complexity.networks import Subject

FORWARD = 0.65  # of the seconds; the training step has the rest
MOST = 30  # times that are kept of one round
TRAINING_BATCHES = (16, 8, 4, 2)  # the largest that fits; batch normalisation needs two images


def measure(subject: Subject, batches: Sequence[int], fixed: bool, seconds: float, threads: int) -> dict[str, Any]:
    """A round of one network: how long evaluations and a training step take, what memory and energy they need.

    Args:
        batches: their sizes, rising.
        fixed: whether all of them are measured, however long they take; else the largest are left out once what they
            are expected to take does not fit into the seconds.
        seconds: about how long everything takes.

    Returns:
        forward: by batch size, times (s), peak (bytes of memory above the process without the network), and joules
        per second where the machine tells; left_out: batch sizes; training: batch, times (s), peak.
    """
    torch.set_num_threads(threads)
    device = default_device()
    before = peak_memory(device)
    network = subject.build().to(device)
    classes = classes_of(network.eval(), subject.size, device)
    joules, _ = find_meter(device)
    forward: dict[str, Any] = {}
    left, expected = FORWARD * seconds, 0.0
    for place, batch in enumerate(batches):
        if forward and not fixed and 2 * expected * batch > left:
            break
        started = time.perf_counter()
        images = torch.randn(batch, 3, subject.size, subject.size, device=device)
        share = left / (len(batches) - place)
        try:
            with torch.inference_mode():
                forward[str(batch)] = timed(partial(network, images), share, threads, joules)
        except torch.OutOfMemoryError:
            break
        forward[str(batch)]["peak"] = peak_memory(device) - before
        expected = min(forward[str(batch)]["times"]) / batch
        left -= time.perf_counter() - started
    fits = [b for b in TRAINING_BATCHES if 8 * expected * b < (1 - FORWARD) * seconds]  # a step is about 3 evaluations
    batch = fits[0] if fits else TRAINING_BATCHES[-1]
    images = torch.randn(batch, 3, subject.size, subject.size, device=device)
    step = training_step(network, images, classes)
    training = {"batch": batch, **timed(step, (1 - FORWARD) * seconds / 2, threads)}
    training["peak"] = peak_memory(device) - before
    return {"forward": forward, "left_out": [b for b in batches if str(b) not in forward], "training": training}


def timed(work: Callable[[], Any], seconds: float, threads: int, joules: Joules | None = None) -> dict[str, Any]:
    """Times (s) of the work, once or for some seconds, and the mean power (W), if the machine tells its energy."""
    logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)  # warns on import where no GPU is
    from torch.utils.benchmark import Timer

    timer = Timer("work()", globals={"work": work}, num_threads=threads)
    began, used = time.perf_counter(), joules() if joules else 0.0
    times: list[float] = []
    while not times or time.perf_counter() - began < seconds:
        # Without a least time it does the work once to warm up, and measures it once.
        times += timer.blocked_autorange(min_run_time=0).times
    watts = {"watts": (joules() - used) / (time.perf_counter() - began)} if joules else {}
    return {"times": [float(f"{value:.4g}") for value in times[:MOST]], **watts}


def training_step(network: nn.Module, images: Tensor, classes: int) -> Callable[[], None]:
    """Forward, backward and an update, as one function."""
    labels = torch.randint(classes, (len(images),), device=images.device)
    optimizer = torch.optim.SGD(network.train().parameters(), lr=1e-6, momentum=0.9, weight_decay=1e-4)

    def step() -> None:
        answer = network(images)
        # Auxiliary classifiers count too, as the networks that have them are trained.
        answers = [answer] if isinstance(answer, Tensor) else [one for one in answer if one is not None]
        loss = sum((cross_entropy(one, labels) for one in answers), torch.zeros((), device=images.device))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return step


def classes_of(network: nn.Module, size: int, device: torch.device) -> int:
    with torch.inference_mode():
        scores: Tensor = network(torch.zeros(1, 3, size, size, device=device))
    return scores.shape[1]


def default_device() -> torch.device:
    return torch.accelerator.current_accelerator(check_available=True) or torch.device("cpu")


def peak_memory(device: torch.device) -> int:
    """Bytes: of a GPU what PyTorch has had at most, else the process's largest resident memory so far."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return kib if sys.platform == "darwin" else kib * 1024
