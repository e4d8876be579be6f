"""One run on several devices: the same network as on one with the same statistics, by whatever launches it."""

import copy
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from conftest import QUICK, REPOSITORY, fit, lasting_workplace, result, rows, same, weights
from processes import PATIENCE, run, start, wait_for
from torch import nn

from resnet_lightning.networks.ghost import normalise_by
from resnet_lightning.runs.checkpoints import checkpoints
from resnet_lightning.runs.metrics_file import read_metrics
from resnet_lightning.training.batch_norm_statistics import average_statistics

LONG = (
    "--trainer.accelerator=cpu",
    "--trainer.max_steps=50",
    "--trainer.val_check_interval=40",  # the last evaluation is of statistics that were not evaluated in training
    "--trainer.log_every_n_steps=3",
    "--trainer.precision=64-true",
)
TWO = ("--trainer.strategy=ddp", "--trainer.devices=2")


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished run of two processes, 64 images each; read only."""
    with lasting_workplace(tmp_path_factory, "two") as place:
        run("fit", *QUICK, *LONG, *TWO, "--run=two")
    return place / "two"


def test_ghost_batch_normalisation_is_batch_normalisation_of_the_parts() -> None:
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


def test_averaged_statistics_take_in_all_parts() -> None:
    """As bn_batches averages them over all devices."""
    network = nn.Sequential(nn.BatchNorm2d(4))
    normalise_by(network, 4)
    images = torch.randn(3, 8, 4, 5, 5)
    average_statistics(network, images)
    parts = images.view(6, 4, 4, 5, 5)
    state = network.state_dict()
    torch.testing.assert_close(state["0.running_mean"], torch.stack([part.mean((0, 2, 3)) for part in parts]).mean(0))
    torch.testing.assert_close(state["0.running_var"], torch.stack([part.var((0, 2, 3)) for part in parts]).mean(0))


def test_two_processes_are_one_with_ghost_batch_normalisation(two: Path, workplace: Path) -> None:
    """In float64, whose rounding is 1.1e-16.

    Sums over a batch are made in two parts here and in one there, so that every gradient differs by some roundings of
    its size: 3e-15 in the weights after these 50 iterations. The bound leaves room for other processors; a wrong share
    of images or other statistics differ in the first digit. Training itself amplifies a rounding, ResNet-20 on
    CIFAR-10 threefold at each iteration in float64 and faster in float32, where runs are soon apart: hence this one.
    """
    fit(*LONG, "--run=one", "--model.batch_norm_images=64")
    fit(*LONG, "--run=whole")
    ours, ghost, whole = (weights(folder, 50) for folder in (two, "one", "whole"))
    assert max(float((ours[name] - ghost[name]).abs().max()) for name in ours) < 1e-12
    assert max(float((ours[name] - whole[name]).abs().max()) for name in ours) > 1e-3
    record = result(two)
    assert (record["devices"], record["test_images"]) == (2, 360)
    for set_name in ("train", "test"):
        assert record[f"{set_name}_error"] == pytest.approx(result("one")[f"{set_name}_error"], abs=1e-4)
    losses = [float(read_metrics(Path(folder) / "metrics.csv")[50]["test/loss"]) for folder in (two, "one")]
    assert losses[0] == pytest.approx(losses[1], rel=1e-6)  # a metric is a float32
    for ours, theirs in zip(rows(two).values(), rows("one").values(), strict=True):
        # Training errors too are those of all images, which both processes count together.
        assert ours.get("train/error") == theirs.get("train/error")


@pytest.mark.long
def test_two_processes_that_are_asked_to_stop_go_on_exactly(two: Path, workplace: Path) -> None:
    options = (*QUICK, *LONG, *TWO, "--run=r", "--checkpoint_every=1000")
    process = start("fit", *options)
    wait_for(Path("r", "metrics.csv"), process)
    process.send_signal(signal.SIGTERM)
    assert process.wait(PATIENCE) == 143
    [saved] = checkpoints(Path("r", "checkpoints"))
    assert 1 <= int(saved.stem.partition("=")[2]) < 50
    run("fit", *options)
    assert same(weights("r", 50), weights(two, 50))
    for name in ("metrics.csv", "responses.csv", "gradients.csv"):
        assert rows("r", name) == rows(two, name)


@pytest.mark.long
def test_two_nodes_are_one_with_two_processes(two: Path, workplace: Path) -> None:
    script = str(REPOSITORY / "experiments" / "clusters" / "torchrun.sh")
    port = str(20_000 + os.getpid() % 10_000)
    nodes = []
    for node in range(2):
        place = {"NODES": "2", "NODE": str(node), "MASTER": "127.0.0.1", "LOCAL": f"127.0.0.{node + 1}", "PORT": port}
        surroundings = os.environ | place | {"PYTHON": sys.executable, "OMP_NUM_THREADS": "1"}
        command = [script, "experiments/digits/resnet20.yaml", *QUICK[2:], *LONG, "--run=nodes"]
        with open(f"node{node}.txt", "w") as log:
            nodes.append(subprocess.Popen(command, env=surroundings, stdout=log, stderr=log))
    statuses = [node.wait(PATIENCE) for node in nodes]
    assert statuses == [0, 0], "".join(Path(f"node{node}.txt").read_text() for node in range(2))
    assert same(weights("nodes", 50), weights(two, 50))
    assert result("nodes")["devices"] == 2


def test_what_does_not_divide_is_refused(workplace: Path, refused: Callable[..., str]) -> None:
    for images in ("0", "48"):
        line = refused("fit", *QUICK, "--trainer.max_steps=4", f"--model.batch_norm_images={images}", "--run=r")
        assert f"batch_norm_images {images}" in line
    quick = ("fit", *QUICK, "--trainer.max_steps=4", "--model.batch_norm_images=64", "--run=r")
    assert "sync_batchnorm" in refused(*quick, "--trainer.sync_batchnorm=true")
    assert not Path("r").exists()
