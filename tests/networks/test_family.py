"""The networks before and after ResNet, against torchvision's and against slow, obvious versions of their parts."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torchvision
from torch import Tensor, nn
from torch.nn import functional as F

from resnet_lightning.callbacks.responses import Moments
from resnet_lightning.errors import BadInput
from resnet_lightning.evaluation.lesions import lesion, lesions, watch
from resnet_lightning.networks import cifar_resnet, inspection
from resnet_lightning.networks.blocks import Bottleneck
from resnet_lightning.networks.densenet import densenet, imagenet_densenet
from resnet_lightning.networks.fractalnet import Fractal, Join, fractalnet
from resnet_lightning.networks.highway import HighwayLayer, highway
from resnet_lightning.networks.nin import network_in_network
from resnet_lightning.networks.preactivation import (
    ARRANGEMENTS,
    Unit,
    preactivation_imagenet,
    preactivation_resnet,
)
from resnet_lightning.networks.resnet import ResNet
from resnet_lightning.networks.resnext import imagenet_resnext, resnext
from resnet_lightning.networks.squeezenet import imagenet_squeezenet, squeezenet
from resnet_lightning.networks.stochastic_depth import StochasticBlock, stochastic_depth_resnet
from resnet_lightning.networks.wide import imagenet_wide_resnet50, wide_resnet

# Small ones of every kind, and the number of their layers with responses.
NETWORKS: dict[str, tuple[Callable[[], Any], int]] = {
    **{name: (lambda name=name: preactivation_resnet(11, arrangement=name), 10) for name in ARRANGEMENTS},
    "basic": (lambda: preactivation_resnet(8, "basic"), 7),
    **{
        variant: (lambda variant=variant: preactivation_resnet(8, "basic", "original", variant), 7)
        for variant in ("scaled", "both_scaled", "exclusive_gate", "shortcut_gate", "convolution", "dropout")
    },
    "wide": (lambda: wide_resnet(10, 2, 0.3), 7),  # the projections are none
    "ResNeXt": (lambda: resnext(11, 2, 4), 10),
    "stochastic depth": (lambda: stochastic_depth_resnet(8), 7),
    "DenseNet": (lambda: densenet(10, 4), 9),
    "DenseNet-BC": (lambda: densenet(16, 4, bottleneck=True), 15),
    "Highway": (highway, 18),
    "without gates": (lambda: highway(gates=False), 18),
    "NiN": (network_in_network, 9),
    **{f"{kind} bypass": (lambda kind=kind: squeezenet(kind), 26) for kind in ("none", "simple", "complex")},
    "FractalNet": (lambda: fractalnet(2), 15),
    "maxout": (lambda: cifar_resnet(8, dropout=0.3, maxout=2), 7),
}

NARROW = (highway, fractalnet, network_in_network, squeezenet, resnext)


def randomise(network: nn.Module) -> nn.Module:
    """In evaluation mode, with statistics that are not those of a new network."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            for tensor in (module.weight.data, module.running_var):
                nn.init.uniform_(tensor, 0.4, 0.9)
            for tensor in (module.bias.data, module.running_mean):
                nn.init.uniform_(tensor, -0.3, 0.3)
    return network.eval()


# What all of them say of themselves ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NETWORKS)
@torch.no_grad()
def test_a_block_is_what_it_says_and_can_be_deleted(name: str) -> None:
    make, count = NETWORKS[name]
    network = randomise(make())
    assert len(inspection.layers(network)) == count
    images = torch.randn(2, 3, 16, 16)
    seen: dict[str, Any] = {}
    handles = []
    blocks = inspection.blocks(network)
    for key, block in blocks.items():

        def keep(module: nn.Module, inputs: tuple[Tensor], output: Tensor, key: str = key) -> None:
            seen[key] = inputs[0].clone(), output.clone()

        def keep_change(module: nn.Module, inputs: Any, output: Tensor, key: str = key) -> None:
            seen[f"F {key}"] = output.clone()

        handles.append(network.get_submodule(key).register_forward_hook(keep))
        handles.append(block.residual.register_forward_hook(keep_change))
    scores = network(images)
    for handle in handles:
        handle.remove()
    for key, block in blocks.items():
        (x, made), change = seen[key], seen[f"F {key}"]
        shortcut = block.shortcut(x)
        if name.startswith("DenseNet"):
            torch.testing.assert_close(made, torch.cat((shortcut[:, : x.shape[1]], change), dim=1))
            assert not shortcut[:, x.shape[1] :].any()
        else:
            torch.testing.assert_close(made, block.after(change if block.plain else change + shortcut))
        if block.keeps_shape:
            assert made.shape == x.shape
    for key, kind, changes in lesions(network):
        with lesion(network, changes):
            damaged = network(images)
            assert damaged.shape == scores.shape and not torch.equal(damaged, scores), (key, kind)
    torch.testing.assert_close(network(images), scores)
    moments = Moments()
    watch(network, moments)
    network(images)
    assert len(moments.compute()) == 2 * len(blocks) > 0
    if halves := inspection.fully_convolutional(network):
        features, head = halves
        torch.testing.assert_close(head(features(images).mean((2, 3))), scores)


@pytest.mark.parametrize("name", NETWORKS)
def test_every_weight_gets_a_gradient_whatever_is_left_out(name: str) -> None:
    network = NETWORKS[name][0]()
    F.cross_entropy(network(torch.randn(4, 3, 16, 16)), torch.tensor([0, 1, 2, 3])).backward()
    assert [key for key, parameter in network.named_parameters() if parameter.grad is None] == []


# Against torchvision -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("theirs", "width", "groups"), [("resnext50_32x4d", 128, 32), ("wide_resnet50_2", 128, 1)])
@torch.no_grad()
def test_bottlenecks_with_groups_or_width_give_torchvision_scores(theirs: str, width: int, groups: int) -> None:
    def make(inside: int, outside: int, stride: int) -> Bottleneck:
        return Bottleneck(inside, outside, stride, "B", "3x3", width * outside // 256, groups)

    reference = randomise(getattr(torchvision.models, theirs)(num_classes=5))
    ours = ResNet("ours", 50, (3, 4, 6, 3), (256, 512, 1024, 2048), make, "B", 64, True, 5).eval()
    ours.load_state_dict(reference.state_dict(), strict=True)
    images = torch.randn(1, 3, 64, 64)
    torch.testing.assert_close(ours(images), reference(images), rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_densenet_behind_the_stem_gives_torchvision_scores() -> None:
    theirs = randomise(torchvision.models.DenseNet(4, (2, 2, 2), num_init_features=8, num_classes=5))
    ours = densenet(16, 4, bottleneck=True, num_classes=5).eval()
    weights = {}
    for key, value in theirs.state_dict().items():
        key = key.removeprefix("features.").replace("denseblock", "block").replace("norm5", "norm")
        for number in (1, 2):
            key = key.replace(f"denselayer{number}", str(number - 1))
        weights[key.replace("classifier", "fc")] = value
    weights = {key: value for key, value in weights.items() if key.partition(".")[0] not in ("conv0", "norm0")}
    ours.conv = nn.Identity()
    ours.load_state_dict(weights, strict=True)
    x = torch.randn(2, 8, 16, 16)
    maps = theirs.features[4:](x)
    torch.testing.assert_close(ours(x), theirs.classifier(maps.relu().mean((2, 3))))


@torch.no_grad()
def test_squeezenet_behind_the_stem_gives_torchvision_scores() -> None:
    theirs, ours = torchvision.models.squeezenet1_0(num_classes=5).eval(), squeezenet(num_classes=5).eval()
    ours.conv1 = nn.Identity()
    fires = [module for module in theirs.features if type(module).__name__ == "Fire"]
    for number, fire in enumerate(fires, start=2):
        ours.get_submodule(f"fire{number}").load_state_dict(fire.state_dict(), strict=True)
    ours.conv10.load_state_dict(theirs.classifier[1].state_dict())
    x = torch.rand(2, 96, 15, 15)
    torch.testing.assert_close(ours(x), theirs.classifier[1](theirs.features[3:](x)).mean((2, 3)))


# Against slow, obvious versions --------------------------------------------------------------------------------------


@pytest.mark.parametrize("arrangement", ARRANGEMENTS)
@torch.no_grad()
def test_an_arrangement_is_its_equation(arrangement: Any) -> None:
    unit = randomise(Unit(4, 4, 1, arrangement))
    conv1, conv2 = (module for module in unit.modules() if isinstance(module, nn.Conv2d))
    bn1, bn2 = (module for module in unit.modules() if isinstance(module, nn.BatchNorm2d))
    x = torch.randn(2, 4, 5, 5)
    expected = {
        "original": (x + bn2(conv2(bn1(conv1(x)).relu()))).relu(),
        "bn_after_addition": bn2(x + conv2(bn1(conv1(x)).relu())).relu(),
        "relu_before_addition": x + bn2(conv2(bn1(conv1(x)).relu())).relu(),
        "relu_only": x + bn2(conv2(bn1(conv1(x.relu())).relu())),
        "full": x + conv2(bn2(conv1(bn1(x).relu())).relu()),
    }
    torch.testing.assert_close(unit(x.clone()), expected[arrangement])


@torch.no_grad()
def test_a_projection_shares_the_full_pre_activation() -> None:
    unit = randomise(Unit(4, 8, 2, "full", "bottleneck"))
    x = torch.randn(2, 4, 6, 6)
    active = unit.before.bn1(x).relu()
    out = unit.residual.bn1(F.conv2d(active, unit.residual.conv1.weight, stride=2)).relu()
    out = unit.residual.bn2(F.conv2d(out, unit.residual.conv2.weight, padding=1)).relu()
    out = F.conv2d(out, unit.residual.conv3.weight) + F.conv2d(active, unit.carry.weight, stride=2)
    torch.testing.assert_close(unit(x), out)


@pytest.mark.parametrize("variant", ["scaled", "both_scaled", "exclusive_gate", "shortcut_gate", "dropout"])
@torch.no_grad()
def test_a_variant_of_the_shortcut_is_its_equation(variant: Any) -> None:
    unit = randomise(Unit(4, 8, 2, "original", variant=variant, project=False))
    x, change = torch.randn(2, 4, 6, 6), unit.residual
    carried = torch.cat((x[:, :, ::2, ::2], torch.zeros(2, 4, 3, 3)), dim=1)
    gate = unit.vary.gate
    opened = 1 / (1 + torch.exp(-gate(carried))) if gate else torch.zeros(())
    expected = {
        "scaled": change(x) + 0.5 * carried,
        "both_scaled": 0.5 * change(x) + 0.5 * carried,
        "exclusive_gate": opened * change(x) + (1 - opened) * carried,
        "shortcut_gate": change(x) + (1 - opened) * carried,
        "dropout": change(x) + carried,
    }
    torch.testing.assert_close(unit(x), expected[variant].relu())


def test_gates_start_where_they_are_told() -> None:
    gates = [
        m.vary.gate.bias
        for m in preactivation_resnet(8, "basic", variant="shortcut_gate").modules()
        if isinstance(m, Unit)
    ]
    assert all((bias == -6).all() for bias in gates)
    assert all((m.gate.bias == -3).all() for m in highway(gate_bias=-3.0).modules() if isinstance(m, HighwayLayer))


@torch.no_grad()
def test_a_highway_layer_is_its_equation() -> None:
    layer, x = HighwayLayer(4), torch.randn(2, 4, 5, 5)
    gate = 1 / (1 + torch.exp(-layer.gate(x)))
    torch.testing.assert_close(layer(x), gate * layer.conv(x).relu() + (1 - gate) * x)


@pytest.mark.parametrize("per", ["batch", "image"])
@torch.no_grad()
def test_stochastic_depth_is_tested_with_what_it_expects(per: Any) -> None:
    block = randomise(StochasticBlock(3, 6, 2, 0.7, per))
    block.after = nn.Identity()
    x = torch.randn(4, 3, 6, 6)
    expected = block(x)
    averaged = torch.cat((F.avg_pool2d(x, 2), torch.zeros(4, 3, 3, 3)), dim=1)
    torch.testing.assert_close(expected, averaged + 0.7 * block.residual(x))
    block.training = True  # the statistics stay
    draws = [block(x) for _ in range(2000)]
    torch.testing.assert_close(sum(draws) / len(draws), expected, atol=0.15, rtol=0)
    there = [[bool((image != plain).any()) for image, plain in zip(draw, averaged, strict=True)] for draw in draws]
    assert any(len(set(images)) > 1 for images in there) == (per == "image")


def test_a_block_that_is_left_out_learns_nothing_and_forgets_nothing() -> None:
    block = StochasticBlock(4, 4, 1, 1e-9, "batch").train()
    x = torch.randn(2, 4, 5, 5, requires_grad=True)
    out = block(x)
    out.sum().backward()
    assert torch.equal(out, x.relu()) and torch.equal(x.grad, (x > 0).float())
    assert all(not parameter.grad.any() for parameter in block.parameters())
    assert block.residual.bn1.num_batches_tracked == 0


def test_survival_decays_in_a_straight_line() -> None:
    with torch.device("meta"):
        network = stochastic_depth_resnet(110)
    rates = [module.survival for module in network.modules() if isinstance(module, StochasticBlock)]
    assert rates == pytest.approx([1 - block / 54 * 0.5 for block in range(1, 55)])
    assert sum(rates) == pytest.approx(40.25)


@torch.no_grad()
def test_a_fractal_is_its_expansion_and_drop_path_one_column_of_it() -> None:
    network = randomise(fractalnet(3, dropout=False))
    block = network.blocks.block1
    f3 = block.fractal
    f2, g2 = f3.first, f3.second

    def two(f: Fractal, x: Tensor) -> list[Tensor]:
        return [f.second.column(f.first.column(x)), f.column(x)]

    x = torch.randn(2, 3, 8, 8)
    inner = sum(two(f2, x)) / 2
    torch.testing.assert_close(block(x), (sum(two(g2, inner)) + f3.column(x)) / 3)
    columns = [
        g2.second.column(g2.first.column(f2.second.column(f2.first.column(x)))),
        g2.column(f2.column(x)),
        f3.column(x),
    ]
    for column, expected in enumerate(columns):
        for module in block.modules():
            if isinstance(module, Join):
                module.column, module.training = column, True
        torch.testing.assert_close(block(x), expected)


def test_local_drop_path_takes_the_mean_of_what_is_left() -> None:
    join, paths = Join(), [torch.tensor([1.0]), torch.tensor([10.0])]
    join.local = 0.4
    found = [join(paths).item() for _ in range(4000)]
    # Both; one of them; of none that is left, either.
    chances = {5.5: 0.36, 1.0: 0.24 + 0.08, 10.0: 0.24 + 0.08}
    assert {value: found.count(value) / 4000 for value in chances} == pytest.approx(chances, abs=0.03)
    assert join.eval()(paths).item() == 5.5


def test_a_batch_goes_through_one_column_or_is_dropped_locally() -> None:
    network, drawn = fractalnet(3), []
    joins = [module for module in network.modules() if isinstance(module, Join)]
    for _ in range(300):
        network.draw()
        [column] = {join.column for join in joins}
        drawn.append(column)
    shares = [drawn.count(column) / 300 for column in (None, 0, 1, 2)]
    assert shares == pytest.approx([1 / 2, 1 / 6, 1 / 6, 1 / 6], abs=0.08)


@torch.no_grad()
def test_maxout_takes_the_largest_of_its_pieces() -> None:
    block = next(m for m in randomise(cifar_resnet(8, maxout=2)).modules() if hasattr(m, "between"))
    x = torch.randn(2, 16, 5, 5)
    both = block.bn1(block.conv1(x))
    expected = (x + block.bn2(block.conv2(torch.maximum(both[:, :16], both[:, 16:])))).relu()
    torch.testing.assert_close(block(x), expected)


@pytest.mark.parametrize("make", NARROW[:-1])  # inside, a ResNeXt has widths of its own
def test_narrow_divides_all_widths(make: Callable[..., nn.Module]) -> None:
    with torch.device("meta"):
        whole, half = (torch.nn.Sequential(make(narrow=narrow)) for narrow in (1, 2))
    pairs = list(zip(whole.modules(), half.modules(), strict=True))
    widths = [(one.weight.shape[0], other.weight.shape[0]) for one, other in pairs if isinstance(one, nn.Conv2d)]
    assert {(one, other) for one, other in widths if one != 2 * other} <= {(10, 10)}
    assert inspection.name(half[0]) == inspection.name(whole[0]) + ", half as wide"


# Bad input -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: preactivation_resnet(165), "depth 165: .* 9n\\+2 layers, such as 29, 110, 164"),
        (lambda: preactivation_resnet(111, "basic"), "depth 111: .* 6n\\+2 layers"),
        (lambda: preactivation_resnet(2), "depth 2"),
        (lambda: preactivation_resnet(164, "wide"), "block 'wide': expected basic, bottleneck"),
        (lambda: preactivation_resnet(164, arrangement="none"), "arrangement 'none': expected original, "),
        (lambda: preactivation_resnet(164, variant="gate"), "variant 'gate': expected identity, "),
        (lambda: preactivation_imagenet(199), "depth 199: expected 50, 101, 152, 200"),
        (lambda: wide_resnet(29, 10), "depth 29: .* 6N\\+4 layers, such as 16, 28 or 40"),
        (lambda: wide_resnet(28, 0), "width 0"),
        (lambda: wide_resnet(28, 1, 1.0), "dropout 1.0: expected a probability"),
        (lambda: resnext(30), "depth 30: .* 9n\\+2"),
        (lambda: resnext(29, 0), "cardinality 0"),
        (lambda: resnext(29, 8, -1), "width -1"),
        (lambda: imagenet_resnext(50, "8x64d"), "depth 50, paths 8x64d: expected one of 50 32x4d"),
        (lambda: stochastic_depth_resnet(111), "depth 111"),
        (lambda: stochastic_depth_resnet(110, 0.0), "survival 0.0: .* above 0 and at most 1"),
        (lambda: stochastic_depth_resnet(110, 1.5), "survival 1.5"),
        (lambda: stochastic_depth_resnet(110, per="pixel"), "per 'pixel': expected batch or image"),
        (lambda: densenet(41), "depth 41: a DenseNet has 3N\\+4"),
        (lambda: densenet(43, bottleneck=True), "depth 43: a DenseNet-BC has 6N\\+4"),
        (lambda: densenet(40, 0), "growth 0"),
        (lambda: densenet(40, dropout=-0.1), "dropout -0.1"),
        (lambda: imagenet_densenet(120), "depth 120: expected 121, 169, 201"),
        (lambda: fractalnet(0), "columns 0"),
        (lambda: fractalnet(3, 1.0), "drop_path 1.0"),
        (lambda: squeezenet("double"), "bypass 'double': expected none, simple or complex"),
        (lambda: network_in_network(2), "dropout 2"),
        (lambda: cifar_resnet(1202, dropout=1), "dropout 1"),
        (lambda: cifar_resnet(1202, maxout=0), "maxout 0"),
        *((lambda make=make: make(narrow=3), "narrow 3: .* 1, 2, 4 or 8") for make in NARROW),
    ],
)
def test_bad_networks(make: Callable[[], Any], said: str) -> None:
    with pytest.raises(BadInput, match=f"^{said}"):
        make()


@torch.no_grad()
def test_imagenet_forms_say_what_they_are() -> None:
    with torch.device("meta"):
        made = [imagenet_resnext(101, "64x4d"), imagenet_wide_resnet50(), imagenet_densenet(201)]
        made += [imagenet_squeezenet(), preactivation_imagenet()]
        counts = {network.name: sum(p.numel() for p in network.parameters()) for network in made}
        assert preactivation_imagenet()(torch.empty(1, 3, 224, 224)).shape == (1, 1000)
    assert counts == {
        "ResNeXt-101 64x4d": 83_455_272,
        "WRN-50-2-bottleneck": 68_883_240,
        "DenseNet-201": 20_013_928,
        "SqueezeNet 1.0": 1_248_424,  # 1.24M
        "pre-activation-200": 64_666_152,  # 64.7M, in table 8 of wide residual networks
    }
