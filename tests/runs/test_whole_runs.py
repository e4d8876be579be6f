"""Whole runs through the command line: what they leave, measure and print."""

import json
import os
import re
from pathlib import Path

import numpy as np
import pytest
import yaml
from conftest import fit, result, rows, same, weights

from resnet_lightning.cli import main
from resnet_lightning.data import Digits
from resnet_lightning.runs.metrics_file import read_metrics
from resnet_lightning.runs.progress import Progress


def test_what_a_run_leaves(finished: Path) -> None:
    assert sorted(path.name for path in finished.iterdir()) == [
        *("checkpoints", "config.yaml", "gradients.csv", "metrics.csv", "responses.csv", "result.json", "run.json")
    ]
    left = sorted(path.name for path in (finished / "checkpoints").iterdir())
    assert left == ["iteration=22.ckpt", "iteration=22.ckpt.sha256"]
    record = result(finished)
    assert (record["state"], record["iteration"], record["network"]) == ("finished", 22, "ResNet-8")
    assert (record["train_images"], record["val_images"], record["test_images"]) == (1437, 0, 360)
    assert yaml.safe_load((finished / "config.yaml").read_text())["trainer"]["max_steps"] == 22
    assert list(read_metrics(finished / "gradients.csv")) == list(range(22))
    assert list(read_metrics(finished / "responses.csv")) == [20, 22]
    curve = {iteration: row for iteration, row in rows(finished).items() if "lr" in row}
    assert list(curve) == [10, 20, 22]
    assert (float(curve[22]["test/error"]), float(curve[22]["train/error"])) == (
        record["test_error"],
        record["train_error"],
    )
    assert record["test_error"] < 60 and record["best_test_error"] <= record["test_error"]
    # The triangle of the base, at the iteration that was just made.
    expected = [0.1 * (23 - iteration) / (23 - 0.2 * 22) for iteration in curve]
    assert [float(row["lr"]) for row in curve.values()] == pytest.approx(expected, rel=1e-4)


def test_a_finished_run_is_left_alone(finished: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(finished.parent)
    before = {path: path.stat().st_mtime_ns for path in finished.rglob("*")}
    fit("--trainer.max_steps=22", "--run=a run")
    assert {path: path.stat().st_mtime_ns for path in finished.rglob("*")} == before


def test_its_checkpoint_is_evaluated_to_the_same_error(
    finished: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(finished.parent)
    error = result(finished)["test_error"]
    saved = ["--config=a run/config.yaml", "--ckpt_path=a run/checkpoints/iteration=22.ckpt"]
    before = {path: path.stat().st_mtime_ns for path in finished.rglob("*")}
    for command in ("test", "validate"):
        main([command, *saved])
        printed = capsys.readouterr().out
        [said] = re.findall(r"test/error\D+([\d.]+)", printed)
        assert float(said) == pytest.approx(error, abs=1e-3), command
    written = json.loads((finished / "test-center.json").read_text())
    assert (written["error"], written["images"]) == (pytest.approx(error, abs=1e-3), 360)
    main(["predict", *saved])
    rows = np.load(finished / "predictions-center.npy")
    for name in ("test-center.json", "predictions-center.json", "predictions-center.npy"):
        (finished / name).unlink()
    assert {path: path.stat().st_mtime_ns for path in finished.rglob("*") if path.is_file()}.items() <= before.items()
    assert rows["probabilities"].shape == (360, 10)
    np.testing.assert_allclose(rows["probabilities"].sum(1), 1, atol=1e-4)
    data = Digits()
    data.setup("test")
    assert (rows["label"] == data.sets["test"][1].numpy()).all()
    assert 100 * (rows["probabilities"].argmax(1) != rows["label"]).mean() == pytest.approx(error, abs=1e-3)


def test_held_out_images_are_measured_beside_the_test_set(workplace: Path) -> None:
    options = ["--trainer.max_steps=4", "--trainer.val_check_interval=2", "--run=r"]
    fit(*options, "--data.validation_images=400", "--trainer.log_every_n_steps=2")
    record = result("r")
    assert (record["train_images"], record["val_images"], record["test_images"]) == (1037, 400, 360)
    evaluated = {iteration: row for iteration, row in rows("r").items() if "val/error" in row}
    assert list(evaluated) == [2, 4]
    for row in evaluated.values():
        assert {"val/error", "val/loss", "test/error", "test/loss", "train/error"} <= row.keys()
    errors = [float(rows("r")[4][name]) for name in ("val/error", "test/error")]
    assert (errors[0] / 100 * 400) == pytest.approx(round(errors[0] / 100 * 400), abs=1e-2)  # counts of 400
    assert (errors[1] / 100 * 360) == pytest.approx(round(errors[1] / 100 * 360), abs=1e-2)


def test_the_seed_decides_everything(workplace: Path) -> None:
    options = ["--trainer.max_steps=12", "--trainer.log_every_n_steps=3", "--trainer.val_check_interval=6"]
    for folder, seed in (("a", 0), ("b", 0), ("c", 1)):
        fit(*options, f"--run={folder}", f"--seed_everything={seed}")
    assert rows("a") == rows("b") and same(weights("a", 12), weights("b", 12))
    assert rows("a")[3]["train/loss"] != rows("c")[3]["train/loss"]
    assert not same(weights("a", 12), weights("c", 12))


def test_a_diverged_run_says_so(workplace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--trainer.max_steps=22", "--model.optimizer.init_args.lr=1e30", "--run=r"]
    with pytest.raises(SystemExit) as exit:
        fit(*options)
    assert exit.value.code == 1
    [line] = capsys.readouterr().err.splitlines()
    assert "diverged" in line and "iteration 10" in line
    record = result("r")
    assert (record["state"], record["iteration"]) == ("diverged", 10)
    with pytest.raises(SystemExit) as exit:  # is not tried again, and has not succeeded
        fit(*options)
    assert exit.value.code == 1 and "diverged already" in capsys.readouterr().err


def test_without_a_key_a_tracked_run_is_written_offline_and_goes_on(
    workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("home").mkdir()
    for name in [name for name in os.environ if name.startswith("WANDB")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(workplace / "home"))
    options = ["--trainer.max_steps=4", "--trainer.log_every_n_steps=1", "--checkpoint_every=2", "--run=r"]
    for _ in range(2):
        fit(*options)
        Path("r", "result.json").unlink()
        Path("r", "checkpoints", "iteration=4.ckpt").unlink()
    runs = [path for path in Path("r", "wandb").glob("offline-run-*")]
    assert len(runs) == 2 and len({path.name.split("-")[3] for path in runs}) == 1
    assert all(list(path.glob("*.wandb")) for path in runs)


def test_progress_in_a_log_file_is_a_line_at_each_evaluation(
    workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fit("--trainer.max_steps=4", "--trainer.val_check_interval=2", "--run=r")
    printed, errors = capsys.readouterr()
    assert len(re.findall(r"^iteration [24] of 4: test error [\d.]+ %.*, 0:00:\d\d left$", printed, re.MULTILINE)) == 2
    assert errors == "" and not Progress().bar
