"""Packed runs are put back: checked first, then moved into place, whole or not at all."""

import gzip
import shutil
import tarfile
import tempfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from resnet_lightning.errors import BadInput
from resnet_lightning.files import sha256
from resnet_lightning.runs.checkpoints import iteration_of, newest_whole_checkpoint
from resnet_lightning.runs.folder import make_folder, read_config, read_json
from resnet_lightning.runs.identity import first_difference
from resnet_lightning.runs.locks import locked
from resnet_lightning.runs.packing import CURVES, FILES, MANIFEST, in_words, make_parser, read_manifest


def unpack(file: Path, folder: Path | None = None) -> Path:
    """Puts a packed run into its folder below runs/, from where the same command goes on.

    Args:
        folder: another one than that.

    Raises:
        BadInput: if the file is damaged or no packed run, or the folder holds another run, or is as far or further.
        Occupied: if the run in the folder is being worked on.
    """
    manifest = read_manifest(file)
    folder = folder or Path(manifest["folder"])
    make_folder(folder.parent)
    beside = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
    try:
        extract(file, manifest, beside)
        if folder.exists() and any(folder.iterdir()):
            with locked(folder / "result.json"):
                refuse_other_run(folder, beside, manifest)
                replace_files(beside, folder)
        else:
            beside.chmod(0o755)
            beside.replace(folder)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    print(f"{folder}: {in_words(manifest)}")
    return folder


def extract(file: Path, manifest: dict[str, Any], folder: Path) -> None:
    """Extracts into an empty folder; BadInput unless the members are those of the manifest, as they were packed."""
    try:
        with gzip.open(file) as whole:
            while whole.read(2**20):  # to its end, where gzip compares the checksum of all
                pass
        with tarfile.open(file, "r:gz") as archive:
            members = archive.getmembers()
            names = sorted(member.name for member in members)
            if names != sorted([MANIFEST, *manifest["sha256"]]) or not all(member.isreg() for member in members):
                raise BadInput(f"{file} is damaged: its members are not those that its manifest names")
            archive.extractall(folder, members, filter="data")
    except (EOFError, gzip.BadGzipFile, tarfile.TarError, zlib.error) as error:
        raise BadInput(f"{file} is damaged: {error}") from error
    for name, expected in manifest["sha256"].items():
        if sha256(folder / name) != expected:
            raise BadInput(f"{file} is damaged: the checksum of {name} is another")
    (folder / MANIFEST).unlink()


def refuse_other_run(folder: Path, packed: Path, manifest: dict[str, Any]) -> None:
    """Raises BadInput unless a folder holds an earlier state of the packed run."""
    before, config = read_config(folder), read_config(packed) or {}
    info, ours = read_json(folder / "run.json"), read_json(packed / "run.json") or {}
    if before is None or info is None:
        raise BadInput(f"{folder} is not empty, and holds no run: move it, or name another folder after the file")
    difference = first_difference(before, config)
    if info.get("data") != ours.get("data"):
        difference = f"data was {info.get('data')}, is {ours.get('data')}"
    if difference:
        raise BadInput(f"{folder} holds another run ({difference}): name another folder after the file")
    newest = newest_whole_checkpoint(folder / "checkpoints", first=False)
    there = (folder / "result.json").exists(), iteration_of(newest) if newest else 0
    if there >= (manifest["state"] != "unfinished", manifest["iteration"]):
        state = "is over" if there[0] else f"is at iteration {there[1]:,}"
        raise BadInput(
            f"{folder} {state}, and the packed run is no further ({in_words(manifest)}): nothing was changed"
        )


def replace_files(source: Path, folder: Path) -> None:
    """Moves the files of a run over its earlier ones: curves, then the checkpoint, and the result last.

    After each of them the folder holds a run that goes on, from one checkpoint or the other.
    """
    (folder / "checkpoints").mkdir(exist_ok=True)
    paths = [path for name in CURVES for path in source.glob(name)]
    paths += sorted(source.glob("checkpoints/*"), reverse=True)  # the checksum first
    paths += [path for pattern in reversed(FILES) for path in source.glob(pattern)]
    for path in paths:
        path.replace(folder / path.relative_to(source))


def unpack_command(arguments: Sequence[str]) -> None:
    """`resnet-lightning unpack FILE [FOLDER]`."""
    parser = make_parser("unpack", unpack)
    parser.add_argument("file", type=Path, help="what pack has written")
    parser.add_argument("folder", type=Path, nargs="?", help="of the run; runs/<experiment>/seed<N> by default")
    options = parser.parse_args(list(arguments))
    unpack(options.file, options.folder)
