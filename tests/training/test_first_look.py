"""Data modules, networks and steps of the reader's own: as docs/extending.md shows them, or refused in one line."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import QUICK, REPOSITORY, result, same, weights

from resnet_lightning import load_run
from resnet_lightning.cli import main
from resnet_lightning.runs.command_line import prepare

DOCS = (REPOSITORY / "docs" / "extending.md").read_text(encoding="utf-8")
NETWORKS = '''
from torch import nn


class Lazy(nn.Sequential):
    def __init__(self):
        body = nn.LazyConv2d(8, 3), nn.LazyBatchNorm2d(), nn.ReLU(), nn.Flatten(), nn.Dropout(), nn.LazyLinear(10)
        super().__init__(*body)


class Dropping(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Flatten(), nn.Linear(192, 32), nn.ReLU(), nn.Dropout(), nn.Linear(32, 10))


class Twice(Lazy):
    """Gives an auxiliary answer while it trains."""

    def forward(self, images):
        scores = super().forward(images)
        return (scores, -scores) if self.training else scores


class Named(Lazy):
    def forward(self, images):
        return {"logits": super().forward(images)}


class Maps(nn.Conv2d):
    def __init__(self):
        super().__init__(3, 10, 3)


class Grey(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Conv2d(1, 8, 3), nn.Flatten(), nn.LazyLinear(10))


class Few(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Flatten(), nn.LazyLinear(5))
'''
SHORT = ("--trainer.max_steps=30", "--trainer.val_check_interval=15", "--checkpoint_every=5")


@pytest.fixture
def mine(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(str(workplace))
    Path("mynet.py").write_text(NETWORKS, encoding="utf-8")
    return workplace


def recipe(title: str, file: str) -> list[list[str]]:
    """Writes the code below a title of the document; the commands."""
    section = DOCS.partition(f"## {title}\n")[2].partition("\n## ")[0]
    [code] = re.findall(r"```python\n(.*?)```", section, re.S)
    [commands] = re.findall(r"```sh\n(.*?)```", section, re.S)
    Path(file).write_text(code, encoding="utf-8")
    return [line.split()[1:] for line in commands.replace("\\\n", "").replace("=300", "=30").splitlines()]


def test_a_data_module_of_the_readers_own_goes_on_exactly(mine: Path) -> None:
    """Augmented by chance, with dropout, from the middle of an epoch."""
    fit, test, predict = recipe("A data module of your own", "digits_own.py")
    options = [*fit[:-1], "--model.network=mynet.Dropping", "--data.batch_size=140", *SHORT]
    main([*options, fit[-1]])
    whole = result("runs/own")
    assert (whole["data"], whole["train_images"], whole["test_images"], whole["batch_size"]) == ("DM", 1400, 397, 140)
    shutil.copytree("runs/own", "again25")
    for file in ("result.json", "checkpoints/iteration=30.ckpt"):
        Path("again25", file).unlink()
    main([*options, "--run=again25"])
    assert same(weights("again25", 30), weights("runs/own", 30))
    assert result("again25")["train_error"] == whole["train_error"]
    main(test)
    main(predict)
    assert Path("runs/own/test-center.json").exists() and Path("runs/own/predictions-center.npy").exists()
    assert load_run("runs/own").network.training is False


def test_a_training_step_of_the_readers_own(mine: Path) -> None:
    [fit] = recipe("A training step of your own", "auxiliary.py")
    main([*fit, *SHORT])
    assert result("runs/auxiliary")["network"] == "Two"
    run = prepare(["--config=runs/auxiliary/config.yaml"])
    assert type(run.model).__name__ == "Auxiliary" and run.model.weight == 0.5


@pytest.mark.parametrize(
    ("option", "named"),
    [
        ("--model.network=mynet.Twice", "a tuple: expected class scores"),
        ("--model.network=mynet.Named", "a dict: expected class scores"),
        ("--model.network=mynet.Maps", "[2, 10, 6, 6]: expected class scores"),
        ("--model.network=mynet.Grey", "expected input[2, 3, 8, 8] to have 1 channels"),
        ("--model.network=mynet.Few", "scores of 5 classes, and the data has 10"),
        ("--model.optimizer=torch.optim.SparseAdam", "dense gradients"),
        ("--model.optimizer=torch.optim.LBFGS", "--model.channels_last=false"),
        ("--trainer.accelerator=tpu", "torch_xla"),
        ("--trainer.strategy=ddp_spawn", "use ddp"),
        ("--trainer.callbacks+=BatchSizeFinder", "BatchSizeFinder"),
        ("--trainer.precision=8", "--trainer.precision 8: expected 64, 32"),
        ("--trainer.logger=TensorBoardLogger", "it needs --trainer.logger.save_dir"),
    ],
)
def test_what_cannot_be_trained_is_refused_before(
    mine: Path, refused: Callable[..., str], option: str, named: str
) -> None:
    assert named in refused("fit", *QUICK, option, "--run=r")
    assert not Path("r").exists()


def test_an_optimizer_that_needs_a_closure(mine: Path) -> None:
    main(
        [
            "fit",
            *QUICK,
            "--model.optimizer=torch.optim.LBFGS",
            "--model.channels_last=false",
            "--run=r",
            "--trainer.max_steps=2",
            "--trainer.num_sanity_val_steps=1",
        ]
    )
    assert result("r")["iteration"] == 2
