"""Times of studies follow from the speed of finished runs, and from nothing else."""

from collections.abc import Callable
from pathlib import Path

import pytest
from made_up_runs import write_run

from resnet_lightning.cli import main


def test_times_are_those_of_the_runs_that_there_are(workplace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = {"seconds": 3200.0, "device": "CPU, 1 thread", "precision": "bf16-mixed"}
    write_run(Path("runs"), "ResNet-20", **told)  # 64,000 iterations: 20 per second
    short = {"iterations": 6400, "changes": ["max_steps=6400"]}
    write_run(Path("runs"), "plain-20", **short, **told)  # 2 per second
    write_run(Path("runs"), "ResNet-32", **told | {"changes": ["small"]})  # an iteration of another size
    write_run(Path("runs"), "ResNet-44", state="unfinished", **told)
    main(["plan", "--seeds", "2"])
    said = capsys.readouterr().out
    assert "| cifar10/table6/resnet20 | CPU, 1 thread, bf16-mixed | 1 | 20.00 | 53.3 min |" in said
    assert "| cifar10/figure6/plain20 | CPU, 1 thread, bf16-mixed | 1 | 2.00 | 8.9 h |" in said
    assert "| figure1 | CPU, 1 thread, bf16-mixed | 4 | 1 of 2 | > 17.8 h |" in said
    assert "| degradation | CPU, 1 thread, bf16-mixed | 8 | 2 of 4 | > 19.6 h |" in said
    assert "resnet32" not in said and "resnet44" not in said and "demo" not in said


@pytest.mark.parametrize(("arguments", "said"), [(["--seeds", "0"], "--seeds 0"), ([], "no finished run")])
def test_bad_options(workplace: Path, refused: Callable[..., str], arguments: list[str], said: str) -> None:
    assert said in refused("plan", *arguments)
