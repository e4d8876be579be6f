"""Damaged checkpoints are passed over, and what is kept of a run can be checked."""

import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import QUICK, fit, result, same, weights
from processes import Forked, wait_for

from resnet_lightning.runs.checkpoints import checkpoints, is_whole
from resnet_lightning.runs.identity import configuration_hash

LONG = ("--trainer.max_steps=33", "--trainer.val_check_interval=11", "--trainer.log_every_n_steps=4")


def damage(path: Path, how: str) -> None:
    contents = bytearray(path.read_bytes())
    if how == "changed":
        contents[len(contents) // 2] ^= 1
    path.write_bytes(contents[: len(contents) // 3] if how == "cut off" else contents)


@pytest.mark.parametrize("how", ["cut off", "changed"])
def test_a_damaged_checkpoint_is_passed_over(workplace: Path, how: str, capsys: pytest.CaptureFixture[str]) -> None:
    fit(*LONG, "--run=whole", "--checkpoint_every=5")
    process = Forked("fit", *QUICK, *LONG, "--run=r", "--checkpoint_every=5")
    wait_for(Path("r", "checkpoints", "iteration=15.ckpt"), process)
    process.kill()
    newest, before = checkpoints(Path("r", "checkpoints"))[:2]
    damage(newest, how)
    capsys.readouterr()
    fit(*LONG, "--run=r", "--checkpoint_every=5")
    printed = capsys.readouterr()
    assert f"warning: {newest}: damaged (the checksum is another); going on from {before.name}" in printed.err
    assert f"going on from {before}" in printed.out
    assert same(weights("r", 33), weights("whole", 33))


def test_without_any_whole_checkpoint_a_run_begins_again(workplace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fit(*LONG, "--run=r")
    trained = weights("r", 33)
    Path("r", "result.json").unlink()
    damage(Path("r", "checkpoints", "iteration=33.ckpt"), "changed")
    fit(*LONG, "--run=r")
    assert "beginning again" in capsys.readouterr().err
    assert same(weights("r", 33), trained)


def test_new_checkpoints_stay_beside_damaged_later_ones(workplace: Path) -> None:
    """A run that begins again, all its checkpoints being damaged, must not lose what it saves then."""
    options = [*QUICK, "--trainer.max_steps=1000", "--run=r", "--checkpoint_every=5"]
    process = Forked("fit", *options)
    wait_for(Path("r", "checkpoints", "iteration=20.ckpt"), process)
    process.kill()
    later = checkpoints(Path("r", "checkpoints"))
    for path in later:
        damage(path, "changed")
    process = Forked("fit", *options)
    for path in later:
        wait_for(path.with_name(f"{path.name}.damaged"), process)
    while not checkpoints(Path("r", "checkpoints")) and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGHUP)  # a closed terminal
    assert process.wait() == 128 + signal.SIGHUP
    [newest, *_] = checkpoints(Path("r", "checkpoints"))
    assert is_whole(newest)


def test_a_damaged_checkpoint_is_not_evaluated(finished: Path, refused: Callable[..., str], tmp_path: Path) -> None:
    for name in ("iteration=22.ckpt", "iteration=22.ckpt.sha256"):
        (tmp_path / name).write_bytes((finished / "checkpoints" / name).read_bytes())
    damage(tmp_path / "iteration=22.ckpt", "changed")
    config = f"--config={finished / 'config.yaml'}"
    assert "checksum" in refused("test", config, f"--ckpt_path={tmp_path / 'iteration=22.ckpt'}", "--run=elsewhere")


def test_without_its_curve_a_run_is_no_result(finished: Path, workplace: Path, refused: Callable[..., str]) -> None:
    shutil.copytree(finished, "r")
    for name in ("result.json", "metrics.csv"):
        Path("r", name).unlink()
    assert "no training error of iteration 22" in refused("fit", *QUICK, "--trainer.max_steps=22", "--run=r")
    assert not Path("r", "result.json").exists()


def test_a_checksum_of_nonsense_is_none(finished: Path, tmp_path: Path) -> None:
    copy = shutil.copy(finished / "checkpoints" / "iteration=22.ckpt", tmp_path)
    Path(f"{copy}.sha256").write_bytes(b"\x92\xff")
    assert not is_whole(Path(copy))


def test_a_result_says_what_made_it(finished: Path) -> None:
    record = result(finished)
    assert record["config_hash"] == configuration_hash((finished / "config.yaml").read_text())
    checkpoint = finished / "checkpoints" / "iteration=22.ckpt"
    said = subprocess.run(["sha256sum", "--check", f"{checkpoint.name}.sha256"], cwd=checkpoint.parent)
    assert said.returncode == 0
    assert checkpoint.with_name(f"{checkpoint.name}.sha256").read_text().split()[0] == record["checkpoint_sha256"]
    [session] = record["sessions"]
    commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=Path(__file__).parent, capture_output=True, text=True)
    assert session["commit"] == (commit.stdout.strip() or None)
