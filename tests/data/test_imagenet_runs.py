"""Runs, tests and studies of ImageNet, on small images of every kind that turns up (section 3.4)."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from conftest import result, same, weights
from PIL import Image
from processes import Forked, wait_for
from torchvision.transforms import v2

from resnet_lightning.cli import main
from resnet_lightning.data import crops
from resnet_lightning.data.class_folders import class_folders

CLASSES = ("n01", "n02", "n03")

SIZES = ((40, 60), (60, 40), (48, 48), (20, 16))  # the last is smaller than the crop

RUN = (
    "--config=experiments/imagenet/base.yaml",
    "--config=experiments/imagenet/table2/resnet18.yaml",
    "--data.root=images",
    "--data.image_size=32",
    "--data.batch_size=8",
    "--data.workers=0",
    "--model.bn_batches=2",
)

SHORT = ("--trainer.max_steps=2", "--trainer.log_every_n_steps=1", "--trainer.val_check_interval=2")


def write_images(root: Path) -> Path:
    """train with 8 and val with 4 images of each class: RGB, grey and CMYK JPEGs and a PNG."""
    random = np.random.default_rng(0)
    for part, count in (("train", 8), ("val", 4)):
        for name in CLASSES:
            folder = root / part / name
            folder.mkdir(parents=True)
            for number in range(count):
                coarse = Image.fromarray(random.integers(0, 256, (6, 6, 3), dtype=np.uint8))
                image = coarse.resize(SIZES[number % 4], Image.Resampling.BICUBIC)
                image = image.convert({1: "L", 2: "CMYK"}.get(number, "RGB"))
                image.save(folder / f"{name}_{part}_{number}.{'png' if number == 3 else 'JPEG'}")
    return root


@pytest.fixture
def place(workplace: Path) -> Path:
    """A working folder with experiments and images."""
    write_images(workplace / "images")
    class_folders.cache_clear()
    return workplace


def test_a_killed_run_ends_as_if_nothing_had_happened(place: Path) -> None:
    plateau = [
        "--config=experiments/imagenet/plateau.yaml",
        "--model.schedule.patience=1",
        "--model.schedule.every=2",
        "--model.schedule.threshold=100",
    ]
    arguments = [
        "fit",
        *RUN,
        *plateau,
        "--trainer.max_steps=8",
        "--trainer.val_check_interval=2",
        "--checkpoint_every=2",
    ]
    main([*arguments, "--run=whole"])
    rates = [row.split(",") for row in Path("whole/metrics.csv").read_text().splitlines()]
    assert float(rates[-1][rates[0].index("lr")]) < 0.1  # it did plateau
    process = Forked(*arguments, "--run=killed")
    wait_for(Path("killed/checkpoints/iteration=4.ckpt"), process)
    process.kill()
    main([*arguments, "--run=killed"])
    assert same(weights("whole", 8), weights("killed", 8))
    assert result("whole")["val_error"] == result("killed")["val_error"]


def test_weights_of_torchvision_are_tested(place: Path, refused: Callable[..., str]) -> None:
    network = torchvision.models.resnet34(num_classes=3).eval()
    Path("w").mkdir()
    torch.save(network.state_dict(), "w/resnet34-0000.pth")
    small = Path("tiny.yaml")
    small.write_text("data: {init_args: {image_size: 32, workers: 0}}\n")
    main(["study", "table3", "--data=images", "--weights=w", "--with=tiny.yaml"])
    [folder] = Path("runs/imagenet/table3").glob("resnet34b@*weights=resnet34-0000/seed0")
    measured = json.loads((folder / "test-ten_crop.json").read_text())
    assert (measured["images"], json.loads((folder / "run.json").read_text())["weights"]) == (12, "resnet34-0000.pth")
    transform = v2.functional
    listing = class_folders(Path("images/val"))
    losses = []
    for number, label in enumerate(listing.labels.tolist()):
        five = crops.five_crops(listing.path(number), 32)
        values = transform.normalize(
            torch.cat((five, five.flip(2))).permute(0, 3, 1, 2) / 255, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
        )
        with torch.no_grad():
            losses.append(-network(values).softmax(1).mean(0)[label].log().item())
    assert measured["loss"] == pytest.approx(np.mean(losses), rel=0.02)  # in bfloat16 where the CPU has it
    assert "weights: resnet34-0000.pth" in Path("reports/table3.md").read_text()
    assert "WEIGHTS=." in refused("study", "table3", "--data=images", "--weights=.")
    leaf = "--config=experiments/imagenet/table3/resnet34b.yaml"
    wrong = ["test", RUN[0], leaf, *RUN[2:], "--model.bn_batches=0", "--ckpt_path=w/wrong.pth"]
    torch.save(torchvision.models.resnet18(num_classes=3).state_dict(), "w/wrong.pth")
    assert "configured ResNet-34 B: it lacks layer1.2" in refused(*wrong)
    torch.save(torchvision.models.resnet34(num_classes=1000).state_dict(), "w/wrong.pth")
    assert "1,000 classes" in refused(*wrong)
    Path("w/wrong.pth").write_text("no weights")
    assert "wrong.pth" in refused(*wrong)


def test_damaged_images_stop_the_run_or_are_counted(place: Path, refused: Callable[..., str]) -> None:
    damaged = Path("images/train/n02/n02_train_0.JPEG"), Path("images/val/n03/n03_val_1.JPEG")
    for path in damaged:
        path.write_bytes(path.read_bytes()[:-200])
    workers = "--data.workers=2"
    line = refused("fit", *RUN, *SHORT, workers, "--run=r")
    assert "n02_train_0.JPEG is damaged" in line and "skip_damaged" in line
    main(["fit", *RUN, *SHORT, workers, "--run=s", "--data.skip_damaged=true"])
    assert result("s")["damaged_images"] == 2
    for evaluation in ("center", "ten_crop", "multi_scale"):
        main(
            [
                "test",
                "--config=s/config.yaml",
                "--ckpt_path=s/checkpoints/iteration=2.ckpt",
                f"--data.evaluation={evaluation}",
                "--model.bn_batches=0",
            ]
        )
        measured = json.loads(Path(f"s/test-{evaluation}.json").read_text())
        assert (measured["images"], measured["damaged_images"]) == (11, 1)
    main(["predict", "--config=s/config.yaml", "--ckpt_path=s/checkpoints/iteration=2.ckpt", "--model.bn_batches=0"])
    labels = np.load("s/predictions-center.npy")["label"]
    assert labels.tolist() == [0] * 4 + [1] * 4 + [2, -2, 2, 2]


@pytest.mark.long
def test_the_tables_study_runs_tests_and_reports(place: Path, capfd: pytest.CaptureFixture[str]) -> None:
    Path("tiny.yaml").write_text(
        "data: {init_args: {image_size: 32, batch_size: 8, workers: 0}}\nmodel: {bn_batches: 1}\ncheckpoint_every: 2\n"
    )
    chosen = ["--data=images", "--steps=2", "--with=tiny.yaml", "--only"]
    main(["study", "table2", *chosen, "resnet18"])
    main(["study", "table5", *chosen, "resnet34b"])
    measured = json.loads(Path("runs/imagenet/table2/resnet18@max_steps=2,tiny/seed0/test-ten_crop.json").read_text())
    printed = capfd.readouterr().out
    assert f"{measured['error']:.2f}" in printed
    assert (
        "images (3 classes, 24 + 12 images) at 32×32" in printed
        and "27.88" not in Path("reports/table2.md").read_text()
    )
    main(["report", "figure4"])
    assert list(Path("reports").glob("figure4*.png"))
    [ensemble] = Path("runs").glob("imagenet/table3/resnet34b@*/seed0")
    main(["ensemble", str(ensemble), str(ensemble)])
    assert "2 networks, multi_scale, 12 images" in capfd.readouterr().out
