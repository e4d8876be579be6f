"""One run on several devices: the same network as on one with the same statistics, by whatever launches it."""

import copy
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import torch
from conftest import QUICK, REPOSITORY, fit, result, run, same, weights
from torch import nn

from resnet_lightning.networks.ghost import normalise_by

CPU = ("--trainer.accelerator=cpu", "--trainer.strategy=ddp")
LONG = ("--trainer.max_steps=50", "--trainer.val_check_interval=50", "--trainer.precision=64-true")


def test_ghost_batch_normalisation_is_batch_normalisation_of_the_parts() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4)).double().to(memory_format=torch.channels_last)
    reference = copy.deepcopy(network)
    normalise_by(network, 4)
    assert network.state_dict().keys() == reference.state_dict().keys()
    images = torch.randn(12, 3, 5, 5, dtype=torch.float64).to(memory_format=torch.channels_last)
    for _ in range(2):
        ours = network(images)
        parts = [copy.deepcopy(reference) for _ in range(3)]
        theirs = torch.cat([part(images[4 * number : 4 * number + 4]) for number, part in enumerate(parts)])
        torch.testing.assert_close(ours, theirs)
        assert ours.is_contiguous(memory_format=torch.channels_last)
        (ours**3).sum().backward()
        (theirs**3).sum().backward()
        for name, parameter in network.named_parameters():
            expected = sum(dict(part.named_parameters())[name].grad for part in parts)
            torch.testing.assert_close(parameter.grad, expected)
            parameter.grad = None
        reference = parts[0]  # the moving averages of the first device
        for name, buffer in reference.named_buffers():
            torch.testing.assert_close(dict(network.named_buffers())[name], buffer)
    torch.testing.assert_close(network.eval()(images), reference.eval()(images))


def test_two_processes_are_one_with_ghost_batch_normalisation(workplace: Path) -> None:
    """In float64, whose rounding is 1.1e-16.

    Sums over a batch are made in two parts here and in one there, so that every gradient differs by some roundings of
    its size; 50 iterations at a rate of up to 0.1 amplify that by a few orders of magnitude. A wrong share of images
    or other statistics would differ in the second digit.
    """
    run("fit", *QUICK, *LONG, *CPU, "--trainer.devices=2", "--run=two")
    fit(*LONG, "--run=one", "--model.batch_norm_images=64")
    fit(*LONG, "--run=whole")
    two, one, whole = (weights(folder, 50) for folder in ("two", "one", "whole"))
    assert max(float((two[name] - one[name]).abs().max()) for name in one) < 1e-9
    assert max(float((two[name] - whole[name]).abs().max()) for name in one) > 1e-3
    ours, theirs = result("two"), result("one")
    assert (ours["devices"], ours["test_images"]) == (2, 360)
    assert ours["test_error"] == theirs["test_error"]


def test_two_nodes_are_one_with_two_processes(workplace: Path) -> None:
    options = [*QUICK[2:], "--trainer.max_steps=20", "--trainer.accelerator=cpu", "--checkpoint_every=15"]
    run("fit", *QUICK[:2], *options, "--trainer.devices=2", "--trainer.strategy=ddp", "--run=one")
    script = str(REPOSITORY / "experiments" / "clusters" / "torchrun.sh")
    port = str(20_000 + os.getpid() % 10_000)
    nodes = []
    for node in range(2):
        place = {"NODES": "2", "NODE": str(node), "MASTER": "127.0.0.1", "LOCAL": f"127.0.0.{node + 1}", "PORT": port}
        surroundings = os.environ | place | {"PYTHON": sys.executable, "OMP_NUM_THREADS": "1"}
        command = [script, "experiments/digits/resnet20.yaml", *options, "--run=two"]
        with open(f"node{node}.txt", "w") as log:
            nodes.append(subprocess.Popen(command, env=surroundings, stdout=log, stderr=log))
    statuses = [node.wait(120) for node in nodes]
    assert statuses == [0, 0], "".join(Path(f"node{node}.txt").read_text() for node in range(2))
    assert same(weights("one", 20), weights("two", 20))
    assert result("two")["devices"] == 2


def test_what_does_not_divide_is_refused(workplace: Path, refused: Callable[..., str]) -> None:
    for images in ("0", "48"):
        line = refused("fit", *QUICK, "--trainer.max_steps=4", f"--model.batch_norm_images={images}", "--run=r")
        assert f"batch_norm_images {images}" in line
