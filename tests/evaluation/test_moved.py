"""A run that was moved is evaluated where it is now."""

import shutil
from pathlib import Path

import pytest

from resnet_lightning.cli import main


@pytest.mark.parametrize(("command", "file"), [("test", "test-center.json"), ("predict", "predictions-center.json")])
def test_a_moved_run_is_evaluated_in_its_folder(command: str, file: str, finished: Path, workplace: Path) -> None:
    shutil.copytree(finished, "moved")  # its configuration names "a run"
    main([command, "--config=moved/config.yaml", "--ckpt_path=moved/checkpoints/iteration=22.ckpt"])
    assert Path("moved", file).is_file() and not Path("a run").exists()
