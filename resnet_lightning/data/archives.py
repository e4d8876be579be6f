"""ImageNet as it comes, tar files in a tar file, where class folders are expected: the commands that unpack it."""

import re
import shlex
from pathlib import Path

from resnet_lightning.data.class_folders import class_names, images_in, some
from resnet_lightning.errors import BadInput

OF_ILSVRC = {"train": "ILSVRC2012_img_train.tar", "val": "ILSVRC2012_img_val.tar"}
WORDNET_ID = re.compile(r"n\d{8}")


def refuse_archives(folder: Path) -> None:
    """Raises BadInput if train or val is an archive still, or holds those of classes.

    An archive stays welcome beside what was unpacked from it.
    """
    whole = OF_ILSVRC.get(folder.name, "")
    if not folder.is_dir():
        for archive in (folder.parent / whole, folder.with_suffix(".tar")):
            if archive.is_file():
                then = f", then {_each(folder)}" * (folder.name == "train")
                raise BadInput(
                    f"{archive} is not unpacked: `mkdir -p {_quoted(folder)} && {_all(archive, folder)}`{then}"
                )
        return
    if images_in(folder)[0]:
        return
    classes = set(class_names(folder))
    tars = [path.name for path in sorted(folder.glob("*.tar")) if path.stem not in classes]
    of_classes = [name for name in tars if WORDNET_ID.fullmatch(Path(name).stem)]
    if of_classes or (tars and not classes):
        left = of_classes or tars
        how = f"`{_all(folder / whole, folder)}`" if left == [whole] else _each(folder, "n" * bool(of_classes))
        raise BadInput(f"{folder} holds what is not unpacked ({some(left)}): {how}")


def _quoted(path: Path) -> str:
    return shlex.quote(str(path))


def _all(archive: Path, folder: Path) -> str:
    return f"tar -xf {_quoted(archive)} -C {_quoted(folder)}"


def _each(folder: Path, start: str = "n") -> str:
    loop = f'for f in {start}*.tar; do mkdir -p "${{f%.tar}}" && tar -xf "$f" -C "${{f%.tar}}"; done'
    return f"`cd {_quoted(folder)} && {loop}`"
