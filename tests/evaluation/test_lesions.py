"""Lesions against a slow network without the block, and lesions of a run and of a study."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from resnet_lightning.callbacks.responses import Moments
from resnet_lightning.cli import main
from resnet_lightning.evaluation.lesions import lesion, lesions, watch
from resnet_lightning.networks import ResNet, cifar_resnet
from resnet_lightning.networks.inspection import blocks


def slow(network: ResNet, x: Tensor, order: list[str], deleted: str) -> Tensor:
    """The network with its blocks in some order, one of them without F, step by step."""
    x = network.bn1(network.conv1(x)).relu()
    for name in order:
        block = network.get_submodule(name)
        channels, stride = block.conv2.out_channels, block.conv1.stride[0]
        padded = F.pad(x[:, :, ::stride, ::stride], (0, 0, 0, 0, 0, channels - x.shape[1]))
        shortcut = padded if block.downsample is None else block.downsample(x)
        if name != deleted:
            f = block.bn2(block.conv2(block.bn1(block.conv1(x)).relu()))
            shortcut = f if block.downsample is None else f + shortcut
        x = shortcut.relu()
    return network.fc(x.mean((2, 3)))  # type: ignore[no-any-return]


@torch.no_grad()
@pytest.mark.parametrize("shortcut", ["none", "A", "C"])
def test_every_lesion_is_what_it_says_and_heals(shortcut: Any) -> None:
    network = cifar_resnet(20, shortcut).eval()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.uniform_(module.bias, -0.5, 0.5)
    images, names = torch.randn(2, 3, 16, 16), list(blocks(network))
    intact = network(images)
    made = list(lesions(network))
    # 9 blocks; 2 neighbours of the same shape in the first stage, 1 in the others, whose first block halves the map.
    assert [kind for _, kind, _ in made] == ["deleted"] * 9 + ["swapped"] * 4
    for name, kind, changes in made:
        order = list(names)
        if kind == "swapped":
            place = order.index(name)
            order[place], order[place + 1] = order[place + 1], order[place]
        expected = slow(network, images, order, name if kind == "deleted" else "")
        with lesion(network, changes):
            torch.testing.assert_close(network(images), expected, atol=1e-4, rtol=1e-4)
        assert torch.equal(network(images), intact), name


@torch.no_grad()
def test_the_size_of_a_block_is_that_of_what_it_adds() -> None:
    network = cifar_resnet(8, "A").eval()
    moments, x = Moments(), torch.randn(3, 16, 8, 8)
    block = network.layer2[0]
    watch(network, moments)
    block(x)
    sizes = moments.compute()
    f = block.bn2(block.conv2(block.bn1(block.conv1(x)).relu()))
    assert sizes["layer2.0 F"][1] == pytest.approx(float(f.square().mean().sqrt()), rel=1e-4)
    assert sizes["layer2.0 x"][1] == pytest.approx(float((x[:, :, ::2, ::2].square().mean() / 2).sqrt()), rel=1e-4)


def test_lesions_of_a_run_go_on_where_they_were_interrupted(
    finished: Path, workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(finished, "r")
    arguments = ["lesions", "--config=r/config.yaml", "--ckpt_path=r/checkpoints/iteration=22.ckpt", "--run=r"]
    responses = Path("r/responses.csv").read_text()
    main(arguments)
    path = Path("r/lesions.json")
    whole = json.loads(path.read_text())
    assert whole["complete"] and list(whole["blocks"]) == ["layer1.0", "layer2.0", "layer3.0"]
    result = json.loads(Path("r/result.json").read_text())
    assert whole["error"] == pytest.approx(result["test_error"], abs=1e-3)
    half = json.loads(path.read_text())
    half["complete"] = False
    del half["blocks"]["layer3.0"]["deleted"]
    path.write_text(json.dumps(half))
    capsys.readouterr()
    main(arguments)
    assert [line.split(":")[0] for line in capsys.readouterr().out.splitlines()] == [
        *("ResNet-8, as it is", "ResNet-8, layer3.0 deleted", "3 blocks are in r/lesions.json")
    ]
    again = json.loads(path.read_text())
    assert again["blocks"] == whole["blocks"] and again["complete"]
    assert Path("r/responses.csv").read_text() == responses


def test_weights_from_elsewhere_get_a_folder(finished: Path, workplace: Path) -> None:
    shutil.copy(finished / "config.yaml", "own.yaml")
    shutil.copy(finished / "checkpoints" / "iteration=22.ckpt", "other.ckpt")
    main(["lesions", "--config=own.yaml", "--ckpt_path=other.ckpt", "--run=runs/other"])
    assert json.loads(Path("runs/other/lesions.json").read_text())["complete"]
    assert Path("runs/other/run.json").exists()


def test_lesions_need_blocks_and_a_checkpoint(finished: Path, workplace: Path, refused: Any) -> None:
    shutil.copytree(finished, "r")
    assert "--ckpt_path" in refused("lesions", "--config=r/config.yaml")
    settings = ["--config=experiments/digits/base.yaml", "--ckpt_path=r/checkpoints/iteration=22.ckpt"]
    # It has the same weights.
    assert "ResNet-8, not the configured plain-8" in refused(
        "lesions", "--config=r/config.yaml", settings[1], "--model.network.shortcut=none"
    )
    assert "SqueezeNet" in refused("lesions", *settings, "--model.network=torchvision.models.SqueezeNet")


@pytest.mark.long
def test_a_study_of_lesions_trains_and_then_looks(
    workplace: Path, png_folders: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    settings = "model: {network: {init_args: {depth: 8}}}\n"
    Path("tiny.yaml").write_text(f"data: {{init_args: {{image_size: 8, padding: 1}}}}\n{settings}")
    only = ["--only", "resnet20"]
    main(["study", "lesions", f"--data={png_folders}", "--steps=2", "--with=tiny.yaml", *only])
    printed = capfd.readouterr().out
    assert "ResNet-8" in printed and Path("reports/lesions.html").exists()
    [found] = [json.loads(path.read_text()) for path in Path("runs").rglob("table6/*/seed0/lesions.json")]
    assert found["complete"] and found["data"] == "CIFAR-10 at 8×8, only 260 + 50 images"
