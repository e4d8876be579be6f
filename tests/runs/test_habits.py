"""What Lightning's users are used to: callbacks that end or change training, loggers, limits, and code of their own."""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from conftest import QUICK, fit, result, same, weights

from resnet_lightning.cli import main
from resnet_lightning.runs.command_line import prepare
from resnet_lightning.runs.metrics_file import read_metrics

Refused = Callable[..., str]
CALLBACKS = "--trainer.callbacks"
SHORT = "--trainer.max_steps=12"
BARE = f"{CALLBACKS}=null"


@pytest.mark.parametrize(
    ("callback", "who", "iteration"),
    [
        (
            ["EarlyStopping", ".monitor=test/error", ".stopping_threshold=100", ".check_on_train_epoch_end=false"],
            *("EarlyStopping", 4),
        ),
        (["Timer", ".duration=00:00:00:00"], "Timer", 0),
        (["own.Enough"], "Enough", 7),
        (["own.Shorter"], "something", 5),
    ],
    ids=lambda value: str(value[0]) if isinstance(value, list) else "",
)
def test_a_run_that_is_ended_early_has_no_result(
    workplace: Path, capsys: pytest.CaptureFixture[str], callback: list[str], who: str, iteration: int
) -> None:
    options = [f"{CALLBACKS}+={callback[0]}", *(f"{CALLBACKS}{option}" for option in callback[1:])]
    with pytest.raises(SystemExit) as exit:
        fit("--trainer.max_steps=20", "--trainer.val_check_interval=4", *options, "--run=r")
    [line] = capsys.readouterr().err.splitlines()
    assert exit.value.code == 1 and f"{who} stopped the training at iteration {iteration} of 20" in line
    assert not Path("r", "result.json").exists() and Path(
        "r", "checkpoints", f"iteration={iteration}.ckpt"
    ).exists() == bool(iteration)


def test_a_run_that_was_ended_early_goes_on_to_its_end(workplace: Path) -> None:
    with pytest.raises(SystemExit):
        fit(SHORT, BARE, f"{CALLBACKS}+=own.Enough", "--run=r")
    fit(SHORT, BARE, f"{CALLBACKS}+=own.Enough", "--run=r")  # asks at 7 alone
    fit(SHORT, BARE, "--run=whole")
    assert result("r")["iteration"] == 12 and same(weights("r", 12), weights("whole", 12))


@pytest.mark.parametrize(
    ("option", "named"),
    [
        *((f"--trainer.limit_{name}_batches=1", f"limit_{name}_batches") for name in ("train", "val", "test")),
        ("--trainer.default_root_dir=x", "--run names the folder"),
        ("--trainer.max_time=00:00:01:00", "max_time"),
        ("--trainer.val_check_interval=0.5", "val_check_interval 0.5"),
        ("--trainer.reload_dataloaders_every_n_epochs=1", "reload_dataloaders_every_n_epochs"),
        ("--trainer.enable_checkpointing=false", "enable_checkpointing"),
        (f'{CALLBACKS}={{"class_path": "StochasticWeightAveraging", "init_args": {{"swa_lrs": 0.1}}}}', "EMAWeight"),
        ("--model=own.Pictures", "expected a subclass"),
        ("--model=own.Nothing", "Nothing"),
    ],
)
def test_what_a_run_cannot_honour_is_refused(workplace: Path, refused: Refused, option: str, named: str) -> None:
    assert named in refused("fit", *QUICK, SHORT, option, "--run=r")
    assert not Path("r").exists()


def test_early_stopping_by_a_metric_that_is_not_there(workplace: Path, refused: Refused) -> None:
    option = f'{CALLBACKS}={{"class_path": "EarlyStopping", "init_args": {{"monitor": "val_loss"}}}}'
    line = refused("fit", *QUICK, SHORT, "--trainer.val_check_interval=4", option, "--run=r")
    assert "`val_loss`" in line and "`test/error`" in line


def test_a_logger_of_the_users_own_is_added(workplace: Path, refused: Refused) -> None:
    fit(SHORT, "--trainer.logger=CSVLogger", "--trainer.logger.save_dir=csv", "--run=r")
    [theirs] = Path("csv").rglob("metrics.csv")
    assert "test/error" in theirs.read_text() and 12 in read_metrics(Path("r", "metrics.csv"))
    assert "package is missing" in refused("fit", *QUICK, SHORT, "--trainer.logger=MLFlowLogger", "--run=r2")


def test_without_loggers_nothing_is_recorded_elsewhere(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    fit(SHORT, "--trainer.logger=false", "--run=r")
    assert result("r")["state"] == "finished" and not Path("r", "wandb").exists()


def test_a_dry_run_keeps_nothing(workplace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = set(workplace.rglob("*"))
    fit("--trainer.fast_dev_run=2", "--trainer.enable_progress_bar=false")
    assert "2 batches; nothing was kept" in capsys.readouterr().out and set(workplace.rglob("*")) == before


@pytest.mark.parametrize(
    ("options", "interval"),
    [
        (["--trainer.max_steps=3000"], 150),
        (["--trainer.max_steps=60"], 20),
        (["--trainer.max_steps=3000", "--trainer.val_check_interval=10"], 10),
        ([], 20),
    ],
)
def test_a_run_evaluates_some_twenty_times_unless_it_is_asked_to(
    workplace: Path, options: list[str], interval: int
) -> None:
    assert prepare([*QUICK, *options]).config.trainer.val_check_interval == interval


def test_no_time_is_left_before_this_session_has_trained(workplace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--trainer.max_steps=8", "--trainer.val_check_interval=4", "--checkpoint_every=4", "--run=r"]
    fit(*options)
    for name in ("result.json", "checkpoints/iteration=8.ckpt"):
        Path("r", name).unlink()
    capsys.readouterr()
    fit(*options)  # makes up for the evaluation at 4
    first, second = re.findall(r"^iteration \d of 8: test error [\d.]+ %(.*)$", capsys.readouterr().out, re.MULTILINE)
    assert "left" not in first and re.search(r", 0:00:\d\d left$", second)


def test_gradients_are_clipped_in_mixed_precision(workplace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fit(SHORT, "--trainer.gradient_clip_val=1", "--trainer.precision=bf16-mixed", "--run=r")
    assert "the optimizer is not fused" in capsys.readouterr().out and result("r")["state"] == "finished"


def test_averaged_weights_are_those_that_count(workplace: Path) -> None:
    options = [SHORT, BARE, f"{CALLBACKS}+=EMAWeightAveraging", "--checkpoint_every=6", "--run=r"]
    fit(*options)
    whole, error = weights("r", 12), result("r")["test_error"]
    Path("r", "result.json").unlink()
    fit(*options)  # only lacks its result
    assert result("r")["test_error"] == error
    for name in ("result.json", "checkpoints/iteration=12.ckpt"):
        Path("r", name).unlink()
    fit(*options)
    assert same(weights("r", 12), whole) and result("r")["test_error"] == error


def test_a_data_module_and_a_model_of_the_users_own(workplace: Path) -> None:
    base = Path("experiments/digits/base.yaml").read_text(encoding="utf-8")
    Path("mine.yaml").write_text(base.replace("resnet_lightning.data.Digits", "own.Pictures"), encoding="utf-8")
    options = ["--config=mine.yaml", "--config=experiments/digits/resnet20.yaml", "--model.network.depth=8"]
    main(["fit", *options, SHORT, "--model", "own.Doubled", "--model.factor=3", "--run=r"])
    record = result("r")
    assert (record["data"], record["batch_size"], record["val_images"]) == ("Pictures", 64, 1797)
    assert record["state"] == "finished" and 0 <= record["val_error"] < 100
    saved = ["--config=r/config.yaml", "--ckpt_path=r/checkpoints/iteration=12.ckpt"]
    assert prepare(saved, "test").model.factor == 3
    main(["predict", *saved])
    rows = np.load("r/predictions-center.npy")
    assert len(rows) == 1797
    assert 100 * (rows["probabilities"].argmax(1) != rows["label"]).mean() == pytest.approx(
        record["val_error"], abs=0.2
    )
