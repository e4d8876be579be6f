"""Whatever is given wrong is said on one line that names it, with status 2, and nothing that was there is lost."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path

import pytest
import torch
from conftest import QUICK, fit, result

from resnet_lightning.cli import main

CIFAR = ("--config=experiments/cifar10/base.yaml", "--config=experiments/cifar10/table6/resnet20.yaml")
SHORT = "--trainer.max_steps=2"  # what is not refused as it should be is over soon
Refused = Callable[..., str]


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["fit", *QUICK, "--model.network.depth=21"], "depth 21"),
        (["fit", *QUICK, "--model.network.shortcut=D"], "shortcut"),
        (["fit", *QUICK, "--model.network.shortcut=D"], "D"),
        (["fit", *QUICK, "--trainer.max_steps=0"], "max_steps 0"),
        (["fit", *QUICK, "--trainer.max_steps=-1"], "max_steps -1"),
        (["fit", *QUICK, "--trainer.max_steps=many"], "max_steps"),
        (["fit", *QUICK, "--trainer.max_steps=2", "--trainer.log_every_n_steps=0"], "log_every_n_steps"),
        (["fit", *QUICK, SHORT, "--checkpoint_every=0"], "checkpoint_every"),
        (["fit", *QUICK, SHORT, "--trainer.val_check_interval=0"], "val_check_interval 0"),
        (["fit", *QUICK, SHORT, "--data.batch_size=2000"], "batch_size 2000"),
        (["fit", *QUICK, SHORT, "--data.batch_size=0"], "batch_size 0"),
        (["fit", *QUICK, SHORT, "--model.optimizer.init_args.lr=-0.1"], "model.optimizer"),
        (["fit", *QUICK, SHORT, "--seed_everything=-1"], "seed_everything -1"),
        (["fit", *QUICK, SHORT, "--ckpt_path=last"], "ckpt_path last"),
        (["test", *QUICK, "--ckpt_path=last"], "ckpt_path last"),
        (["fit", *QUICK, "--trainer.max_step=2"], "trainer.max_step"),
        (["fit", *QUICK, "--model.network.depht=20"], "depht"),
        (["fit", *QUICK, "--seed=1"], "seed"),
        (["fit", *QUICK, "--seed_everything=one"], "seed_everything"),
        (["fit", *QUICK, "stray"], "stray"),
        (["fit"], "model"),
        (["fit", "--config=experiments/cifar10/base.yaml", "--config=experiments/cifar10/resnet20.yaml"], "resnet20"),
        (["fit", *QUICK, "--data.root=elsewhere"], "root"),
        (["fit", *CIFAR, "--data.root=elsewhere", "--data.download=false"], "elsewhere"),
        (["fit", *CIFAR, "--data.image_size=20"], "image_size 20"),
        (["fit", *QUICK, "--ckpt_path=nowhere.ckpt"], "nowhere.ckpt"),
        (["test", *QUICK, "--ckpt_path=nowhere.ckpt"], "nowhere.ckpt"),
        (["test", *QUICK], "ckpt_path"),
        (["predict", *QUICK], "ckpt_path"),
        (["fti", *QUICK], "fti"),
        (["study"], "name"),
        (["study", "table99"], "table99"),
        (["study", "demo", "--only", "resnet21"], "resnet21"),
        (["study", "demo", "--steps", "0"], "STEPS=0"),
        (["study", "demo", "--jobs", "0"], "JOBS=0"),
        (["study", "demo", "--seeds", "one"], "seeds"),
        (["study", "demo", "--with", "missing.yaml"], "missing.yaml"),
        (["study", "table6", "--data", "elsewhere"], "elsewhere"),
        (["report"], "report NAME"),
        (["report", "table99"], "table99"),
    ],
    ids=lambda value: " ".join(value[:1] + value[-1:]) if isinstance(value, list) else value,
)
def test_what_is_wrong_is_named(workplace: Path, refused: Refused, arguments: list[str], named: str) -> None:
    assert named in refused(*arguments)
    assert not [path for path in workplace.rglob("*") if path.is_file() and "experiments" not in path.parts]


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("model: {network: {init_args: {depht: 20}}}", "depht"),
        ("modle: {compile: true}", "modle"),
        ("trainer: {max_step: 2}", "max_step"),
        ("trainer: [", "typo.yaml"),
        ("model: {schedule: {class_path: resnet_lightning.schedules.Stairs}}", "Stairs"),
        ("data: {class_path: resnet_lightning.data.CIFAR100}", "CIFAR100"),
    ],
)
def test_a_mistake_in_a_file_is_named(workplace: Path, refused: Refused, text: str, named: str) -> None:
    Path("typo.yaml").write_text(text)
    assert named in refused("fit", *QUICK, SHORT, "--config=typo.yaml")


@pytest.mark.parametrize("command", ["fit", "test", "validate", "predict"])
def test_a_checkpoint_of_another_network(workplace: Path, finished: Path, refused: Refused, command: str) -> None:
    path = f"--ckpt_path={finished / 'checkpoints' / 'iteration=22.ckpt'}"
    line = refused(command, *QUICK, "--model.network.depth=14", path, "--run=r")
    assert "ResNet-8" in line and "ResNet-14" in line


@pytest.mark.parametrize("name", ["result.json", "config.yaml", "metrics.csv", "checkpoints/iteration=11.ckpt"])
def test_a_damaged_file_of_a_run(workplace: Path, finished: Path, refused: Refused, name: str) -> None:
    shutil.copytree(finished, "r")
    Path("r", "result.json").unlink()
    Path("r", "checkpoints", "iteration=22.ckpt").rename("r/checkpoints/iteration=11.ckpt")
    Path("r", "checkpoints", "iteration=abc.ckpt").touch()  # not a name of ours: none of our business
    Path("r", name).write_bytes(b"{\xff[")
    assert f"r/{name}" in refused("fit", *QUICK, "--trainer.max_steps=22", "--run=r")


@pytest.mark.long
def test_a_study_does_not_take_another_run_for_its_own(workplace: Path, refused: Refused) -> None:
    settings = "data: {{init_args: {{image_size: 8, padding: 1}}}}\nmodel: {{network: {{init_args: {{depth: {}}}}}}}\n"
    arguments = ["study", "demo", "--steps=2", "--only", "resnet20", "--seeds", "0", "0", "--with", "mine.yaml"]
    Path("mine.yaml").write_text(settings.format(8))
    main(arguments)
    Path("mine.yaml").write_text(settings.format(14))
    line = refused(*arguments)
    assert "resnet20@max_steps=2,mine/seed0" in line and "depth was 8, is 14" in line
    Path("mine.yaml").write_text(settings.format(8))
    info = Path("runs/digits/resnet20@max_steps=2,mine/seed0/run.json")
    info.write_text(info.read_text().replace("digits at 8×8", "other digits"))
    info.with_name("result.json").unlink()  # a finished run is shown under its own data's name
    assert "other digits" in refused(*arguments)


@pytest.mark.parametrize(
    ("command", "damage"),
    [*product(("fit", "test"), ("cut short", "empty", "text", "another's")), ("fit", "weights only")],
)
def test_a_damaged_checkpoint(workplace: Path, finished: Path, refused: Refused, command: str, damage: str) -> None:
    path = Path("checkpoint.ckpt")
    content = (finished / "checkpoints" / "iteration=22.ckpt").read_bytes()
    if damage == "another's":
        torch.save({"model": 1}, path)
    elif damage == "weights only":
        torch.save(torch.load(finished / "checkpoints" / "iteration=22.ckpt", weights_only=True)["state_dict"], path)
    else:
        path.write_bytes({"cut short": content[: len(content) // 2], "empty": b"", "text": b"hello\n"}[damage])
    assert "checkpoint.ckpt" in refused(command, *QUICK, "--ckpt_path=checkpoint.ckpt", "--run=r")


@pytest.mark.parametrize(
    ("option", "named"),
    [("--trainer.max_steps=44", "trainer.max_steps was 22, is 44"), ("--seed_everything=1", "seed")],
)
def test_a_folder_of_another_run(workplace: Path, finished: Path, refused: Refused, option: str, named: str) -> None:
    shutil.copytree(finished, "r")
    Path("r", "result.json").unlink()
    line = refused("fit", *QUICK, "--trainer.max_steps=22", option, "--run=r")
    assert named in line and "r holds a run of another configuration" in line


def test_a_damaged_result(workplace: Path, refused: Refused) -> None:
    Path("r").mkdir()
    Path("r", "result.json").write_text('{"state": ')
    assert "r/result.json" in refused("fit", *QUICK, SHORT, "--run=r")


@pytest.mark.parametrize("name", ["runs", "r/checkpoints"])
def test_a_file_where_a_folder_belongs(workplace: Path, refused: Refused, name: str) -> None:
    Path(name).parent.mkdir(exist_ok=True)
    Path(name).touch()
    assert name in refused("fit", *QUICK, SHORT, *([] if name == "runs" else ["--run=r"]))


@pytest.mark.parametrize("name", ["result.json", "run.json", "checkpoints/iteration=22.ckpt"])
def test_a_folder_where_a_file_belongs(workplace: Path, finished: Path, refused: Refused, name: str) -> None:
    shutil.copytree(finished, "r")
    Path("r", "result.json").unlink()
    Path("r", name).unlink(missing_ok=True)
    Path("r", name).mkdir()
    assert f"r/{name}" in refused("fit", *QUICK, "--trainer.max_steps=22", "--run=r")


def test_a_damaged_image_is_named(png_folders: Path, workplace: Path, refused: Refused) -> None:
    image = png_folders / "train" / "frog" / "0003.png"
    os.truncate(image, 300)
    assert str(image) in refused("fit", *CIFAR, f"--data.root={png_folders}", "--data.batch_size=20", SHORT)


# A full disk --------------------------------------------------------------------------------------------------------


@pytest.fixture
def small_disk(workplace: Path) -> Iterator[Path]:
    """A disk that holds two checkpoints of 8 layers (0.6 MB each), but not three."""
    disk = workplace / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1600k", "tmpfs", str(disk)]
    if not shutil.which("mount") or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("mounting a small disk is not permitted here")
    yield disk
    subprocess.run(["umount", "--lazy", str(disk)], check=True)


def test_a_full_disk_leaves_the_last_checkpoint(small_disk: Path, refused: Refused) -> None:
    arguments = (*QUICK, "--trainer.max_steps=8", "--checkpoint_every=2", f"--run={small_disk / 'r'}")
    line = refused("fit", *arguments)
    assert "no space left" in line and "iteration=6.ckpt" in line and "iteration=4.ckpt" in line
    left = sorted(path.name for path in (small_disk / "r" / "checkpoints").glob("*.ckpt"))
    assert left == ["iteration=2.ckpt", "iteration=4.ckpt"]
    subprocess.run(["mount", "-o", "remount,size=10m", str(small_disk)], check=True)
    fit(*arguments[len(QUICK) :])
    assert result(small_disk / "r")["state"] == "finished"


def test_a_disk_that_is_full_from_the_start(small_disk: Path, refused: Refused) -> None:
    with pytest.raises(OSError), (small_disk / "filler").open("wb", buffering=0) as filler:
        while True:
            filler.write(bytes(4096))
    assert str(small_disk) in refused("fit", *QUICK, SHORT, f"--run={small_disk / 'r'}")
