"""Sweeps of one setting: runs for each value, one table and one figure, and the same for Weights & Biases."""

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from wandb.sdk.launch.sweeps.utils import create_sweep_command, create_sweep_command_args

from resnet_lightning.cli import main
from resnet_lightning.reporting.by_value import positions

STUDY = ("study", "demo", "--only", "resnet20", "--steps=4", "--with=tiny.yaml")


@pytest.mark.long
def test_a_sweep_runs_every_value_and_weights_and_biases_would_run_the_same(
    tiny: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    main([*STUDY, "--sweep=model.optimizer.init_args.lr=0.01,0.1", "--jobs=2"])
    folders = sorted(path.parent.parent.name for path in Path("runs/digits").glob("*/seed0/result.json"))
    assert folders == ["resnet20@lr=0.01,max_steps=4,tiny", "resnet20@lr=0.1,max_steps=4,tiny"]
    stem = "demo-lr@max_steps=4,tiny"
    lines = Path("reports", f"{stem}.md").read_text().splitlines()
    assert lines[2].startswith("| Network | lr | Training error % | Test error % | Seeds |")
    assert [line.split(" | ")[:2] for line in lines[4:6]] == [["| resnet20", "0.01"], ["| resnet20", "0.1"]]
    assert Path("reports", f"{stem}.svg").exists()
    # As wandb's agent makes a command line of the file, for one choice of values.
    contents = yaml.safe_load(Path("reports/wandb", f"{stem}-resnet20.yaml").read_text())
    assert contents["parameters"]["model.optimizer.init_args.lr"] == {"values": [0.01, 0.1]}
    chosen = {name: {"value": values["values"][-1]} for name, values in contents["parameters"].items()}
    arguments = create_sweep_command_args({"args": chosen})["args"]
    command = create_sweep_command(contents["command"])
    line = [word for part in command for word in (arguments if part == "${args}" else [part])]
    assert line[1:4] == ["-m", "resnet_lightning", "fit"]
    capfd.readouterr()
    main(line[3:])
    assert f"{folders[1]}/seed0" in "".join(capfd.readouterr()) and len(list(Path("runs/digits").iterdir())) == 2


@pytest.mark.parametrize(
    ("sweep", "said"),
    [
        ("model.optimizer.init_args.lr=", "a value is missing"),
        ("model.optimizer.init_args.lr=0.1,,0.2", "a value is missing"),
        ("model.optimizer.init_args.lr=0.1,0.2,0.10", "0.10 is there twice"),
        ("model.optimizer.init_args.lr=0.1,1e-1", "1e-1 is there twice"),
        ("model.optimizer.init_args.lr=0.1", "one value is no sweep"),
        ("", "expected a setting and its values"),
        ("0.1,0.2", "expected a setting and its values, such as model.optimizer.init_args.lr=0.05,0.1,0.2"),
        ("data.root=a,b", "data.root is no part of an experiment"),
        ("model.optimizer.init_args.rate=0.1,0.2", "--model.optimizer.rate: there is no such setting"),
        ("model.network.depth=20,many", "--model.network.depth many: expected int"),
    ],
)
def test_a_sweep_that_makes_no_sense_is_refused_before_anything_is_trained(
    tiny: Path, refused: Callable[..., str], sweep: str, said: str
) -> None:
    assert said in refused(*STUDY, f"--sweep={sweep}")
    assert not Path("runs").exists() and not Path("reports").exists()


def test_values_stand_by_factors_where_they_are_far_apart() -> None:
    assert positions(["0.05", "0.1", "0.2"]) == ({"0.05": 0.05, "0.1": 0.1, "0.2": 0.2}, True)
    assert positions(["20", "32", "44"])[1] is False
    assert positions(["A", "B"]) == ({"A": 0.0, "B": 1.0}, False)
