"""What the experiment is: what a run's name and hash say, and which runs are the shipped experiments."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import QUICK, REPOSITORY, fit

from resnet_lightning.runs.command_line import is_as_shipped, prepare
from resnet_lightning.runs.experiments import as_shipped, is_shipped
from resnet_lightning.runs.folder import LONGEST, run_folder
from resnet_lightning.runs.identity import configuration_hash, first_difference
from resnet_lightning.runs.naming import describe

KEPT = sorted((REPOSITORY / "results").rglob("result.json"))
RESNET20 = REPOSITORY / "results/cifar10/table6/resnet20/seed0/config.yaml"
ZERO = """
from lightning import Callback

class ZeroGradients(Callback):
    def on_before_optimizer_step(self, trainer, pl_module, optimizer):
        for parameter in pl_module.parameters():
            parameter.grad.zero_()
"""
ADD = "--trainer.callbacks+="


def with_settings(**changes: Any) -> str:
    """ResNet-20's configuration with other settings, named by their dotted names with __ for the dots."""
    config = yaml.safe_load(RESNET20.read_text(encoding="utf-8"))
    for name, value in changes.items():
        *parts, last = name.split("__")
        settings = config
        for part in parts:
            settings = settings[part]
        settings[last] = value
    return yaml.safe_dump(config)


@pytest.mark.parametrize(
    ("options", "changes"),
    [
        ([f"{ADD}mine.ZeroGradients"], ["callbacks=ZeroGradients"]),
        (
            [
                f"{ADD}EarlyStopping",
                "--trainer.callbacks.monitor=val/error",
                "--trainer.callbacks.init_args.patience=3",
            ],
            ["callbacks=EarlyStopping-monitor=val_error-patience=3"],
        ),
        (
            ['--trainer.callbacks=[{"class_path": "a.Stop", "init_args": {"x": "a b"}}, "LearningRateMonitor"]'],
            ["callbacks=Stop-x=a_b"],
        ),
        ([f"{ADD}LearningRateMonitor", "--trainer.callbacks.logging_interval=step"], []),
        ([f"{ADD}mine.LearningRateMonitor"], ["callbacks=LearningRateMonitor"]),
        ([f"{ADD}Timer"], []),
        ([f"{ADD}Timer", "--trainer.callbacks.duration=00:01:00:00"], ["callbacks=Timer-duration=00_01_00_00"]),
        (["--trainer.callbacks.every=10"], []),  # of the last callback that base.yaml names
        (["--trainer.callbacks=null"], []),
        (["--config=stop.yaml"], ["stop"]),
        (["--config=stop.yaml", "--trainer.callbacks=null"], ["callbacks=none", "stop"]),
        (["--config=stop.yaml", f"{ADD}Z"], ["callbacks=Stop+Z", "stop"]),
        # Stop may act on what is evaluated, so how often that is becomes part of the experiment.
        (["--config=stop.yaml", "--trainer.val_check_interval=5"], ["val_check_interval=5", "stop"]),
        (["--trainer.logger=CSVLogger", "--trainer.logger.save_dir=x"], []),
        (["--trainer.strategy=ddp"], []),
        (["--trainer.strategy=fsdp", "--trainer.gradient_clip_val=1"], ["gradient_clip_val=1", "strategy=fsdp"]),
        (["--trainer.plugins+=A", "--trainer.plugins+=B"], ["plugins+=A+B"]),
    ],
)
def test_a_name_says_what_may_change_the_training(workplace: Path, options: list[str], changes: list[str]) -> None:
    Path("stop.yaml").write_text("trainer: {callbacks+: [{class_path: mine.Stop}]}")
    Path("base.yaml").write_text("trainer: {callbacks: [{class_path: resnet_lightning.callbacks.GradientFlow}]}")
    assert describe(["--config=base.yaml", "--config=a.yaml", *options]) == ("a", changes)


def test_a_name_fits_into_a_file_system() -> None:
    one, other = (run_folder("cifar10/a", [f"drops={length * '0.1,'}"], 0) for length in (200, 201))
    assert one != other and len(one.parent.name) <= LONGEST and one.parent.parent == Path("runs/cifar10")


@pytest.mark.parametrize(
    ("changes", "same"),
    [
        ({"trainer__val_check_interval": 7, "trainer__log_every_n_steps": 3, "trainer__accelerator": "gpu"}, True),
        ({"trainer__callbacks": None, "trainer__strategy": "ddp", "trainer__precision": "32-true"}, True),
        ({"trainer__logger": {"class_path": "lightning.pytorch.loggers.CSVLogger"}}, True),
        ({"trainer__callbacks": {"class_path": "lightning.pytorch.callbacks.LearningRateMonitor"}}, True),
        ({"model__schedule__init_args__warmup_check_every": 7}, True),  # without a warm-up
        ({"trainer__callbacks": "mine.Callback"}, False),
        ({"trainer__strategy": "fsdp"}, False),
        ({"trainer__precision": "16-true"}, False),
        ({"trainer__gradient_clip_val": 1.0}, False),
        ({"model__schedule__init_args__warmup_until_error": 80.0, "trainer__log_every_n_steps": 10}, False),
    ],
)
def test_the_hash_is_of_what_may_change_the_training(changes: dict[str, Any], same: bool) -> None:
    assert (configuration_hash(with_settings(**changes)) == configuration_hash(with_settings())) == same


def test_a_schedule_that_once_looked_whenever_something_was_measured_goes_on_where_that_is_the_same() -> None:
    warm = {"model__schedule__init_args__warmup_until_error": 80.0}
    now = yaml.safe_load(with_settings(**warm, model__schedule__init_args__warmup_check_every=100))
    assert first_difference(yaml.safe_load(with_settings(**warm)), now) is None
    ten = yaml.safe_load(with_settings(**warm, trainer__log_every_n_steps=10))
    assert "warmup_check_every was 10, is 100" in str(first_difference(ten, now))
    plateau = {"class_path": "resnet_lightning.schedules.Plateau", "init_args": {"patience": 10}}
    now = yaml.safe_load(with_settings(model__schedule={**plateau, "init_args": {"patience": 10, "every": None}}))
    before = yaml.safe_load(with_settings(model__schedule=plateau))
    assert "every was 1000, is None" in str(first_difference(before, now))
    before["trainer"]["val_check_interval"] = 533  # a 120th of the run
    assert first_difference(before, now) is None


@pytest.mark.parametrize("path", KEPT, ids=lambda path: str(path.parent.relative_to(REPOSITORY)))
def test_kept_runs_are_known(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(REPOSITORY)
    info, config = json.loads(path.read_text()), (path.parent / "config.yaml").read_text(encoding="utf-8")
    assert info.get("config_hash") in (None, configuration_hash(config))
    assert as_shipped(info, config) == (not info["changes"])


def test_a_run_is_as_shipped_whatever_its_seed_and_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(REPOSITORY)
    name = "cifar10/table6/resnet20"
    assert is_shipped(with_settings(seed_everything=3, run="elsewhere", trainer__precision="32-true"), name)
    assert not is_shipped(with_settings(ckpt_path="other.ckpt"), name)
    assert not is_shipped(with_settings(trainer__max_steps=6000), name)
    assert not is_shipped(with_settings(trainer__callbacks="mine.Callback"), name)
    assert not is_shipped(with_settings(), "cifar10/table6/resnet110")
    assert not is_shipped(with_settings(), "my/own")
    assert not as_shipped({"as_shipped": False, "changes": []}, with_settings())


@pytest.mark.parametrize(("options", "same"), [([], True), (["--model.network.init_args.batch_norm=false"], False)])
def test_a_run_says_whether_it_is_as_shipped(
    workplace: Path, monkeypatch: pytest.MonkeyPatch, options: list[str], same: bool
) -> None:
    monkeypatch.setattr("resnet_lightning.runs.command_line.describe", lambda _: ("digits/resnet20", []))
    assert is_as_shipped(prepare([*QUICK[:2], *options, "--seed_everything=1"])) == same


def test_a_callback_that_acts_makes_another_run(
    workplace: Path, monkeypatch: pytest.MonkeyPatch, refused: Callable[..., str]
) -> None:
    Path("zero.py").write_text(ZERO)
    monkeypatch.syspath_prepend(str(workplace))
    short = "--trainer.max_steps=2"
    fit(short, "--trainer.callbacks+=zero.ZeroGradients", "--run=r")
    line = refused("fit", *QUICK, short, "--run=r")
    assert "trainer.callbacks was ZeroGradients, is none" in line
    # As it was called when callbacks were no part of a name.
    earlier = run_folder(*describe([*QUICK, short]), 0)
    earlier.parent.mkdir(parents=True)
    Path("r").rename(earlier)
    line = refused("fit", *QUICK, short, "--trainer.callbacks+=zero.ZeroGradients")
    assert str(earlier) in line and "callbacks=ZeroGradients" in line


def test_it_needs_no_torch() -> None:
    modules = "resnet_lightning.runs.naming, resnet_lightning.runs.packing, resnet_lightning.runs.unpacking"
    check = f"import sys, {modules}; sys.exit('torch' in sys.modules or 'lightning' in sys.modules)"
    subprocess.run([sys.executable, "-c", check], check=True)


def test_an_experiment_may_write_numbers_as_the_command_line_reads_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("experiments/mine").mkdir(parents=True)
    for name in ("base", "resnet20"):
        text = (REPOSITORY / f"experiments/digits/{name}.yaml").read_text(encoding="utf-8")
        Path(f"experiments/mine/{name}.yaml").write_text(text.replace("lr: 0.1", "lr: 1e-1"), encoding="utf-8")
    assert "1e-1" in Path("experiments/mine/base.yaml").read_text(encoding="utf-8")
    files = [f"--config=experiments/mine/{name}.yaml" for name in ("base", "resnet20")]
    assert is_shipped(prepare(files).text, "mine/resnet20")
