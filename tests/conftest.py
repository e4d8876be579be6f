"""What the tests share: a workplace with the experiments in it, small image folders, and quick runs on the digits."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

import resnet_lightning
from resnet_lightning.cli import main
from resnet_lightning.data import class_folders as folders

REPOSITORY = Path(__file__).parents[1]
PAPER: dict[str, Any] = yaml.safe_load((Path(resnet_lightning.__file__).parent / "paper.yaml").read_text())
CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
# A run of 8 layers on 8×8 digits: 11 batches of 128 an epoch, about 20 ms each.
QUICK = (
    "--config=experiments/digits/base.yaml",
    "--config=experiments/digits/resnet20.yaml",
    "--model.network.depth=8",
    "--data.image_size=8",
    "--data.padding=1",
)


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """Networks this small gain nothing from threads, and lose much where other tests run beside them."""
    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def no_tracker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "disabled")


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder with the experiments in it."""
    (tmp_path / "experiments").symlink_to(REPOSITORY / "experiments")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of a finished run of 22 iterations, in a workplace of its own; read only."""
    place = tmp_path_factory.mktemp("finished")
    (place / "experiments").symlink_to(REPOSITORY / "experiments")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WANDB_MODE", "disabled")
        patch.chdir(place)
        fit("--trainer.max_steps=22", "--run=a run")
    yield place / "a run"


@pytest.fixture(params=["png", "jpg"])
def class_folders(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    return write_class_folders(tmp_path / "cifar", request.param)


@pytest.fixture
def png_folders(tmp_path: Path) -> Path:
    return write_class_folders(tmp_path / "cifar", "png")


def write_class_folders(root: Path, suffix: str, train: int = 26, test: int = 5) -> Path:
    """Ten class folders of random 32×32 images, different everywhere."""
    random = np.random.default_rng(0)
    for part, count in (("train", train), ("test", test)):
        for name in CLASSES:
            folder = root / part / name
            folder.mkdir(parents=True)
            for number, pixels in enumerate(random.integers(0, 256, (count, 32, 32, 3), dtype=np.uint8)):
                Image.fromarray(pixels).save(folder / f"{number:04}.{suffix}")
    return root


@pytest.fixture
def refused(capfd: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Carries out a command line that must be refused; the line that says why."""

    def refused(*arguments: str) -> str:
        folders.class_folders.cache_clear()
        with pytest.raises(SystemExit) as exit:
            main(arguments)
        lines = capfd.readouterr().err.splitlines()
        assert (exit.value.code, len(lines)) == (2, 1), "\n".join(lines)
        return lines[0]

    return refused


def fit(*options: str) -> None:
    """A quick run in this process."""
    main(["fit", *QUICK, *options])


def start(*arguments: str) -> "subprocess.Popen[str]":
    """The command line as a process of its own; what it prints goes to output.txt."""
    command = [sys.executable, "-m", "resnet_lightning", *arguments]
    surroundings = os.environ | {"OMP_NUM_THREADS": "1"}
    with open("output.txt", "a") as output:
        return subprocess.Popen(command, env=surroundings, stdout=output, stderr=output, text=True)


def run(*arguments: str) -> str:
    """Runs the command line as a process of its own to its end; what it printed."""
    process = start(*arguments)
    status, output = process.wait(timeout=120), Path("output.txt").read_text()
    assert status == 0, output
    return output


def result(folder: str | Path) -> dict[str, Any]:
    contents: dict[str, Any] = json.loads((Path(folder) / "result.json").read_text())
    return contents


def weights(folder: str | Path, iteration: int) -> dict[str, torch.Tensor]:
    path = Path(folder) / "checkpoints" / f"iteration={iteration}.ckpt"
    state: dict[str, torch.Tensor] = torch.load(path, weights_only=True)["state_dict"]
    return state


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    """Bit for bit."""
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)
