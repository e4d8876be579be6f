"""Studies run what is missing, several runs at a time, and stop and fail as they should."""

import json
import os
import re
import select
import shlex
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import DEMO, QUICK, result
from processes import PATIENCE, start, wait_for

from resnet_lightning.cli import main
from resnet_lightning.errors import BadInput
from resnet_lightning.runs.checkpoints import checkpoints
from resnet_lightning.runs.locks import holder
from resnet_lightning.studies import choose, find_study
from resnet_lightning.studies.execution.jobs import Job
from resnet_lightning.studies.execution.preparation import Machine, check
from resnet_lightning.studies.execution.runner import visible


@pytest.mark.long
def test_two_runners_share_a_study(tiny: Path) -> None:
    runners = [start(*DEMO[:-1], "--seeds", "0", "1", "--jobs=1") for _ in range(2)]
    assert [runner.wait(PATIENCE) for runner in runners] == [0, 0], Path("output.txt").read_text()
    logs = list(Path("runs").glob("digits/*/seed*/log.txt"))
    assert len(logs) == 2
    assert all(log.read_text().count(" after 4 iterations on ") == 1 for log in logs)


def test_runs_get_their_part_of_the_gpus_that_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,3,6,7")
    assert [visible(place, Machine(2, 8)) for place in range(2)] == ["2,3", "6,7"]


@pytest.mark.long
@pytest.mark.skipif(not hasattr(os, "openpty"), reason="no terminals here")
def test_a_closed_terminal_stops_the_runs(tiny: Path) -> None:
    mine, theirs = os.openpty()
    command = [sys.executable, "-m", "resnet_lightning", *DEMO, "--steps=3000", "--jobs=2"]
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


@pytest.mark.long
def test_a_failed_run_is_tried_again_only_when_asked(tiny: Path, capfd: pytest.CaptureFixture[str]) -> None:
    folder = Path("runs/digits/resnet20@max_steps=4,tiny/seed0")
    (folder / "metrics.csv").mkdir(parents=True)  # where a file has to be
    study = [name for name in DEMO if name != "plain20"]

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
    study = [name.replace("=4", "=5000") for name in DEMO]
    runner = start(*study, "--only", "resnet20", "--jobs=1")
    folder = Path("runs/digits/resnet20@max_steps=5000,tiny/seed0")
    wait_for(folder / "metrics.csv", runner)
    runner.send_signal(signal.SIGINT)
    assert runner.wait(PATIENCE) == 130
    assert "the same command goes on" in Path("output.txt").read_text()
    assert checkpoints(folder / "checkpoints") and holder(folder / "result.json") is None
    assert "stopping after this iteration (SIGTERM)" in (folder / "log.txt").read_text()


def test_a_study_runs_what_is_missing_by_the_lines_that_it_prints(
    tiny: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    main([*DEMO, "--print"])
    plain, residual = capfd.readouterr().out.splitlines()
    assert not Path("runs").exists()
    subprocess.run(shlex.split(plain), check=True)
    done, missing = (Path(f"runs/digits/{name}@max_steps=4,tiny/seed0/result.json") for name in ("plain20", "resnet20"))
    before = done.stat().st_mtime_ns
    capfd.readouterr()
    main([*DEMO, "--print"])
    assert capfd.readouterr().out.splitlines() == [residual]
    main([*DEMO, "--jobs=2"])
    printed = capfd.readouterr().out
    assert re.findall(r"^running ([^:\s]+)", printed, re.MULTILINE) == [str(missing.parent)]
    assert result(missing.parent)["depth"] == 8 and done.stat().st_mtime_ns == before
    assert "ResNet-8" in printed and "plain-8" in printed


def test_experiments_of_a_study_may_have_data_of_their_own(workplace: Path) -> None:
    """Each finished run is held against its own data, not against those of the study's first experiment."""
    runs = [[*QUICK, "--trainer.max_steps=1", f"--data.image_size={size}", f"--run={size}"] for size in (8, 16)]
    for arguments in runs:
        main(["fit", *arguments])
    assert check(runs, here=True) == 1
    run = json.loads(Path("16/run.json").read_text())
    Path("16/run.json").write_text(json.dumps(run | {"data": "other digits"}))
    with pytest.raises(BadInput, match="16 holds a run on other digits, not on digits at 16×16"):
        check(runs, here=True)


def test_an_experiment_is_chosen_by_as_much_of_its_name_as_it_takes() -> None:
    study = replace(find_study("demo"), experiments=("digits/resnet20", "gradients/resnet20", "gradients/plain20"))
    assert choose(study, ["digits/resnet20", "plain20"]) == ("digits/resnet20", "gradients/plain20")
    assert choose(study, []) == study.experiments
    for name, said in {
        "resnet20": "may be any of digits/resnet20, gradients/",
        "net20": "no experiment is named",
    }.items():
        with pytest.raises(BadInput, match=said):
            choose(study, [name])


def test_a_job_whose_result_is_there_is_done(finished: Path) -> None:
    job = Job(finished, [])
    job.look()
    assert (job.state, job.done) == ("finished", True)
    assert json.loads((finished / "result.json").read_text())["state"] == job.outcome()
