"""`new` writes an experiment that is what was asked for, and nothing where that makes no sense."""

import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from resnet_lightning.cli import main
from resnet_lightning.runs.command_line import prepare

IDEA = "--model.network.init_args.shortcut"


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder without experiments: the package's are found."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("origin", "options", "file", "settings"),
    [
        ("cifar10/table6/resnet20", f"{IDEA} C", "cifar10/mine/idea", {"network": {"depth": 20, "shortcut": "C"}}),
        (
            "experiments/digits/resnet20.yaml",
            "--model.optimizer.lr=0.05",
            "digits/mine/idea",
            {"optimizer": {"lr": 0.05}},
        ),
        (
            "digits/resnet20",
            "--model.network=resnet_lightning.networks.wide.wide_resnet "
            "--model.network.width=2 --model.network.depth=16",
            "digits/mine/idea",
            {"network": {"width": 2, "depth": 16}},
        ),
    ],
)
@pytest.mark.filterwarnings("ignore::DeprecationWarning:lightning")
def test_the_file_is_the_experiment_with_these_settings(
    empty: Path, origin: str, options: str, file: str, settings: dict[str, dict[str, object]]
) -> None:
    main(["new", "mine/idea", "--from", origin, *options.split()])
    path = Path(f"experiments/{file}.yaml")
    text = path.read_text()
    assert len(text.splitlines()) <= 10 and text.startswith("# idea: ")
    model = yaml.safe_load(text)["model"]
    assert all(settings[part].items() <= model[part]["init_args"].items() for part in settings)
    [command] = re.findall(r"^#   resnet-lightning fit (.*)$", text, re.MULTILINE)
    run = prepare(shlex.split(command))  # as it is read back
    assert run.experiment == file and run.folder == Path("runs") / file / "seed0"
    written = vars(run.config.model)
    assert all(settings[part].items() <= vars(written[part].init_args).items() for part in settings)


def test_what_makes_no_sense_is_told_and_nothing_is_written(empty: Path, refused: Callable[..., str]) -> None:
    def new(*options: str, origin: str = "digits/resnet20", name: str = "mine/idea") -> str:
        said = refused("new", name, "--from", origin, *options)
        assert not Path("experiments").exists()
        return said

    assert "--model.network.shortcut D: expected one of A, B, C, none" in new(IDEA, "D")
    assert "did you mean --model.network.depth" in new("--model.network.depht=8")
    assert "depth" in new("--model.network.depth=9")
    assert "nothing is changed, the experiment has these values already" in new(IDEA, "A")
    assert "nothing is changed: name a setting" in new()
    assert "--data.root: it is no part of an experiment" in new("--data.root=x")
    assert "there is no such experiment" in new(IDEA, "C", origin="digits/resnet21")
    assert "is no name of an experiment" in new(IDEA, "C", name="../idea")
    assert "exists already" in new(IDEA, "C", name="digits/plain20")
    assert "usage: resnet-lightning new NAME" in refused("new", "mine/idea", IDEA, "C")
    assert "'idea' belongs to no option" in refused("new", "my", "idea", "--from", "digits/resnet20", IDEA, "C")


def test_a_file_is_not_overwritten(empty: Path, refused: Callable[..., str]) -> None:
    path = Path("experiments/digits/mine/idea.yaml")
    path.parent.mkdir(parents=True)
    path.write_text("mine\n")
    assert f"{path} exists already" in refused("new", "mine/idea", "--from", "digits/resnet20", IDEA, "C")
    assert path.read_text() == "mine\n"
