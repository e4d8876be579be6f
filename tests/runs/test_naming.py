"""Names of runs, and where experiment files are found."""

import json
from pathlib import Path

import pytest

from resnet_lightning.cli import main
from resnet_lightning.runs.experiments import PACKAGED, experiment_files
from resnet_lightning.runs.folder import run_folder
from resnet_lightning.runs.naming import describe


def test_files_of_one_name_in_two_folders_are_two_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names = [describe([f"--config={path}"])[0] for path in ("A/config.yaml", "./B/config.yaml", "mine.yaml")]
    names.append(describe([f"--config={tmp_path / 'A' / 'config.yaml'}"])[0])
    names.append(describe(["--config=/elsewhere/C/config.yaml"])[0])
    names.append(describe(["--config=../D/config.yaml"])[0])
    assert names == ["A/config", "B/config", "mine", "A/config", "C/config", "D/config"]


def test_a_runs_own_configuration_is_that_run(tmp_path: Path) -> None:
    info = {"experiment": "digits/resnet20", "changes": ["lr=0.05"]}
    (tmp_path / "run.json").write_text(json.dumps(info))
    (tmp_path / "config.yaml").write_text("")
    assert describe([f"--config={tmp_path / 'config.yaml'}"]) == ("digits/resnet20", ["lr=0.05"])


def test_experiments_come_with_the_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert experiment_files("cifar10/table6/resnet20") == [
        PACKAGED / "cifar10/base.yaml",
        PACKAGED / "cifar10/table6/resnet20.yaml",
    ]
    mine = Path("experiments/cifar10/mine/idea.yaml")
    mine.parent.mkdir(parents=True)
    mine.write_text("model: {network: {init_args: {depth: 20}}}\n")
    assert experiment_files("cifar10/mine/idea") == [PACKAGED / "cifar10/base.yaml", mine]
    Path("experiments/cifar10/base.yaml").write_text("seed_everything: 1\n")  # one's own comes first
    assert experiment_files("cifar10/mine/idea")[0] == Path("experiments/cifar10/base.yaml")
    assert describe([f"--config={path}" for path in experiment_files("digits/resnet20")])[0] == "digits/resnet20"
    files = ["--config=experiments/digits/base.yaml", "--config", "experiments/digits/resnet20.yaml"]
    main(["summary", *files])
    assert "ResNet-20 for images" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "folder"),
    [
        ("--config e/base.yaml --config experiments/cifar10/table6/resnet20.yaml", "cifar10/table6/resnet20"),
        ("--config=/a/experiments/digits/base.yaml --config=/a/experiments/digits/plain20.yaml", "digits/plain20"),
        ("fit --config elsewhere/mine.yaml --seed_everything 1 --data.root d --trainer.strategy=ddp", "elsewhere/mine"),
        ("--config elsewhere/mine.yaml --trainer.devices 2", "elsewhere/mine@devices=2"),
        ("--config a.yaml --trainer.max_steps 60 --model.schedule.init_args.warmup=0.1", "a@max_steps=60,warmup=0.1"),
        ("--config a.yaml --model.schedule.warmup=0.1 --trainer.max_steps=60", "a@max_steps=60,warmup=0.1"),
        ("--config a.yaml --config b/small.yaml --data.padding 2", "a@padding=2,small"),
        ("--config a.yaml --trainer.val_check_interval 5 --checkpoint_every 5", "a"),
        ("--config experiments/digits/base.yaml", "unnamed"),
    ],
)
def test_a_run_is_named_by_its_experiment_and_what_it_changes(arguments: str, folder: str) -> None:
    assert run_folder(*describe(arguments.split()), seed=3) == Path("runs") / folder / "seed3"
