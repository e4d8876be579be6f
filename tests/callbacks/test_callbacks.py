"""Layer responses, gradient flow and lesions, against slow versions and by hand; what their reports say."""

import csv
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import PAPER, QUICK, fit, weights
from made_up_runs import row, write_run
from torch import Tensor, nn
from torch.nn import functional as F

from resnet_lightning.callbacks.responses import Moments
from resnet_lightning.cli import main
from resnet_lightning.evaluation.lesions import lesion, lesions, watch
from resnet_lightning.networks import ResNet, cifar_resnet, imagenet_resnet, vgg16
from resnet_lightning.networks.inspection import blocks, layers
from resnet_lightning.networks.mlp import SigmoidMLP
from resnet_lightning.runs.command_line import prepare
from resnet_lightning.runs.metrics_file import read_metrics
from resnet_lightning.runs.reading import load_runs
from resnet_lightning.studies.figure7 import draw as figure7
from resnet_lightning.studies.figure7 import order_sentence
from resnet_lightning.studies.figure7 import tables as figure7_table
from resnet_lightning.studies.gradients import draw_heat as gradient_heat
from resnet_lightning.studies.gradients import draw_lines as gradient_lines
from resnet_lightning.studies.gradients import tables as gradient_table
from resnet_lightning.studies.gradients import verdict
from resnet_lightning.studies.lesions import draw as lesion_figure
from resnet_lightning.studies.lesions import tables as lesion_table
from resnet_lightning.studies.vanishing import gradient_norms, ratio

ALL = [f"cifar10/{family}{depth}" for family in ("figure6/plain", "table6/resnet") for depth in (20, 56, 110)]


def numbers(path: str | Path) -> dict[int, list[float]]:
    return {iteration: [float(cell) for cell in row.values()] for iteration, row in read_metrics(Path(path)).items()}


# Layers -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("batch_norm", [True, False])
def test_layers_are_the_papers_in_their_order(batch_norm: bool) -> None:
    for depth, counts in PAPER["counts_cifar"]["nets"].items():
        if depth > 110:
            continue
        with torch.device("meta"):
            network = cifar_resnet(depth, "C", batch_norm=batch_norm)
        found = layers(network)
        names = [f"layer{s}.{b}.conv{c}" for s in (1, 2, 3) for b in range(counts["n"]) for c in (1, 2)]
        assert list(found) == ["conv1", *names] and len(found) == counts["conv_layers"]
        assert found[names[3]].response is network.layer1[1].bn2  # nothing's output, where there is no normalisation


def test_layers_of_other_networks() -> None:
    with torch.device("meta"):
        assert len(layers(vgg16(10))) == 13
        for depth in (34, 50):
            counts = PAPER["counts_imagenet"]["resnet"][depth]["B"]
            assert len(layers(imagenet_resnet(depth, "B"))) == counts.get("conv_layers", 33)


def test_a_network_without_batch_normalisation_has_biases_instead() -> None:
    counts = PAPER["counts_cifar"]["nets"][20]
    with torch.device("meta"):
        network = cifar_resnet(20, "A", batch_norm=False)
    biases = 7 * 16 + 6 * 32 + 6 * 64
    assert sum(p.numel() for p in network.parameters()) == counts["params_without_bn"] + biases
    assert network.name == "ResNet-20 without BN"
    assert not any(isinstance(module, nn.BatchNorm2d) for module in network.modules())


# Responses and gradients --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of 12 iterations in float32, looked at every 4 (gradients) and 6 (responses)."""
    place = tmp_path_factory.mktemp("watched")
    (place / "experiments").symlink_to(Path(__file__).parents[2] / "experiments")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WANDB_MODE", "disabled")
        patch.chdir(place)
        fit(*PRECISE, "--trainer.max_steps=12", "--trainer.val_check_interval=6", "--run=r", "--checkpoint_every=6")
    return place


CALLBACKS = [
    {"class_path": "resnet_lightning.callbacks.LayerResponses"},
    {"class_path": "resnet_lightning.callbacks.GradientFlow", "init_args": {"every": 4}},
]
PRECISE = ("--trainer.precision=32-true", f"--trainer.callbacks={json.dumps(CALLBACKS)}")


@torch.no_grad()
def test_responses_are_the_standard_deviations_over_the_test_set(
    watched: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(watched)
    built = prepare(QUICK)
    state = weights("r", 12)
    network = built.model.network.eval()
    network.load_state_dict(
        {name.removeprefix("network."): value for name, value in state.items() if "network." in name}
    )
    built.data.setup("test")
    x = torch.cat([images for images, _, _ in built.data.test_dataloader()])
    expected = []
    x = network.bn1(network.conv1(x))
    expected.append(x.std(correction=0))
    x = x.relu()
    for stage in (network.layer1, network.layer2, network.layer3):
        for block in stage:
            inner = block.bn1(block.conv1(x))
            outer = block.bn2(block.conv2(inner.relu()))
            expected += [inner.std(correction=0), outer.std(correction=0)]
            x = (outer + block.downsample(x)).relu()
    found = numbers("r/responses.csv")
    assert list(found) == [6, 12]
    assert found[12] == pytest.approx([float(value) for value in expected], rel=1e-4)
    curve = read_metrics(Path("r/metrics.csv"))[12]
    assert float(curve["response/median"]) == pytest.approx(float(np.median(expected)), rel=1e-4)


def test_gradients_are_those_of_the_batch_that_is_learned_from(watched: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(watched)
    built = prepare(QUICK)  # the same seed, so the same initialisation
    built.data.setup("fit")
    images, labels = next(iter(built.data.train_dataloader()))
    F.cross_entropy(built.model.network.train()(images), labels).backward()
    expected = [float(m.weight.grad.norm()) for m in built.model.network.modules() if isinstance(m, nn.Conv2d)]
    found = numbers("r/gradients.csv")
    assert list(found) == [0, 4, 8]
    assert found[0] == pytest.approx(expected, rel=1e-4)
    first = read_metrics(Path("r/metrics.csv"))[0]
    assert float(first["gradient/first_to_last"]) == pytest.approx(expected[0] / expected[-1], rel=1e-4)


def test_a_test_of_a_checkpoint_adds_its_responses_and_nothing_else(
    watched: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(watched)
    path = Path("r/responses.csv")
    before, rows = path.read_text(), numbers(path)
    arguments = ["test", "--config=r/config.yaml", "--ckpt_path=r/checkpoints/iteration=6.ckpt"]
    main(arguments)
    assert path.read_text() == before
    with path.open() as file:
        header, _, last = csv.reader(file)
    path.write_text("\n".join(map(",".join, (header, last))) + "\n")
    main(arguments)
    assert numbers(path)[12] == rows[12] and numbers(path)[6] == pytest.approx(rows[6], rel=1e-4)
    path.write_text(before)


def test_moments_of_large_and_distant_numbers() -> None:
    values = [torch.randn(40_000, dtype=torch.float64) * 3 + 50, torch.randn(10, dtype=torch.float64) - 7]
    moments = Moments()
    for part in values:
        moments.add("x", part.to(torch.float32))
    [(deviation, square)] = moments.compute().values()
    together = torch.cat(values)
    assert deviation == pytest.approx(float(together.std(correction=0)), rel=1e-3)
    assert square == pytest.approx(float(together.square().mean().sqrt()), rel=1e-5)


# Lesions ------------------------------------------------------------------------------------------------------------


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
    torch.manual_seed(0)
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
    watched: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(watched)
    arguments = ["lesions", "--config=r/config.yaml", "--ckpt_path=r/checkpoints/iteration=12.ckpt"]
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


def test_lesions_need_blocks_and_a_checkpoint(watched: Path, monkeypatch: pytest.MonkeyPatch, refused: Any) -> None:
    monkeypatch.chdir(watched)
    assert "--ckpt_path" in refused("lesions", "--config=r/config.yaml")
    settings = ["--config=experiments/digits/base.yaml", "--ckpt_path=r/checkpoints/iteration=12.ckpt"]
    # It has the same weights.
    assert "ResNet-8, not the configured plain-8" in refused(
        "lesions", "--config=r/config.yaml", settings[1], "--model.network.shortcut=none"
    )
    assert "SqueezeNet" in refused("lesions", *settings, "--model.network=torchvision.models.SqueezeNet")


# The textbook's case ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("skip", [False, True])
def test_three_layers_by_hand(skip: bool) -> None:
    network = SigmoidMLP(3, 1, 1, skip).double()
    x, weight = 0.7, (1.5, -0.8, 2.0)
    for layer, value in zip((*network.hidden, network.last), weight, strict=True):
        nn.init.constant_(layer.weight, value)
    sigmoid = lambda z: 1 / (1 + math.exp(-z))  # noqa: E731
    s1 = sigmoid(1.5 * x)
    h1 = s1 + skip * x
    s2 = sigmoid(-0.8 * h1)
    h2 = s2 + skip * h1
    d2, d1 = s2 * (1 - s2), s1 * (1 - s1)
    by_second = 2.0 * d2 * h1
    by_first = 2.0 * (d2 * -0.8 + skip) * d1 * x
    found = gradient_norms(network, network(torch.tensor([[x]], dtype=torch.float64)).sum())
    assert found == pytest.approx([abs(by_first), abs(by_second), h2])


def test_skip_connections_keep_gradients_of_deep_sigmoid_networks_alive() -> None:
    assert ratio(20, False) < 1e-9 < 1e-3 < ratio(20, True)


# Reports ------------------------------------------------------------------------------------------------------------


def write_layers(folder: Path, file: str, rows: dict[int, list[float]]) -> None:
    names = [f"conv{number}" for number in range(len(next(iter(rows.values()))))]
    lines = [",".join(map(str, (iteration, *values))) for iteration, values in rows.items()]
    (folder / file).write_text("\n".join([",".join(["iteration", *names]), *lines]) + "\n")


def test_figure_7_compares_medians_and_says_whether_the_order_holds(tmp_path: Path) -> None:
    for network, last in {
        "plain-20": [2.5, 1.5, 2.0],
        "ResNet-20": [3.0, 1.0, 1.5],
        "ResNet-56": [3, 0.9, 1.2],
    }.items():
        for seed in (0, 1):
            folder = write_run(tmp_path, network, seed=seed)
            write_layers(folder, "responses.csv", {32_000: [1, 1, 1], 64_000: [value + seed for value in last]})
    write_run(tmp_path, "plain-56")  # made before responses were recorded
    runs = load_runs(ALL, tmp_path)
    [table] = figure7_table(runs)
    cells = row(table, "ResNet-20")
    assert (cells["Measured median"], cells["Published median"], cells["First layer"]) == ("2.00", "≈ 1.55", "3.50")
    assert row(table, "plain-56")["Measured median"] == row(table, "ResNet-110")["Measured median"] == "–"
    assert "less than plain networks (2.00 beside 2.50 at 20 layers)" in table.notes[0]
    assert "deeper ResNets respond less (2.00 at 20, 1.70 at 56)" in table.notes[0]
    assert (figure := figure7(runs)) and len(figure.axes[0].lines) == 3
    assert figure7([run for run in runs if run.network == "plain-56"]) is None


def test_what_is_cut_off_is_left_out_and_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write_run(tmp_path, "ResNet-20")
    for file in ("responses.csv", "gradients.csv"):
        write_layers(folder, file, {0: [1, 2, 3], 64_000: [1, 2, 30]})
        (folder / file).write_text((folder / file).read_text()[:-3])
    (folder / "lesions.json").write_text('{"complete": true, "error": 9.0, "blocks": {}}')
    runs = load_runs(ALL, tmp_path)
    assert row(figure7_table(runs)[0], "ResNet-20")["Measured median"] == "–"
    assert gradient_table(runs) == [] and lesion_table(runs) == []
    assert not any(draw(runs) for draw in (figure7, gradient_lines, gradient_heat, lesion_figure))
    said = capsys.readouterr().err.splitlines()
    assert [line.split("ResNet-20")[0].split("/")[-1].split(" ")[0] for line in said] == [
        *("responses.csv", "gradients.csv", "lesions.json")
    ]


def test_an_order_that_does_not_hold_is_said() -> None:
    said = order_sentence({"plain-20": 1.0, "plain-56": 2.0, "ResNet-20": 1.5, "ResNet-56": 1.6})
    assert "in some cases only" in said and "deeper ResNets respond not less" in said
    assert order_sentence({"plain-20": 1.0}) == ""


def test_gradients_at_initialisation_decide_what_is_said(tmp_path: Path) -> None:
    for network, first in {"plain-20": 4.0, "plain-56": 4000.0, "ResNet-20": 2.0, "ResNet-56": 8.0}.items():
        write_layers(write_run(tmp_path, network), "gradients.csv", {0: [first, 1, 2.0], 64_000: [0.5, 1, 1.0]})
    folder = write_run(tmp_path, "ResNet-110", state="diverged")
    write_layers(folder, "gradients.csv", {0: [1e30, math.inf, math.nan]})
    runs = load_runs(ALL, tmp_path)
    [table] = gradient_table(runs)
    cells = row(table, "plain-56")
    assert (cells["First / last at 0"], cells["First / last later"], cells["Largest first / last"]) == (
        "2e+03",
        "0.5",
        "2e+03",
    )
    assert row(table, "ResNet-110")["Ended"] == "diverged at 40,000"
    assert "no gradient of a plain network vanishes" in table.notes[0]
    assert "that of plain-56 explodes instead, and shortcuts bring 2e+03 down to 4" in table.notes[0]
    assert (lines := gradient_lines(runs)) and len(lines.axes) == 2
    assert (heat := gradient_heat(runs)) and len(heat.axes) == 7  # 2 × 3 panels and the scale
    assert verdict({"plain-20": math.nan}, {}) == []
    [said] = verdict({"plain-20": 1.0, "plain-56": 900.0}, {"plain-20": 0.5, "plain-56": 1e-4})
    assert "the gradient of plain-56 vanishes" in said and "plain-20 keeps it" in said
    assert verdict({}, {}) == []


def test_lesions_are_averaged_over_seeds(tmp_path: Path) -> None:
    for network, errors in {"plain-20": (60.0, 90.0), "ResNet-20": (10.0, 12.0), "ResNet-56": (9.2, 9.1)}.items():
        for seed in (0, 1):
            found = {
                f"layer1.{place}": {"size": 0.5 * len(network) / 8 + seed * 0.1, "deleted": error + seed}
                for place, error in enumerate(errors)
            }
            found["layer1.0"]["swapped"] = 20.0 + seed
            contents = {"complete": True, "error": 9.0, "blocks": found}
            (write_run(tmp_path, network, seed=seed) / "lesions.json").write_text(json.dumps(contents))
    runs = load_runs(ALL, tmp_path)
    [table] = lesion_table(runs)
    cells = row(table, "ResNet-20")
    assert (cells["Block deleted: median %"], cells["worst %"], cells["within 5 points"]) == (
        "11.50",
        "12.50",
        "2 of 2",
    )
    assert cells["Neighbours swapped: median %"] == "20.50"
    assert row(table, "plain-20")["within 5 points"] == "0 of 2"
    assert (figure := lesion_figure(runs)) and len(figure.axes) == 4


def test_a_study_of_lesions_trains_and_then_looks(
    workplace: Path, png_folders: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    settings = "model: {network: {init_args: {depth: 8}}}\n"
    Path("tiny.yaml").write_text(f"data: {{init_args: {{image_size: 8, padding: 1}}}}\n{settings}")
    only = ["--only", "resnet20", "plain20", "--jobs=2"]
    main(["study", "lesions", f"--data={png_folders}", "--steps=2", "--with=tiny.yaml", *only])
    printed = capfd.readouterr().out
    assert "ResNet-8" in printed and "plain-8" in printed and Path("reports/lesions.html").exists()
    [found] = [json.loads(path.read_text()) for path in Path("runs").rglob("table6/*/seed0/lesions.json")]
    assert found["complete"] and found["data"] == "CIFAR-10 at 8×8, only 260 + 50 images"
