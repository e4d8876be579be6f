"""What compat.py relies upon in its libraries: these fail where an update has changed it, and say what."""

import ast
from argparse import ArgumentParser
from pathlib import Path

import jsonargparse
import pytest
import torch
from flufl.lock import Lock
from lightning import Trainer
from lightning.pytorch.loggers import WandbLogger
from torch import nn

import resnet_lightning
from resnet_lightning import compat

PACKAGE = Path(resnet_lightning.__file__).parent


def test_private_attributes_are_used_in_one_place() -> None:
    """A name with one underscore, of anything that is not the object's own or this package's; os._exit is public."""
    found = []
    for path in PACKAGE.rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        own = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and node.attr.startswith("_") and not node.attr.endswith("__"):
                mine = ast.unparse(node.value) in ("self", "cls", "os") or node.attr in own | {"_asdict", "_replace"}
                if not mine and path.name != "compat.py":
                    found.append(f"{path.relative_to(PACKAGE)}:{node.lineno} {ast.unparse(node)}")
    assert not found


def test_lightning_has_the_loop_that_evaluates_while_training() -> None:
    loop = Trainer(logger=False, enable_checkpointing=False).fit_loop.epoch_loop.val_loop
    assert loop._has_run is False and loop.restarting is False and callable(loop.run)


def test_compiled_code_can_be_exchanged() -> None:
    network = nn.Linear(1, 1)
    assert compat.exchange_compiled(network, lambda x: "compiled") is None
    assert network(torch.zeros(1)) == "compiled"  # as torch calls what torch.compile has made
    assert compat.exchange_compiled(network, None)(0) == "compiled"
    assert isinstance(network(torch.zeros(1)), torch.Tensor)


def test_views_share_a_memory_on_the_meta_device() -> None:
    one, other = (torch.empty(4, 4, device="meta") for _ in range(2))
    assert compat.storage_identity(one) == compat.storage_identity(one.view(16)) != compat.storage_identity(other)


def test_norms_of_several_tensors() -> None:
    assert [float(norm) for norm in compat.norms([torch.full((4,), 2.0), torch.zeros(3)])] == [4, 0]


def test_a_logger_of_wandb_keeps_what_it_begins_its_run_with(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import wandb

    logger = WandbLogger(save_dir=tmp_path, settings=wandb.Settings(mode="online"))
    assert "anonymous" in logger._wandb_init  # else without_anonymous is of no use any more
    compat.record_offline(logger)
    compat.without_anonymous(logger)
    assert logger._wandb_init["settings"].mode == "offline" and "anonymous" not in logger._wandb_init


def test_a_lock_goes_by_the_name_that_it_is_given_and_breaks_an_empty_one(tmp_path: Path) -> None:
    lock = Lock(str(tmp_path / "a.lock"))
    compat.name_host(lock, "here")
    assert lock.hostname == "here" and "|here|" in lock.claimfile
    (tmp_path / "a.lock").touch()
    compat.break_unreadable(lock)
    lock._break()
    assert not (tmp_path / "a.lock").exists()
    lock.lock(timeout=5)
    assert lock.is_locked
    lock.unlock()


def test_a_parser_lists_its_options() -> None:
    parser = ArgumentParser()
    parser.add_argument("--data.workers")
    assert "data.workers" in compat.option_names(parser)


def test_configurations_are_utf8_whatever_the_locale(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compat.read_configurations_as_utf8()
    file = tmp_path / "8×8.yaml"
    file.write_text("a: ×", encoding="utf-8")
    found = vars(jsonargparse)["Path"](str(file), mode="fr")
    assert not (found._std_io or found._is_url or found._is_fsspec) and found._absolute == str(file)
    assert found.read_text() == "a: ×"
