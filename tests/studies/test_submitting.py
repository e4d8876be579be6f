"""A study's runs on a cluster, which is this machine here."""

from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import result
from processes import run

TINY = "data: {init_args: {image_size: 8, padding: 1}}\nmodel: {network: {init_args: {depth: 8}}}\n"

STUDY = ("study", "demo", "--steps=4", "--with=tiny.yaml", "--only", "resnet20", "plain20")


@pytest.fixture
def tiny(workplace: Path) -> Path:
    (workplace / "tiny.yaml").write_text(TINY)
    return workplace


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
