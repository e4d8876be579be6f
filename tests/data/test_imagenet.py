"""ImageNet's folders, lists and batches, on small images of every kind that turns up (section 3.4)."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.io
import torch
from PIL import Image
from torchvision.transforms import v2

from resnet_lightning.data import ImageNet, crops
from resnet_lightning.data.class_folders import class_folders
from resnet_lightning.data.colour import EIGENVALUES, EIGENVECTORS, colour_shift, normalize
from resnet_lightning.data.image_files import TrainingBatch, TrainingFiles
from resnet_lightning.data.listing import validation_images
from resnet_lightning.errors import BadInput

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


def data(**options: Any) -> ImageNet:
    module = ImageNet("images", image_size=32, batch_size=8, workers=0, **options)
    module.setup("fit")
    return module


def test_the_data_decide_classes_and_length(place: Path) -> None:
    module = data()
    assert [module.size(name) for name in ("train", "val", "test")] == [24, 12, 0]
    assert module.title == "images (3 classes, 24 + 12 images) at 32×32"
    assert ImageNet.facts({"root": "images", "batch_size": 256})[:2] == (3, round(600_000 * 24 / 1_281_167))
    assert ImageNet.facts({"root": "nowhere", "batch_size": 256})[:2] == (None, 600_000)


@pytest.mark.parametrize("kind", ["devkit", "wnids", "kaggle", "caffe"])
def test_a_flat_val_takes_the_lists_that_are_in_use(place: Path, kind: str) -> None:
    val, truth = Path("images/val"), {}
    for number, path in enumerate(sorted(val.glob("*/*.[Jp]*"), key=lambda path: path.name[::-1])):
        name = f"ILSVRC2012_val_{number:08}{path.suffix}"
        truth[name] = path.parent.name
        path.rename(val / name)
    for name in CLASSES:
        shutil.rmtree(val / name)
    names = list(truth)
    lists = {
        "devkit": ("ILSVRC2012_validation_ground_truth.txt", [str(3 - CLASSES.index(truth[name])) for name in names]),
        "wnids": ("synsets.txt", [truth[name] for name in names]),
        "kaggle": (
            "LOC_val_solution.csv",
            [
                "ImageId,PredictionString",
                *(f"{Path(n).stem},{truth[n]} 1 2 3 4 {truth[n]} 5 6 7 8" for n in names[::-1]),
            ],
        ),
        "caffe": ("val.txt", [f"{name} {CLASSES.index(truth[name])}" for name in names[::-1]]),
    }
    file, lines = lists[kind]
    Path(file).write_text("\n".join(lines) + "\n")
    if kind == "devkit":  # numbers of its own, here the other way round
        synsets = np.array([(3 - n, name) for n, name in enumerate(CLASSES)], dtype=[("id", "i4"), ("wnid", "U3")])
        scipy.io.savemat("meta.mat", {"synsets": synsets})
    listing = validation_images(val, Path(file), CLASSES)
    found = {Path(listing.path(n)).name: CLASSES[label] for n, label in enumerate(listing.labels.tolist())}
    assert found == truth


@pytest.mark.parametrize(
    ("lines", "named"),
    [
        (["n01"] * 11, "11 lines for 12 images"),
        (["n01"] * 11 + ["n9"], "line 12: 'n9'"),
        (["a 0", "b 3"], "line 2: '3'"),
        (["x 0"] * 12, "no line for"),
        (["1"] * 12, "meta.mat"),
    ],
)
def test_a_list_that_does_not_fit_is_refused(place: Path, lines: list[str], named: str) -> None:
    for path in Path("images/val").glob("*/*.[Jp]*"):
        path.rename(Path("images/val") / path.name)
    Path("list.txt").write_text("\n".join(lines))
    with pytest.raises(BadInput, match=named):
        validation_images(Path("images/val"), Path("list.txt"), CLASSES)


@pytest.mark.parametrize("augmentation", ["scale", "random_resized_crop"])
def test_a_batch_is_what_a_loop_over_its_files_gives(place: Path, augmentation: str) -> None:
    module = data(augmentation=augmentation, colour_sigma=0.1)
    files = module.train_dataloader()
    keys = next(files.keys())
    batch = next(iter(files))
    assert batch.pixels.dtype == torch.uint8 and batch.pixels.shape == (8, 32, 32, 3)
    images, labels = module.on_after_batch_transfer(batch, 0)
    read = crops.random_scale_crop if augmentation == "scale" else crops.random_resized_crop
    listing = module.sets["train"]
    centres = torch.stack([crops.centre_crop(listing.path(n), 32).double() for n in range(24)])
    for (number, seed), image, label in zip(keys, images, labels, strict=True):
        pixels = read(listing.path(number), seed, 32).double() / 255
        expected = pixels + colour_shift(seed, 0.1) - centres.mean(0) / 255
        torch.testing.assert_close(image.permute(1, 2, 0).double(), expected, atol=1e-5, rtol=0)
        assert CLASSES[label] == Path(listing.path(number)).parent.name


def test_colour_shifts_have_the_components_spread() -> None:
    shifts = torch.stack([colour_shift(seed, 0.1) for seed in range(4000)])
    spread = (shifts @ EIGENVECTORS).std(0)
    torch.testing.assert_close(spread, 0.1 * EIGENVALUES, rtol=0.05, atol=1e-4)


def test_normalization_as_torchvision_does_it() -> None:
    pixels = torch.randint(256, (2, 5, 4, 3), dtype=torch.uint8)
    mean, std = torch.tensor([0.4, 0.5, 0.6]), torch.tensor([0.2, 0.3, 0.1])
    expected = v2.functional.normalize(pixels.permute(0, 3, 1, 2) / 255, [0.4, 0.5, 0.6], [0.2, 0.3, 0.1])
    torch.testing.assert_close(normalize(pixels, mean, std), expected)


def epochs_of(files: TrainingFiles, count: int) -> list[TrainingBatch]:
    return [batch for _ in range(count) for batch in files]


@pytest.mark.parametrize("workers", [0, 2])
def test_batches_go_on_in_mid_epoch(place: Path, workers: int) -> None:
    module = data()
    module.workers = workers
    undisturbed = epochs_of(module.train_dataloader(), 3)
    for stop in (1, 3, 4):
        files = module.train_dataloader()
        files.load_state_dict({"batches": stop})
        rest = epochs_of(files, 3 - stop // 3)
        assert len(rest) == 9 - stop
        for one, other in zip(rest, undisturbed[stop:], strict=True):
            assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))
    pixels = [batch.pixels for batch in undisturbed]
    assert not torch.equal(pixels[0], pixels[3])


@pytest.mark.parametrize("world_size", [2, 4])
def test_processes_share_batches_and_evaluate_every_image_once(place: Path, world_size: int) -> None:
    module = data()
    listing = module.sets["train"]
    whole = epochs_of(module.train_dataloader(), 1)
    parts = []
    for rank in range(world_size):
        module._place = lambda rank=rank: (rank, world_size)  # type: ignore[method-assign, misc]
        parts.append(epochs_of(module.train_dataloader(), 1))
    for batch, *shares in zip(whole, *parts, strict=True):
        assert {len(share.labels) for share in shares} == {len(batch.labels) // world_size}
        # In one piece each, in the batch's order: ghost batch normalisation on one device cuts it in the same way.
        assert torch.equal(torch.cat([share.pixels for share in shares]), batch.pixels)
        assert torch.equal(torch.cat([share.labels for share in shares]), batch.labels)
    assert len(listing.paths) == 24
    for evaluation in ("center", "ten_crop", "multi_scale"):
        module.evaluation = evaluation  # type: ignore[assignment]
        counted: list[int] = []
        for rank in range(world_size):
            module._place = lambda rank=rank: (rank, world_size)  # type: ignore[method-assign, misc]
            for _, labels, numbers in module.test_dataloader():
                counted += numbers.tolist()
                assert (module.sets["val"].labels[numbers] == labels).all()
        assert sorted(counted) == list(range(12)), evaluation


def without_class(part: str) -> None:
    shutil.rmtree(Path("images") / part / "n02")


def empty_class() -> None:
    for path in Path("images/train/n02").iterdir():
        path.unlink()


def flat_val() -> None:
    for path in Path("images/val").glob("*/*"):
        path.rename(Path("images/val") / path.name)
    for name in CLASSES:
        (Path("images/val") / name).rmdir()


@pytest.mark.parametrize(
    ("harm", "named"),
    [
        (lambda: without_class("val"), "val has no n02"),
        (lambda: without_class("train"), "val has n02 besides"),
        (empty_class, "n02"),
        (flat_val, "val_map"),
        (lambda: shutil.rmtree("images/train"), "images/train does not exist"),
        (lambda: shutil.rmtree("images/val"), "images/val does not exist"),
        (lambda: shutil.rmtree("images"), "data folder images does not exist"),
    ],
)
def test_folders_that_do_not_fit(
    place: Path, refused: Callable[..., str], harm: Callable[[], None], named: str
) -> None:
    harm()
    assert named in refused("fit", *RUN, *SHORT, "--run=r")
    assert not Path("r/result.json").exists()


@pytest.mark.parametrize(
    ("option", "named"),
    [
        ("--model.network.depth=20", "depth 20"),
        ("--model.network.stride_in=2x2", "2x2"),
        ("--data.image_size=16", "image_size 16"),
        ("--data.batch_size=25", "batch_size 25"),
        ("--data.colour_sigma=-1", "colour_sigma -1"),
        ("--data.workers=-1", "workers -1"),
        ("--data.evaluation=five_crop", "five_crop"),
        ("--data.val_map=nowhere.txt", "nowhere.txt"),
        ("--model.bn_batches=-1", "bn_batches -1"),
    ],
)
def test_options_that_make_no_sense(place: Path, refused: Callable[..., str], option: str, named: str) -> None:
    assert named in refused("fit", *RUN, *SHORT, option, "--run=r")
