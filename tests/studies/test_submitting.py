"""A study's runs on a cluster, which is this machine here."""

from pathlib import Path

import pytest
from conftest import DEMO, result
from processes import run

from resnet_lightning.errors import BadInput
from resnet_lightning.studies.execution.jobs import Job
from resnet_lightning.studies.execution.submit import submit_jobs


def test_a_study_goes_to_submitit(tiny: Path) -> None:
    Path("local.yaml").write_text("cluster: local\ntimeout_min: 5\n")
    # Not in this process: submitit's own are still ending when the study has what it waits for.
    assert "submitted 2 runs" in run(*DEMO, "--submit=local.yaml")
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
def test_what_cannot_be_submitted(workplace: Path, contents: str | None, reason: str) -> None:
    if contents is not None:
        Path("cluster.yaml").write_text(contents)
    with pytest.raises(BadInput, match=f"cluster.yaml.*{reason}"):
        submit_jobs([Job(Path("r"), [])], Path("cluster.yaml"), retry=False)
