"""What networks say of themselves, and that a block from one file of someone else's is taken everywhere."""

import json
import re
from pathlib import Path

import pytest
import torch
import torchvision
from conftest import REPOSITORY, result
from torch import Tensor, nn

from resnet_lightning.callbacks.responses import Moments
from resnet_lightning.cli import main
from resnet_lightning.data.views import Scales
from resnet_lightning.evaluation.lesions import lesion, lesions, watch
from resnet_lightning.networks import cifar_resnet, inspection, vgg16
from resnet_lightning.networks.inspection import Block
from resnet_lightning.networks.shortcuts import ZeroPadding
from resnet_lightning.training.view_scores import view_scores

RECIPE = (REPOSITORY / "docs" / "extending.md").read_text(encoding="utf-8")
RECIPE = RECIPE.partition("## A network or block of your own")[2].partition("\n## ")[0]


def test_a_block_of_the_readers_own_needs_no_other_edit(
    workplace: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The recipe of docs/extending.md as it stands, for 4 iterations."""
    monkeypatch.syspath_prepend(str(workplace))
    [code] = re.findall(r"```python\n(.*?)```", RECIPE, re.S)
    [commands] = re.findall(r"```sh\n(.*?)```", RECIPE, re.S)
    Path("preactivation.py").write_text(code, encoding="utf-8")
    summary, fit, lesions = (line.split()[1:] for line in commands.replace("=300", "=4").splitlines())
    main(summary)
    rows = {words[0]: words for line in capsys.readouterr().out.splitlines() if (words := line.split())}
    assert rows["stage"][1:5] == ["16×16×16", "3", "3", "identity"] and rows["stem"][1:4] == ["16×16×16", "–", "–"]
    main([*fit, "--trainer.max_steps=4", "--trainer.val_check_interval=4", "--checkpoint_every=4"])
    run = result("runs/mine")
    assert [run[key] for key in ("network", "family", "depth")] == ["pre-activation-8", "pre-activation", 8]
    names = ["stem", *(f"stage.{block}.conv{layer}" for block in range(3) for layer in (1, 2))]
    for file in ("responses.csv", "gradients.csv"):
        assert Path("runs/mine", file).read_text(encoding="utf-8").splitlines()[0].split(",") == ["iteration", *names]
    main(lesions)
    found = json.loads(Path("runs/mine/lesions.json").read_text(encoding="utf-8"))
    assert found["complete"]
    assert [sorted(block) for block in found["blocks"].values()] == [["deleted", "size", "swapped"]] * 2 + [
        ["deleted", "size"]
    ]
    import preactivation  # type: ignore[import-not-found]

    network = preactivation.Network().eval()
    network.fc.bias.data.normal_()
    with torch.no_grad():
        images = torch.randn(2, 3, 8, 8)
        both, _ = view_scores(network, Scales([images], window=8))
        expected = (network(images).softmax(1) + network(images.flip(-1)).softmax(1)) / 2
        torch.testing.assert_close(both.exp(), expected)


class Dense(nn.Module):
    """A layer of DenseNet: normalises, convolves, and appends what is new."""

    def __init__(self, channels: int, new: int) -> None:
        super().__init__()
        self.norm, self.conv = nn.BatchNorm2d(channels), nn.Conv2d(channels, new, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat((x, self.conv(self.norm(x).relu())), dim=1)

    def as_block(self) -> Block:
        shortcut = ZeroPadding(self.conv.out_channels, stride=1)
        return Block({"conv": self.conv}, residual=self.conv, shortcut=shortcut, keeps_shape=False)


class Gated(nn.Module):
    """A highway layer: T(x)·H(x) + (1 - T(x))·x, with the gate T; where T is 0, x is left."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gate, self.conv = nn.Conv2d(channels, channels, 1), nn.Conv2d(channels, channels, 3, padding=1)
        self.change = nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return x + self.change(self.gate(x).sigmoid() * (self.conv(x) - x))

    def as_block(self) -> Block:
        return Block({"conv": self.conv}, residual=self.change, shortcut=nn.Identity(), keeps_shape=True)


@torch.no_grad()
def test_blocks_of_other_papers() -> None:
    network = nn.Sequential(
        nn.Conv2d(3, 4, 1), nn.Sequential(Dense(4, 4), Gated(8), Gated(8)), nn.Conv2d(8, 2, 1)
    ).eval()
    layers = inspection.layers(network)
    assert list(layers) == ["0", "1.0.conv", "1.1.conv", "1.2.conv", "2"]  # the gates are none
    assert all(layer.response is layer.module for layer in layers.values())
    stem, (dense, *gated), last = network
    x = torch.randn(2, 3, 5, 5)
    made = {(name, kind): changes for name, kind, changes in lesions(network)}
    assert list(made) == [*((f"1.{place}", "deleted") for place in range(3)), ("1.1", "swapped")]
    features = stem(x)
    expected = {
        ("1.0", "deleted"): gated[1](gated[0](torch.cat((features, torch.zeros(2, 4, 5, 5)), dim=1))),
        ("1.1", "deleted"): gated[1](dense(features)),
        ("1.1", "swapped"): gated[0](gated[1](dense(features))),
    }
    for key, maps in expected.items():
        with lesion(network, made[key]):
            torch.testing.assert_close(network(x), last(maps))
    moments = Moments()
    watch(network, moments)
    network(x)
    assert len(moments.compute()) == 6


def test_networks_that_say_nothing_of_themselves() -> None:
    with torch.device("meta"):
        network, dense = torchvision.models.resnet18(), torchvision.models.densenet121()
        assert inspection.about(network) == {
            "network": "ResNet",
            "family": "ResNet",
            "depth": 18,
            "shortcut": "unknown",
        }
        assert not inspection.blocks(network) and inspection.fully_convolutional(network) is None
        assert len(inspection.layers(network)) == 17
        # The next normalisation is that of the next layer, which sees what all layers before have made.
        layer = inspection.layers(dense)["features.denseblock1.denselayer1.conv2"]
        assert layer.response is layer.module
        families = [inspection.about(made)["family"] for made in (cifar_resnet(8, "none"), cifar_resnet(8), vgg16(2))]
        assert families == ["plain", "ResNet", "VGG"]
