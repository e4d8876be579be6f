"""Layer responses and gradient flow of a run, against slow versions."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import QUICK, fit, weights
from torch import nn
from torch.nn import functional as F

from resnet_lightning.callbacks.responses import Moments
from resnet_lightning.cli import main
from resnet_lightning.runs.command_line import prepare
from resnet_lightning.runs.metrics_file import read_metrics


def numbers(path: str | Path) -> dict[int, list[float]]:
    return {iteration: [float(cell) for cell in row.values()] for iteration, row in read_metrics(Path(path)).items()}


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
