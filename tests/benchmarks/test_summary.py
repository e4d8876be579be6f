"""`summary` against the published counts, and activations against hand counts and what a real backward pass holds."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import PAPER, QUICK
from lightning import LightningDataModule
from torch import Tensor, nn

from resnet_lightning.cli import main
from resnet_lightning.networks import ResNet, cifar_resnet, imagenet_resnet
from resnet_lightning.networks.counting import Part, count_parts

CIFAR, IMAGENET = PAPER["counts_cifar"]["nets"], PAPER["counts_imagenet"]
RESNET20 = ("--config=experiments/cifar10/base.yaml", "--config=experiments/cifar10/table6/resnet20.yaml")


class TwoLayers(nn.Module):
    """A network without stages, with a parameter and operations of its own, whose constructor reads values."""

    def __init__(self, num_classes: int = 10) -> None:
        super().__init__()
        self.rates = torch.linspace(0, 1, 3).tolist()
        self.scale = nn.Parameter(torch.ones(3, 1, 1))
        self.conv = nn.Conv2d(3, 4, 3, padding=1)
        self.fc = nn.Linear(4 * 8 * 8, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        return self.fc(self.conv(images * self.scale).relu().flatten(1))  # type: ignore[no-any-return]


class Sizeless(LightningDataModule):
    """Does not say how large its images are."""


def summary(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[dict[str, list[str]], str]:
    """The rows of the table by their first word, and everything that was printed."""
    main(["summary", *arguments])
    printed = capsys.readouterr().out
    rows = [line.split() for line in printed.splitlines() if line.startswith(" ")]
    return {words[0]: words[1:] for words in rows if words}, printed


def total(network: nn.Module, *images: int) -> Part:
    return sum(count_parts(network, images).values(), Part())


@pytest.mark.parametrize(
    ("experiment", "published", "classes"),
    [
        ("cifar10/table6/resnet56", CIFAR[56], "10"),
        ("cifar10/figure6/plain110", CIFAR[110], "10"),
        ("imagenet/table2/plain18", IMAGENET["plain"][18], "1000"),
        ("imagenet/table3/resnet34c", IMAGENET["resnet"][34]["C"], "1000"),
        ("imagenet/table3/resnet152", IMAGENET["resnet"][152]["B"], "1000"),
        ("imagenet/table3/vgg16", IMAGENET["vgg"][16], "1000"),
    ],
)
def test_counts_are_the_published_ones_without_data(
    workplace: Path, capsys: pytest.CaptureFixture[str], experiment: str, published: dict[str, int], classes: str
) -> None:
    base = f"experiments/{experiment.split('/')[0]}/base.yaml"
    rows, _ = summary(capsys, f"--config={base}", f"--config=experiments/{experiment}.yaml")
    macs = published.get("macs") or published["macs_v1"]
    assert rows["total"][-3:-1] == [f"{published['params']:,}", f"{macs:,}"]
    assert rows["classifier" if "vgg" in experiment else "fc"][0] == classes
    assert [path.name for path in workplace.iterdir()] == ["experiments"]


def test_stages_blocks_and_shortcuts(workplace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    # A summary needs neither the devices of the run nor a compiler.
    elsewhere = ("--trainer.accelerator=gpu", "--trainer.devices=8", "--model.compile=true")
    rows, printed = summary(capsys, *RESNET20, *elsewhere, "--data.image_size=16", "--data.batch_size=64")
    assert printed.startswith("ResNet-20 for images of 3×16×16\n") and "batch of 64 images" in printed
    assert rows["stem"][:3] == ["16×16×16", "–", "–"] and rows["pooling"][0] == "64×1×1"
    assert rows["layer1"][:4] == ["16×16×16", "3", "3", "identity"]
    assert rows["layer3"][:6] == ["64×4×4", "3", "1", "zero-padded,", "2", "identity"]
    rows, printed = summary(capsys, *RESNET20, "--model.network.shortcut=none", "--model.network.checkpoint_segments=3")
    assert rows["layer2"][1:3] == ["3", "none"] and "with checkpoint_segments 3" in printed
    rows, _ = summary(capsys, *RESNET20, "--model.network.shortcut=C")
    assert rows["layer2"][1:4] == ["3", "3", "projection"]


def test_a_network_of_the_users_own(workplace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = ("--config=experiments/digits/base.yaml", "--model.network=test_summary.TwoLayers")
    rows, printed = summary(capsys, *settings, "--data.image_size=8", "--data.batch_size=100")
    assert printed.startswith("TwoLayers for images of 3×8×8")
    # 4·3·9 weights and 4 biases at 64 places; 256 inputs of the last layer.
    assert rows["conv"][:3] == ["4×8×8", "112", f"{4 * 3 * 9 * 64:,}"] and rows["fc"][:3] == ["10", "2,570", "2,560"]
    assert rows["elsewhere"][:3] == ["–", "3", "0"] and rows["total"][1:3] == ["2,685", "9,472"]


def test_activations_counted_by_hand() -> None:
    # The images (for scale), the scaled images (for conv), and the ReLU's output, once for itself and for fc.
    assert total(TwoLayers(), 5, 3, 8, 8).activations == 4 * 5 * (3 * 64 + 3 * 64 + 256)
    # ResNet-6n+2: the outputs of each convolution and each ReLU, the images, and the input of fc; of each batch
    # normalisation the mean and deviation of every channel.
    for n in (1, 9):
        maps = 2 * 16 * 1024 + 4 * n * (16 * 1024 + 32 * 256 + 64 * 64)
        statistics = 2 * (16 + 2 * n * (16 + 32 + 64))
        network = cifar_resnet(6 * n + 2).train()
        assert total(network, 128, 3, 32, 32).activations == 4 * (128 * (3 * 1024 + maps + 64) + statistics)
    # Of three checkpointed segments, their inputs: ReLU's output in the stem, and those of the first two blocks.
    network = cifar_resnet(8, checkpoint_segments=3).train()
    maps = (16 + 16 + 16) * 1024 + 32 * 256
    assert total(network, 128, 3, 32, 32).activations == 4 * (128 * (3 * 1024 + maps + 64) + 2 * 16)


@pytest.mark.parametrize("network", [cifar_resnet(20, "B"), imagenet_resnet(18, "A", 10), imagenet_resnet(50, "B", 10)])
def test_activations_are_what_a_real_backward_pass_would_use(network: ResNet) -> None:
    own = {tensor.untyped_storage().data_ptr() for tensor in (*network.parameters(), *network.buffers())}
    images = torch.randn(2, 3, 64, 64)
    held: dict[int, int] = {}
    waiting, visited = [network.train()(images).grad_fn], set()
    while waiting:
        node: Any = waiting.pop()
        if node is None or node in visited:
            continue
        visited.add(node)
        waiting += [before for before, _ in node.next_functions]
        for name in dir(node):
            saved = getattr(node, name) if name.startswith("_saved_") else None
            if isinstance(saved, Tensor):
                held[saved.untyped_storage().data_ptr()] = saved.untyped_storage().nbytes()
    expected = sum(size for place, size in held.items() if place not in own)
    assert total(network, 2, 3, 64, 64).activations == expected


def test_a_run_is_left_alone(workplace: Path, finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = {path: path.stat().st_mtime_ns for path in finished.parent.rglob("*")}
    rows, _ = summary(capsys, f"--config={finished / 'config.yaml'}", f"--run={finished}", "--model.network.depth=14")
    assert rows["layer1"][1] == "2"
    assert {path: path.stat().st_mtime_ns for path in finished.parent.rglob("*")} == before


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ([], "--config"),
        (["--model.network.depth=20"], "--config"),
        (["--config=missing.yaml"], "missing.yaml"),
        ([*RESNET20, "--model.network.depth=21"], "depth 21"),
        ([*RESNET20, "--model.network.depht=20"], "depht"),
        ([*RESNET20, "--data.image_sise=16"], "image_sise"),
        ([*RESNET20, "--data.image_size=20"], "image_size 20"),
        ([*RESNET20, "stray"], "stray"),
        ([*RESNET20, "--model.network=test_summary.TwoLayers"], "TwoLayers does not work with 128 images of 3×32×32"),
        ([*QUICK[:2], "--data=test_summary.Sizeless"], "image_size"),
    ],
    ids=lambda value: value[-1] if isinstance(value, list) and value else "",
)
def test_what_is_wrong_is_named(workplace: Path, refused: Callable[..., str], arguments: list[str], named: str) -> None:
    assert named in refused("summary", *arguments)
    assert [path.name for path in workplace.iterdir()] == ["experiments"]


def test_help_is_short(capsys: pytest.CaptureFixture[str]) -> None:
    main(["summary", "--help"])
    assert len(capsys.readouterr().out.splitlines()) < 10
