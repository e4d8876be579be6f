"""What the tests share: a workplace with the experiments in it, small image folders, and quick runs on the digits."""

import json
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from processes import kill_forked

import resnet_lightning
from resnet_lightning.cli import main
from resnet_lightning.data import class_folders as folders
from resnet_lightning.runs.metrics_file import read_metrics

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
# The demo with networks of that size, in four iterations; needs the fixture `tiny`.
DEMO = ("study", "demo", "--steps=4", "--with=tiny.yaml", "--only", "resnet20", "plain20")
TINY = "data: {init_args: {image_size: 8, padding: 1}}\nmodel: {network: {init_args: {depth: 8}}}\n"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Studies come first, since they take longest: at the end a worker would be alone with them."""
    items.sort(key=lambda item: "studies" not in item.path.parts)


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """Networks this small gain nothing from threads, and lose much where other tests run beside them."""
    os.environ["OMP_NUM_THREADS"] = "1"  # of the processes that tests start
    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def same_numbers() -> None:
    """Random weights and images are the same in every run, so that no test fails in one of a hundred."""
    torch.manual_seed(0)


@pytest.fixture(scope="session", autouse=True)
def signals_arrive() -> None:
    """In the background of a shell, or under nohup, these are ignored, also by the processes that tests start."""
    for number, handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
        if signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, handler)


@pytest.fixture(autouse=True)
def no_tracker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "disabled")


@pytest.fixture(autouse=True)
def no_orphans() -> Iterator[None]:
    yield
    kill_forked()


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder with the experiments in it."""
    (tmp_path / "experiments").symlink_to(REPOSITORY / "experiments")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def tiny(workplace: Path) -> Path:
    """A workplace with tiny.yaml, which makes the networks of studies small."""
    (workplace / "tiny.yaml").write_text(TINY, encoding="utf-8")
    return workplace


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished run of 22 iterations, in a workplace of its own; read only."""
    with lasting_workplace(tmp_path_factory, "finished") as place:
        fit("--trainer.max_steps=22", "--run=a run")
    return place / "a run"


@contextmanager
def lasting_workplace(factory: pytest.TempPathFactory, name: str) -> Iterator[Path]:
    """A workplace for the runs of a fixture that several tests read; within, it is the working folder."""
    place = factory.mktemp(name)
    (place / "experiments").symlink_to(REPOSITORY / "experiments")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WANDB_MODE", "disabled")
        patch.chdir(place)
        yield place


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


def result(folder: str | Path) -> dict[str, Any]:
    contents: dict[str, Any] = json.loads((Path(folder) / "result.json").read_text())
    return contents


def rows(folder: str | Path, name: str = "metrics.csv") -> dict[int, dict[str, str]]:
    """metrics.csv but for the speed, the one thing that is never the same twice, or another such file."""
    path = Path(folder) / name
    return {
        iteration: {name: cell for name, cell in row.items() if name != "images_per_second"}
        for iteration, row in read_metrics(path).items()
    }


def weights(folder: str | Path, iteration: int) -> dict[str, torch.Tensor]:
    path = Path(folder) / "checkpoints" / f"iteration={iteration}.ckpt"
    state: dict[str, torch.Tensor] = torch.load(path, weights_only=True)["state_dict"]
    return state


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    """Bit for bit."""
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)
