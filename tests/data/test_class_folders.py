"""What lies in data folders besides images in the folders of their classes, and how ImageNet is handed round."""

import os
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image
from torchvision.datasets import ImageFolder

from resnet_lightning.data import CIFAR10, ImageNet
from resnet_lightning.data.class_folders import class_folders, list_class_folders, report_left_out
from resnet_lightning.errors import BadInput

CLASSES = ("n00000001", "n00000002")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """train and val of two classes, two images each."""
    class_folders.cache_clear()
    report_left_out.cache_clear()
    for part in ("train", "val"):
        for name in CLASSES:
            for number in range(2):
                image(tmp_path / part / name / f"{number}.png")
    return tmp_path


def image(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (40, 36)).save(path, "PNG")


def module(root: Path | str, **options: str) -> ImageNet:
    data = ImageNet(str(root), image_size=32, batch_size=2, workers=0, **options)  # type: ignore[arg-type]
    data.setup("fit")
    return data


def refusal(root: Path, **options: str) -> str:
    with pytest.raises(BadInput) as caught:
        module(root, **options)
    return str(caught.value)


def names(folder: Path) -> list[str]:
    listing = list_class_folders(folder)
    return [os.path.relpath(listing.path(number), folder) for number in range(len(listing.paths))]


def test_the_order_is_torchvisions(root: Path) -> None:
    for path in ("a/x.png", "a-b/x.JPEG", "a/b/x.png", "b.png", "B.png", "a.png", "é.png"):
        image(root / "train" / CLASSES[0] / path)
    theirs, listing = ImageFolder(str(root / "train")), list_class_folders(root / "train")
    ours = [(listing.path(number), label) for number, label in enumerate(listing.labels.tolist())]
    assert ours == theirs.samples and list(listing.classes) == theirs.classes and len(ours) == 11


def test_endings_are_read_or_counted_once(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = root / "train" / CLASSES[0]
    for name in ("a.jfif", "a.GIF", "a.avif", "a.jp2", "a.Jpe", "a.tga"):
        image(folder / name)  # what is in a file decides how it is read
    for name in ("a.heic", "b.heic", "notes.txt", "._a.png", ".DS_Store", "Thumbs.db", "README"):
        (folder / name).touch()
    image(root / "train" / "loose.png")
    assert {"a.jfif", "a.GIF", "a.avif", "a.jp2", "a.Jpe", "a.tga"} <= {
        Path(name).name for name in names(root / "train")
    }
    assert module(root).size("train") == 10
    module(root)
    said = f"{root / 'train'}: left out 2 .heic, 1 .png beside the class folders, "
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith(said) and all(f"1 {rest}" in line for rest in (".txt", "hidden", "without an ending"))


def test_cifar_counts_them_too(png_folders: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report_left_out.cache_clear()
    (png_folders / "train/cat/a.heic").touch()
    (png_folders / "train/cat/0000.png").rename(png_folders / "train/cat/0000.gif")
    (png_folders / "test/.ipynb_checkpoints").mkdir()
    data = CIFAR10(str(png_folders), batch_size=10)
    data.prepare_data()
    data.setup("fit")
    assert data.size("train") == 260 and data.size("test") == 50
    assert capsys.readouterr().err == f"{png_folders / 'train'}: left out 1 .heic\n"
    (png_folders / "train/cat/0001.png").unlink()
    (png_folders / "train/cat/0001.png").symlink_to("gone.png")
    with pytest.raises(BadInput, match=r"train/cat/0001\.png.*No such file"):
        CIFAR10(str(png_folders)).prepare_data()


def test_hidden_folders_and_those_of_systems_are_no_classes(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in (".ipynb_checkpoints", "__MACOSX", "@eaDir", "lost+found", "$RECYCLE.BIN"):
        (root / "train" / name).mkdir()
        image(root / "train" / CLASSES[0] / name / "thumbnail.png")
    assert names(root / "train") == [f"{name}/{number}.png" for name in CLASSES for number in range(2)]
    assert module(root).sets["train"].classes == CLASSES and not capsys.readouterr().err


def test_links_and_pipes(root: Path) -> None:
    folder = root / "train" / CLASSES[0]
    (folder / "above").symlink_to("..")
    (folder / "round").symlink_to(".")
    os.mkfifo(folder / "pipe.png")  # reading it would wait for ever
    listing = list_class_folders(root / "train")
    assert listing.left_out == "1 .png" and len(listing.paths) < 12
    (root / "train" / "n00000003").symlink_to("/nowhere/n00000003")
    assert "n00000003 is a link to /nowhere/n00000003, which does not exist" in refusal(root)


def test_the_home_folder(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(root.parent))
    assert module(f"~/{root.name}").size("train") == 4
    assert CIFAR10("~/x").root == root.parent / "x"
    with pytest.raises(BadInput, match="home folder"):
        ImageNet("~nobody-of-this-name/x")


def commands(line: str) -> list[str]:
    return line.split("`")[1::2]


@pytest.mark.parametrize("first", ["whole", "inside", "nested"])
def test_imagenet_as_it_comes_is_unpacked_by_the_commands_given(root: Path, first: str) -> None:
    train = root / "train"
    for name in CLASSES:
        with tarfile.open(root / f"{name}.tar", "w") as file:
            for path in (train / name).iterdir():
                file.add(path, path.name)
    subprocess.run(["rm", "-r", train], check=True)
    place = {"whole": root, "inside": train, "nested": train}[first]
    place.mkdir(exist_ok=True)
    if first == "nested":
        for name in CLASSES:
            (root / f"{name}.tar").rename(train / f"{name}.tar")
    else:
        with tarfile.open(place / "ILSVRC2012_img_train.tar", "w") as file:
            for name in CLASSES:
                file.add(root / f"{name}.tar", f"{name}.tar")
    for _ in range(2):
        try:
            module(root)
            break
        except BadInput as error:
            for command in commands(str(error)):
                subprocess.run(["sh", "-ec", command], check=True)
    assert module(root).size("train") == 4  # with the archives still there
    subprocess.run(["rm", "-r", train / CLASSES[1]], check=True)
    (train / f"{CLASSES[1]}.tar").touch()
    class_folders.cache_clear()
    assert f"holds what is not unpacked ({CLASSES[1]}.tar)" in refusal(root)


def test_tiny_imagenets_val(root: Path) -> None:
    val, lines = root / "val", []
    (val / "images").mkdir()
    for name in CLASSES:
        for path in sorted((val / name).iterdir()):
            path.rename(val / "images" / f"val_{len(lines)}.JPEG")
            lines.append(f"val_{len(lines)}.JPEG\t{name}\t0\t0\t62\t57")
        (val / name).rmdir()
    (val / "val_annotations.txt").write_text("\n".join(lines), encoding="utf-8")
    line = refusal(root)
    assert f"--data.val_map={val / 'val_annotations.txt'}" in line
    assert module(root, val_map=str(val / "val_annotations.txt")).sets["val"].labels.tolist() == [0, 0, 1, 1]


def empty(root: Path) -> None:
    for path in (root / "train" / CLASSES[1]).iterdir():
        path.rename(path.with_suffix(".heic"))


@pytest.mark.parametrize(
    ("harm", "named"),
    [
        (empty, f"no images in {CLASSES[1]} (only 2 .heic)"),
        (lambda root: [path.rename(root / path.name) for path in (root / "train").iterdir()], "holds no class folders"),
    ],
)
def test_what_is_missing_is_named(root: Path, harm: Callable[[Path], object], named: str) -> None:
    harm(root)
    assert named in refusal(root)
