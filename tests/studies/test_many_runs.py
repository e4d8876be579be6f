"""Many runs at once, and what happens to them: locks, damaged checkpoints, failures, clusters."""

import json
import os
import re
import select
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from conftest import QUICK, fit, result, same, weights
from processes import PATIENCE, Forked, run, start, wait_for

from resnet_lightning.cli import main
from resnet_lightning.errors import OCCUPIED, Occupied
from resnet_lightning.runs.checkpoints import checkpoints, is_whole
from resnet_lightning.runs.identity import configuration_hash
from resnet_lightning.runs.locks import RunLock, holder
from resnet_lightning.runs.metrics_logger import MetricsFile
from resnet_lightning.studies.execution.jobs import Job
from resnet_lightning.studies.execution.preparation import Machine
from resnet_lightning.studies.execution.runner import visible

TINY = "data: {init_args: {image_size: 8, padding: 1}}\nmodel: {network: {init_args: {depth: 8}}}\n"
STUDY = ("study", "demo", "--steps=4", "--with=tiny.yaml", "--only", "resnet20", "plain20")


@pytest.fixture
def tiny(workplace: Path) -> Path:
    (workplace / "tiny.yaml").write_text(TINY)
    return workplace


# Locks --------------------------------------------------------------------------------------------------------------

TAKER = """
import sys, time
from pathlib import Path
from resnet_lightning.errors import Occupied
from resnet_lightning.runs.locks import RunLock
lock = RunLock(Path(sys.argv[1]))
try:
    lock.acquire()
except Occupied:
    sys.exit(75)
time.sleep(float(sys.argv[2]))
lock.check()
lock.release()
"""


def taker(path: Path, seconds: float) -> "subprocess.Popen[str]":
    return subprocess.Popen([sys.executable, "-c", TAKER, str(path), str(seconds)], text=True)


def test_one_process_of_many_gets_a_lock_even_a_dead_ones(tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    dead = taker(path, 600)
    while holder(path) is None:
        time.sleep(0.01)
    assert f"process {dead.pid} on " in str(holder(path))
    with pytest.raises(Occupied, match=f"process {dead.pid} on "):
        RunLock(path).acquire()
    dead.kill()
    dead.wait()
    assert holder(path) is None
    statuses = [process.wait() for process in [taker(path, 15) for _ in range(4)]]
    assert sorted(statuses) == [0, OCCUPIED, OCCUPIED, OCCUPIED]
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("contents", [b"", bytes(50), b"\x92\xff"])
def test_a_lock_that_names_nobody_is_stale_soon(tmp_path: Path, contents: bytes) -> None:
    path, lock = tmp_path / "result.json", tmp_path / "result.json.lock"
    lock.write_bytes(contents)
    os.utime(lock, (time.time() - 15, time.time() - 15))
    assert holder(path) is None
    RunLock(path).acquire()
    assert f"|{os.getpid()}|" in lock.read_text()


def test_a_lock_of_another_host_is_stale_after_a_minute_without_a_sign(tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    claim = tmp_path / "result.json.lock|elsewhere~1|7|1"
    claim.write_text(str(claim))
    (tmp_path / "result.json.lock").hardlink_to(claim)
    os.utime(claim, (time.time() + 60, time.time() + 60))
    assert holder(path) == "process 7 on elsewhere"
    os.utime(claim, (time.time() - 15, time.time() - 15))
    assert holder(path) is None
    lock = RunLock(path)
    lock.acquire()
    lock.check()
    # Taken over by somebody for whom this process was dead: it may write no more.
    (tmp_path / "result.json.lock").unlink()
    with pytest.raises(Occupied, match="was taken over"):
        lock.check()
    lock.release()


def test_two_commands_do_not_work_on_one_run(workplace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = Forked("fit", *QUICK, "--trainer.max_steps=100000", "--run=r", "--checkpoint_every=5")
    wait_for(Path("r", "checkpoints", "iteration=5.ckpt"), first)
    with pytest.raises(SystemExit) as exit:
        fit("--trainer.max_steps=100000", "--run=r")
    assert exit.value.code == OCCUPIED
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith(f"resnet-lightning: r is being worked on by process {first.pid} on ")
    first.kill()


# Checkpoints --------------------------------------------------------------------------------------------------------

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
    process.send_signal(signal.SIGTERM)
    assert process.wait() == 143
    [newest, *_] = checkpoints(Path("r", "checkpoints"))
    assert is_whole(newest)


def test_a_damaged_checkpoint_is_not_evaluated(finished: Path, refused: Callable[..., str], tmp_path: Path) -> None:
    for name in ("iteration=22.ckpt", "iteration=22.ckpt.sha256"):
        (tmp_path / name).write_bytes((finished / "checkpoints" / name).read_bytes())
    damage(tmp_path / "iteration=22.ckpt", "changed")
    config = f"--config={finished / 'config.yaml'}"
    assert "checksum" in refused("test", config, f"--ckpt_path={tmp_path / 'iteration=22.ckpt'}", "--run=elsewhere")


def test_a_run_that_is_asked_to_stop_saves_its_iteration(workplace: Path) -> None:
    options = ["--trainer.max_steps=60", "--trainer.val_check_interval=30", "--checkpoint_every=1000"]
    fit(*options, "--run=whole")
    process = Forked("fit", *QUICK, *options, "--run=r")
    wait_for(Path("r", "metrics.csv"), process)
    process.send_signal(signal.SIGTERM)
    assert process.wait() == 143
    [saved] = checkpoints(Path("r", "checkpoints"))
    assert 1 <= int(saved.stem.partition("=")[2]) < 60
    torch.set_num_threads(2)  # which alone would change the weights: the run goes on with the one that it began with
    fit(*options, "--run=r")
    assert torch.get_num_threads() == 1
    assert same(weights("r", 60), weights("whole", 60))
    sessions = result("r")["sessions"]
    assert [session["from_iteration"] for session in sessions] == [0, int(saved.stem.partition("=")[2])]


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


def test_a_process_that_has_lost_its_run_writes_no_curve(tmp_path: Path) -> None:
    lock, file = RunLock(tmp_path / "result.json"), MetricsFile(tmp_path / "metrics.csv")
    lock.acquire()
    file.log_metrics({"train/error": 1.0}, 100)
    before = file.path.read_text()
    (tmp_path / "result.json.lock").unlink()
    with pytest.raises(Occupied, match="was taken over"):
        file.save()
    assert file.path.read_text() == before
    lock.release()


# Studies ------------------------------------------------------------------------------------------------------------


def test_two_runners_share_a_study(tiny: Path) -> None:
    runners = [start(*STUDY, "--seeds", "0", "1", "--jobs=1") for _ in range(2)]
    assert [runner.wait(PATIENCE) for runner in runners] == [0, 0], Path("output.txt").read_text()
    logs = list(Path("runs").glob("digits/*/seed*/log.txt"))
    assert len(logs) == 4
    assert all(log.read_text().count(" after 4 iterations on ") == 1 for log in logs)


def test_runs_get_their_part_of_the_gpus_that_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,3,6,7")
    assert [visible(place, Machine(2, 8)) for place in range(2)] == ["2,3", "6,7"]


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="no terminals here")
def test_a_closed_terminal_stops_the_runs(tiny: Path) -> None:
    mine, theirs = os.openpty()
    command = [sys.executable, "-m", "resnet_lightning", *STUDY, "--steps=3000", "--jobs=2"]
    folders = [Path(f"runs/digits/{name}@max_steps=3000,tiny/seed0") for name in ("plain20", "resnet20")]
    runner = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True)
    os.close(theirs)
    deadline = time.monotonic() + PATIENCE
    while not all((folder / "metrics.csv").exists() for folder in folders) and time.monotonic() < deadline:
        if select.select([mine], [], [], 0.1)[0]:
            os.read(mine, 2**16)  # or it would wait for us to
    os.close(mine)
    for _ in range(2):  # the kernel's, and the shell's
        runner.send_signal(signal.SIGHUP)
    assert runner.wait(PATIENCE) != 0
    for folder in folders:
        assert holder(folder / "result.json") is None and checkpoints(folder / "checkpoints")


def test_a_failed_run_is_tried_again_only_when_asked(tiny: Path, capfd: pytest.CaptureFixture[str]) -> None:
    folder = Path("runs/digits/resnet20@max_steps=4,tiny/seed0")
    (folder / "metrics.csv").mkdir(parents=True)  # where a file has to be
    study = [name for name in STUDY if name != "plain20"]

    def status(*options: str) -> tuple[int, str]:
        capfd.readouterr()
        try:
            main([*study, *options])
        except SystemExit as exit:
            return int(str(exit.code)), capfd.readouterr().out
        return 0, capfd.readouterr().out

    code, printed = status()
    [line] = re.findall(f"^failed {folder}: (.*metrics.csv.*)", printed, re.MULTILINE)
    assert code == 1
    (folder / "metrics.csv").rmdir()
    code, printed = status()
    assert (code, "running" in printed, line in printed) == (1, False, True)
    code, printed = status("--retry")
    assert code == 0 and result(folder)["state"] == "finished"
    assert not list(folder.glob("*.failed"))


def test_ctrl_c_lets_runs_finish_their_iteration(tiny: Path) -> None:
    study = [name.replace("=4", "=5000") for name in STUDY]
    runner = start(*study, "--only", "resnet20", "--jobs=1")
    folder = Path("runs/digits/resnet20@max_steps=5000,tiny/seed0")
    wait_for(folder / "metrics.csv", runner)
    runner.send_signal(signal.SIGINT)
    assert runner.wait(PATIENCE) == 130
    assert "the same command goes on" in Path("output.txt").read_text()
    assert checkpoints(folder / "checkpoints") and holder(folder / "result.json") is None
    assert "stopping after this iteration (SIGTERM)" in (folder / "log.txt").read_text()


def test_printed_lines_are_the_runs(tiny: Path, capfd: pytest.CaptureFixture[str]) -> None:
    main([*STUDY, "--print"])
    lines = capfd.readouterr().out.splitlines()
    assert len(lines) == 2 and not Path("runs").exists()
    subprocess.run(shlex.split(lines[0]), check=True)
    main([*STUDY, "--print"])
    assert capfd.readouterr().out.splitlines()[-1:] == lines[1:]


def test_a_study_goes_to_submitit(tiny: Path) -> None:
    Path("local.yaml").write_text("cluster: local\ntimeout_min: 5\n")
    # Not in this process: submitit's own are still ending when the study has what it waits for.
    assert "submitted 2 runs" in run(*STUDY, "--submit=local.yaml")
    assert all(result(folder)["state"] == "finished" for folder in Path("runs").glob("digits/*/seed0"))
    assert list(Path("runs/submitted").glob("*_submitted.pkl"))


@pytest.mark.parametrize(
    ("contents", "reason"),
    [
        (None, "no such file"),
        ("cluster: moon\n", "moon"),
        ("cluster: local\ntime_min: 5\n", "time_min"),
        ("- 5\n", "names and values"),
    ],
)
def test_what_cannot_be_submitted(tiny: Path, refused: Callable[..., str], contents: str | None, reason: str) -> None:
    if contents is not None:
        Path("cluster.yaml").write_text(contents)
    assert reason in refused(*STUDY, "--submit=cluster.yaml")


def test_a_job_whose_result_is_there_is_done(finished: Path) -> None:
    job = Job(finished, [])
    job.look()
    assert (job.state, job.done) == ("finished", True)
    assert json.loads((finished / "result.json").read_text())["state"] == job.outcome()
