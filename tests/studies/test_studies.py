"""A study is one file and a name in one list: what is asked of each, where they are listed, and a stranger's own."""

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import REPOSITORY

from resnet_lightning import studies
from resnet_lightning.cli import main
from resnet_lightning.studies import STUDIES, find_study, overview
from resnet_lightning.studies.experiments import TORCHVISION

OWN = REPOSITORY / "docs/extending.md"


def test_every_file_of_a_study_is_in_the_list_and_its_experiments_are_files() -> None:
    files = Path(studies.__file__).parent.glob("*.py")
    assert sorted(STUDIES) == sorted(path.stem for path in files if "\nSTUDY = " in path.read_text(encoding="utf-8"))
    for name in STUDIES:
        study = find_study(name)
        assert all((REPOSITORY / "experiments" / f"{experiment}.yaml").is_file() for experiment in study.experiments)
        assert bool(study.evaluations) == bool(study.command)
    assert TORCHVISION.keys() <= {*find_study("table3").experiments}


def test_make_and_the_command_list_the_same_studies() -> None:
    command = ["make", "--silent", "help"]
    printed = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout
    made = [line.removeprefix("  make ") for line in printed.splitlines()[: len(STUDIES)]]
    assert [line.split(maxsplit=1) for line in made] == [line.split(maxsplit=1) for line in overview().splitlines()]


def test_a_study_of_ones_own(
    workplace: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    section = OWN.read_text(encoding="utf-8").partition("## A study of your own")[2]
    [code] = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
    (workplace / "own").mkdir()
    (workplace / "own/parameters.py").write_text(code, encoding="utf-8")
    monkeypatch.setattr(studies, "__path__", [*studies.__path__, str(workplace / "own")])
    monkeypatch.setattr(studies, "STUDIES", (*STUDIES, "parameters"))
    (workplace / "results").symlink_to(REPOSITORY / "results")
    assert "  parameters   Test errors against parameters on CIFAR-10" in overview()
    main(["report", "parameters"])
    table = Path("reports/parameters.md").read_text(encoding="utf-8")
    assert table.startswith("**Errors against parameters. CIFAR-10 (JPEG), full length")
    assert "| ResNet-20 | 269,722 | 12.44 | 1 |" in table
    assert Path("reports/parameters.svg").exists() and "6,000" in Path("reports/parameters.html").read_text("utf-8")
    capsys.readouterr()


def test_a_study_of_ones_own_in_yaml(workplace: Path, refused: Callable[..., str]) -> None:
    (workplace / "results").symlink_to(REPOSITORY / "results")
    study = workplace / "mine.yaml"

    def says(text: str) -> str:
        study.write_text(text, encoding="utf-8")
        return refused("report", "mine.yaml")

    assert "mine.yaml has no experiments: expected title: words, and experiments: [" in says("title: mine\n")
    assert "mine.yaml has the title 2024: expected" in says("title: 2024\nexperiments: [digits/plain20]\n")
    assert "mine.yaml has seeds, which is nothing that a study has" in says("title: mine\nseeds: 3\n")
    assert "is listed twice" in says("title: a\nexperiments: [digits/plain20, experiments/digits/plain20.yaml]\n")
    assert "mine.yaml: digits/plain21: there is no such experiment" in says("title: a\nexperiments: [digits/plain21]\n")
    study.write_text("title: Mine\nexperiments: [cifar10/table6/resnet20, cifar10/figure6/plain20]\n", encoding="utf-8")
    main(["report", "mine.yaml"])
    table = Path("reports/mine.md").read_text(encoding="utf-8")
    assert "| resnet20 | 269,722 | 1.34 | 12.44 | 1 |" in table and "| plain20 | " in table
    assert "After section" not in Path("reports/mine.html").read_text("utf-8") and Path("reports/mine.svg").exists()
