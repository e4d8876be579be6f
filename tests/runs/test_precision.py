"""A run goes on in the precision in which it began, and in no other."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import QUICK, fit

from resnet_lightning.training.devices import fastest_safe_precision

DEFAULT = fastest_safe_precision("auto")
OTHER = "32-true" if DEFAULT == "bf16-mixed" else "bf16-mixed"
OPTIONS = ("--trainer.max_steps=4", "--checkpoint_every=2", "--run=r")


def test_a_run_goes_on_in_its_precision(
    workplace: Path, refused: Callable[..., str], capfd: pytest.CaptureFixture[str]
) -> None:
    fit(*OPTIONS, f"--trainer.precision={OTHER}")
    fit(*OPTIONS, f"--trainer.precision={DEFAULT}")
    assert "finished already" in capfd.readouterr().out
    Path("r/result.json").unlink()
    Path("r/checkpoints/iteration=4.ckpt").unlink()
    line = refused("fit", *QUICK, *OPTIONS, f"--trainer.precision={DEFAULT}")
    assert f"r was begun in {OTHER}" in line and f"go on in {DEFAULT}" in line
    fit(*OPTIONS)
    assert json.loads(Path("r/result.json").read_text())["precision"] == OTHER


def test_a_run_that_has_saved_nothing_begins_in_any_precision(workplace: Path) -> None:
    fit(*OPTIONS, f"--trainer.precision={OTHER}")
    Path("r/result.json").unlink()
    for path in Path("r/checkpoints").iterdir():
        path.unlink()
    fit(*OPTIONS)
    assert json.loads(Path("r/result.json").read_text())["precision"] == DEFAULT


def test_a_precision_that_the_device_lacks_is_refused(workplace: Path, refused: Callable[..., str]) -> None:
    """Lightning would take bfloat16 instead of float16 on a CPU, with a warning."""
    line = refused("fit", *QUICK, *OPTIONS, "--trainer.accelerator=cpu", "--trainer.precision=16-mixed")
    assert "16-mixed: this device would train in bf16-mixed" in line and not Path("r").exists()
    fit(*OPTIONS, "--trainer.accelerator=cpu")
    Path("r/result.json").unlink()
    info = Path("r/run.json")
    info.write_text(info.read_text().replace(f'"precision": "{DEFAULT}"', '"precision": "16-mixed"'))
    assert "r was begun in 16-mixed" in refused("fit", *QUICK, *OPTIONS, "--trainer.accelerator=cpu")
