"""Runs that travel: `pack` puts a run into one file, from which it goes on elsewhere after `unpack`.

A packed run is a .tar.gz. Its first member, manifest.json, names the run and the SHA-256 of every other member.
"""

import hashlib
import io
import json
import os
import re
import tarfile
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from resnet_lightning import __version__
from resnet_lightning.errors import BadInput
from resnet_lightning.files import write_atomically
from resnet_lightning.runs.checkpoints import iteration_of, newest_whole_checkpoint
from resnet_lightning.runs.folder import GRADIENTS, RESPONSES, RUNS, read_config, read_json, run_folder

MANIFEST = "manifest.json"
FORMAT = "resnet-lightning packed run 1"
# A run that is trained goes on writing while it is read. So a result is read before the checkpoint that it is of, and
# the curves after it, which reach at least as far then: what a run that is killed leaves too. Written is the other way
# round.
FILES = ("result.json", "test-*.json", "lesions.json", "detections.json", "pictures.json", "config.yaml", "run.json")
CURVES = ("metrics.csv", RESPONSES, GRADIENTS, "log.txt")
MEMBER = re.compile(
    r"(result|test-\w+|lesions|detections|pictures|run)\.json|config\.yaml|(metrics|responses|gradients)\.csv|log\.txt|"
    r"checkpoints/iteration=\d+\.ckpt(\.sha256)?"
)


def pack(run: Path, file: Path | None = None) -> Path:
    """Writes a run's newest whole checkpoint, settings, curves and results into one file, also while it is trained.

    Args:
        run: its folder.
        file: by default named after the run, in the working folder; an older pack of the same run is replaced.

    Raises:
        BadInput: if the folder holds no run with a whole checkpoint, or the file is something else.
    """
    info = read_json(run / "run.json")
    if not info or "experiment" not in info or read_config(run) is None:
        raise BadInput(f"{run} holds no run: expected its folder, with config.yaml and run.json")
    folder = run_folder(info["experiment"], info["changes"], info["seed"]).as_posix()
    file = file or Path(folder.partition("/")[2].replace("/", "-") + ".tar.gz")
    if not file.parent.is_dir():
        raise BadInput(f"{file} cannot be written: the folder {file.parent} does not exist")
    if file.exists() and (other := read_manifest(file)["folder"]) != folder:
        raise BadInput(f"{file} is a pack of another run, {other}: give another name")
    small = read_files(run, FILES)
    checkpoint = newest_whole_checkpoint(run / "checkpoints", first=False)
    if checkpoint is None:
        raise BadInput(f"{run} has no whole checkpoint yet: there is nothing to go on from")
    with checkpoint.open("rb") as weights:  # stays whole, although the run may remove it meanwhile
        small |= read_files(run, CURVES)
        name = f"checkpoints/{checkpoint.name}"
        checksum = hashlib.file_digest(weights, "sha256").hexdigest()
        small[f"{name}.sha256"] = f"{checksum}  {checkpoint.name}\n".encode()
        manifest = {
            "format": FORMAT,
            "resnet_lightning": __version__,
            "folder": folder,
            "iteration": iteration_of(checkpoint),
            "iterations": info["iterations"],
            "state": json.loads(small.get("result.json", b"{}")).get("state", "unfinished"),
            "sha256": {name: checksum} | {name: hashlib.sha256(text).hexdigest() for name, text in small.items()},
        }
        members: dict[str, BinaryIO] = {MANIFEST: io.BytesIO(json.dumps(manifest, indent=1).encode()), name: weights}
        members |= {name: io.BytesIO(text) for name, text in small.items()}
        write_atomically(file, lambda target: write_archive(target, members))
    print(f"{file}: {in_words(manifest)}, {file.stat().st_size / 1e6:.1f} MB")
    return file


def read_files(run: Path, patterns: Sequence[str]) -> dict[str, bytes]:
    """The contents of a run's small files, by name."""
    return {path.name: path.read_bytes() for pattern in patterns for path in sorted(run.glob(pattern))}


def write_archive(target: BinaryIO, members: dict[str, BinaryIO]) -> None:
    with tarfile.open(fileobj=target, mode="w:gz", compresslevel=6) as archive:
        for name, member in members.items():
            about = tarfile.TarInfo(name)
            about.size, about.mode = member.seek(0, os.SEEK_END), 0o644
            member.seek(0)
            archive.addfile(about, member)


def read_manifest(file: Path) -> dict[str, Any]:
    """The manifest of a packed run; BadInput if there is none, or if it names files or a folder of elsewhere."""
    try:
        with tarfile.open(file, "r:gz") as archive:
            first = archive.next()
            member = archive.extractfile(first) if first and first.name == MANIFEST else None
            manifest = json.load(member) if member else {}
    except FileNotFoundError:
        raise BadInput(f"{file} does not exist: expected a file that pack has written") from None
    except (OSError, EOFError, ValueError, tarfile.TarError, zlib.error) as error:
        raise BadInput(f"{file} is damaged, or no packed run: {error}") from error
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise BadInput(f"{file} is no packed run of this version ({FORMAT})")
    outside = [name for name in manifest["sha256"] if not MEMBER.fullmatch(name)]
    top, *parts = manifest["folder"].split("/")
    if top != RUNS.name or not parts or any(part in ("", ".", "..") for part in parts):
        outside.append(manifest["folder"])
    if outside:
        raise BadInput(f"{file} is no packed run: it would write to {outside[0]}")
    return manifest


def in_words(manifest: dict[str, Any]) -> str:
    """Where a packed run stands."""
    return f"{manifest['state']}, at iteration {manifest['iteration']:,} of {manifest['iterations']:,}"


def pack_command(arguments: Sequence[str]) -> None:
    """`resnet-lightning pack RUN [FILE]`."""
    parser = make_parser("pack", pack)
    parser.add_argument("run", type=Path, help="folder of the run, such as runs/cifar10/table6/resnet20/seed0")
    parser.add_argument("file", type=Path, nargs="?", help="<experiment>-seed<N>.tar.gz by default; has no wandb/")
    options = parser.parse_args(list(arguments))
    pack(options.run, options.file)


def make_parser(name: str, function: Callable[..., Path]) -> Any:
    from jsonargparse import ArgumentParser

    sentence = (function.__doc__ or "").partition("\n")[0]
    return ArgumentParser(
        prog=f"resnet-lightning {name}", description=sentence, exit_on_error=False, allow_abbrev=False
    )
