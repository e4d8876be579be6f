"""The networks against the paper's counts and against slow, obvious versions of their parts (sections 3 and 4.2)."""

import math
from typing import Any

import pytest
import torch
import torchvision
from conftest import PAPER
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from resnet_lightning.errors import BadInput
from resnet_lightning.networks import ResNet, Shortcut, cifar_resnet, imagenet_resnet
from resnet_lightning.networks.blocks import BasicBlock, Bottleneck, StrideIn
from resnet_lightning.networks.shortcuts import ZeroPadding

OPTIONS: tuple[Shortcut, ...] = ("none", "A", "B", "C")
COUNTS = PAPER["counts_cifar"]["nets"]


def parameters(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def blocks_of(network: ResNet) -> list[BasicBlock]:
    return [module for module in network.modules() if isinstance(module, BasicBlock)]


@pytest.mark.parametrize("depth", COUNTS)
def test_counts_are_the_published_ones(depth: int) -> None:
    counts, published = COUNTS[depth], PAPER["table6_cifar10"]["resnet"][depth]["params"]
    with torch.device("meta"):
        networks = {option: cifar_resnet(depth, option) for option in OPTIONS}
        images = torch.empty(1, 3, 32, 32)
    expected = {"none": counts["params"], "A": counts["params"]}
    expected |= {option: counts[f"params_option_{option}"] for option in "BC"}
    assert {option: parameters(network) for option, network in networks.items()} == expected
    decimals = len(published.partition(".")[2]) - 1
    assert f"{parameters(networks['A']) / 1e6:.{decimals}f}M" == published
    with FlopCounterMode(display=False) as counter:
        assert networks["A"](images).shape == (1, 10)
    assert counter.get_total_flops() == 2 * counts["macs"]
    for option in ("none", "A"):
        convolutions = [module for module in networks[option].modules() if isinstance(module, nn.Conv2d)]
        assert len(convolutions) == counts["conv_layers"] == depth - 1 == networks[option].depth - 1
        shortcuts = sum(block.downsample is not None for block in blocks_of(networks[option]))
        assert shortcuts == (counts["shortcuts"] if option == "A" else 0)


@pytest.mark.parametrize("size", [(4, 6), (5, 7)])
def test_option_a_takes_every_second_pixel_and_adds_zero_channels(size: tuple[int, int]) -> None:
    x = torch.randn(2, 3, *size)
    out = ZeroPadding(new_channels=2, stride=2)(x)
    expected = torch.zeros(2, 5, math.ceil(size[0] / 2), math.ceil(size[1] / 2))
    for image in range(2):
        for channel in range(3):
            for row in range(expected.shape[2]):
                for column in range(expected.shape[3]):
                    expected[image, channel, row, column] = x[image, channel, 2 * row, 2 * column]
    assert torch.equal(out, expected)


@pytest.mark.parametrize("new", [4, 5])
def test_the_zeros_of_option_a_can_be_around(new: int) -> None:
    x = torch.randn(2, 3, 4, 6)
    expected = torch.zeros(2, 3 + new, 2, 3)
    for channel in range(3):
        expected[:, 2 + channel] = x[:, channel, ::2, ::2]
    assert torch.equal(ZeroPadding(new, stride=2, zeros="around")(x), expected)
    shortcuts = [block.downsample for block in blocks_of(cifar_resnet(20, zeros="around"))]
    across = [shortcut(torch.ones(1, 16 * 2**stage, 2, 2)) for stage, shortcut in enumerate(shortcuts[3::3])]
    for stage, out in enumerate(across):  # the channels that there are lie in the middle half
        quarter = 8 * 2**stage
        assert out.flatten().tolist() == [0.0] * quarter + [1.0] * 2 * quarter + [0.0] * quarter


@pytest.mark.parametrize(("channels", "stride"), [(4, 1), (8, 2)])
@pytest.mark.parametrize("option", OPTIONS)
def test_a_block_is_its_equation(option: Shortcut, channels: int, stride: int) -> None:
    block = BasicBlock(4, channels, stride, option).eval()
    for module in block.modules():
        if isinstance(module, nn.BatchNorm2d):
            for tensor in (module.weight.data, module.bias.data, module.running_mean, module.running_var):
                nn.init.uniform_(tensor, 0.5, 1.5)
    x = torch.randn(3, 4, 6, 6)

    def conv(x: Tensor, layer: nn.Conv2d, norm: nn.BatchNorm2d, stride: int, padding: int) -> Tensor:
        x = F.conv2d(x, layer.weight, stride=stride, padding=padding)
        mean, var, weight, bias = (
            tensor[:, None, None] for tensor in (norm.running_mean, norm.running_var, norm.weight, norm.bias)
        )
        return (x - mean) / (var + 1e-5).sqrt() * weight + bias

    branch = conv(conv(x, block.conv1, block.bn1, stride, 1).relu(), block.conv2, block.bn2, 1, 1)
    if option == "none":
        shortcut = torch.zeros_like(branch)
    elif option == "C" or (option == "B" and stride == 2):
        shortcut = conv(x, *block.downsample, stride, 0)
    elif stride == 2:
        shortcut = torch.cat((x[:, :, ::2, ::2], torch.zeros(3, 4, 3, 3)), dim=1)
    else:
        shortcut = x
    torch.testing.assert_close(block(x.clone()), (branch + shortcut).relu())


@pytest.mark.parametrize("option", OPTIONS)
def test_only_a_plain_network_has_no_shortcut_a_block(option: Shortcut) -> None:
    network = cifar_resnet(20, option).eval()
    blocked = blocks_of(network)[4].bn2
    nn.init.zeros_(blocked.weight)
    nn.init.zeros_(blocked.bias)
    first, second = network(torch.randn(2, 3, 32, 32))
    assert torch.equal(first, second) == (option == "none")


def test_he_initialisation() -> None:
    for name, weight in cifar_resnet(20).named_parameters():
        if weight.dim() == 4 and weight.numel() > 4000:
            assert weight.std().item() == pytest.approx(math.sqrt(2 / weight[0].numel()), rel=0.05), name


def test_fan_out_scales_what_fan_in_has_drawn() -> None:
    networks = []
    for fan in ("in", "out"):
        torch.manual_seed(0)
        networks.append(cifar_resnet(20, "B", fan=fan))
    for (name, one), other in zip(networks[0].named_parameters(), networks[1].parameters(), strict=True):
        if one.dim() < 4:
            assert torch.equal(one, other), name
            continue
        outputs, inputs, height, width = one.shape
        torch.testing.assert_close(other, one * math.sqrt(inputs / outputs), msg=name)
        if one.numel() > 4000:
            assert other.std().item() == pytest.approx(math.sqrt(2 / (height * width * outputs)), rel=0.05), name


@pytest.mark.parametrize("segments", [1, 4, 9])
def test_checkpointed_segments_compute_the_same(segments: int) -> None:
    images, labels = torch.randn(4, 3, 16, 16), torch.tensor([0, 1, 2, 3])
    networks = [cifar_resnet(20, "B", checkpoint_segments=count) for count in (0, segments)]
    networks[1].load_state_dict(networks[0].state_dict())
    passes = [0, 0]
    for number, network in enumerate(networks):

        def count(*_: object, number: int = number) -> None:
            passes[number] += 1

        blocks_of(network)[2].conv1.register_forward_hook(count)
        for _ in range(2):
            F.cross_entropy(network(images), labels).backward()
    assert passes == [2, 4]  # computed again in the backward pass
    for (name, one), other in zip(networks[0].named_parameters(), networks[1].parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad, msg=name)
    for (name, one), other in zip(networks[0].named_buffers(), networks[1].buffers(), strict=True):
        torch.testing.assert_close(one, other, msg=name)  # running statistics move once
    assert all(type(block.bn1.momentum) is float for block in blocks_of(networks[1]))


def test_the_smallest_depth() -> None:
    assert len(blocks_of(cifar_resnet(8))) == 3


@pytest.mark.parametrize("wrong", [{"zeros": "before"}, {"fan": "fan_out"}])
def test_unknown_zeros_or_fan(wrong: dict[str, Any]) -> None:
    [(name, value)] = wrong.items()
    with pytest.raises(BadInput, match=f"{name} '{value}': expected"):
        cifar_resnet(20, **wrong)


@pytest.mark.parametrize(("depth", "shortcut"), [(21, "A"), (2, "A"), (-4, "A"), (0, "none"), (20, "D"), (20, "")])
def test_bad_depth_or_shortcut(depth: int, shortcut: Shortcut) -> None:
    with pytest.raises(BadInput, match=f"depth {depth}" if depth != 20 else f"shortcut '{shortcut}'"):
        cifar_resnet(depth, shortcut)


# ImageNet -----------------------------------------------------------------------------------------------------------

IMAGENET = PAPER["counts_imagenet"]
STRIDES: dict[str, StrideIn] = {"macs": "1x1", "macs_v1": "1x1", "macs_v15": "3x3"}


@pytest.mark.parametrize("depth", IMAGENET["resnet"])
def test_imagenet_counts_are_the_published_ones(depth: int) -> None:
    expected = {option: counts for option, counts in IMAGENET["resnet"][depth].items()}
    expected |= {"none": IMAGENET["plain"][depth]} if depth in IMAGENET["plain"] else {}
    for option, counts in expected.items():
        for name, stride_in in STRIDES.items():
            if name not in counts:
                continue
            with torch.device("meta"):
                network = imagenet_resnet(depth, option, stride_in=stride_in)
                images = torch.empty(1, 3, 224, 224)
            with FlopCounterMode(display=False) as counter:
                assert network(images).shape == (1, 1000)
            assert (parameters(network), counter.get_total_flops()) == (counts["params"], 2 * counts[name])
            convolutions = {key for key, module in network.named_modules() if isinstance(module, nn.Conv2d)}
            projections = {key for key in convolutions if "downsample" in key}
            assert len(projections) == counts.get("proj", 0) and len(convolutions - projections) == depth - 1
            assert network.features(images).shape[2:] == (7, 7)


@pytest.mark.parametrize("depth", [18, 34, 50, 101, 152])
def test_torchvision_weights_give_torchvision_scores(depth: int) -> None:
    theirs = getattr(torchvision.models, f"resnet{depth}")(num_classes=5)
    for module in theirs.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.2, 0.6)
            nn.init.uniform_(module.running_mean, -0.1, 0.1)
    ours = imagenet_resnet(depth, "B", num_classes=5, stride_in="3x3")
    ours.load_state_dict(theirs.state_dict(), strict=True)
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        for training in (False, True):
            expected = theirs.train(training)(images)
            torch.testing.assert_close(ours.train(training)(images), expected, atol=1e-5, rtol=1e-5)


def test_a_bottleneck_strides_where_it_is_told() -> None:
    first, second = (Bottleneck(8, 16, 2, "B", stride_in) for stride_in in ("1x1", "3x3"))
    assert [first.conv1.stride, first.conv2.stride] == [(2, 2), (1, 1)]
    assert [second.conv1.stride, second.conv2.stride] == [(1, 1), (2, 2)]


@pytest.mark.parametrize(("depth", "option", "name"), [(34, "A", ""), (34, "B", " B"), (50, "B", ""), (50, "A", " A")])
def test_networks_are_named_as_in_the_tables(depth: int, option: Shortcut, name: str) -> None:
    with torch.device("meta"):
        assert imagenet_resnet(depth, option).name == f"ResNet-{depth}{name}"


@pytest.mark.parametrize(("depth", "stride_in"), [(20, "1x1"), (50, "2x2")])
def test_bad_imagenet_networks(depth: int, stride_in: StrideIn) -> None:
    with pytest.raises(BadInput, match="depth 20: .* 18, 34, 50, 101, 152" if depth == 20 else "stride_in '2x2'"):
        imagenet_resnet(depth, "A", stride_in=stride_in)
