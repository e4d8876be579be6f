"""A packed run goes on elsewhere as it would have here, and a bad pack changes nothing."""

import gzip
import io
import json
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import QUICK, REPOSITORY, fit, same, weights
from processes import Forked, wait_for

from resnet_lightning.cli import main
from resnet_lightning.runs.packing import FORMAT, MANIFEST

Refused = Callable[..., str]
LONG = ("--trainer.max_steps=44", "--checkpoint_every=11", "--trainer.val_check_interval=11")
FOLDER = Path("runs/digits/resnet20@depth=8,image_size=8,max_steps=44,padding=1/seed0")


def contents(folder: str | Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in Path(folder).rglob("*") if path.is_file()}


def test_a_run_that_is_packed_while_it_is_trained_goes_on_elsewhere(
    workplace: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    process = Forked("fit", *QUICK, *LONG)
    wait_for(FOLDER / "checkpoints" / "iteration=11.ckpt", process)
    main(["pack", str(FOLDER), "packed.tar.gz"])
    assert process.wait() == 0
    assert "unfinished, at iteration" in capsys.readouterr().out and Path("packed.tar.gz").stat().st_size < 2e6

    Path("clone").mkdir()
    Path("clone/experiments").symlink_to(REPOSITORY / "experiments")
    monkeypatch.chdir("clone")
    main(["unpack", "../packed.tar.gz"])
    fit(*LONG)
    assert "going on from" in capsys.readouterr().out
    assert same(weights(FOLDER, 44), weights(workplace / FOLDER, 44))
    for name in ("metrics.csv", "responses.csv", "gradients.csv"):
        ours, theirs = ((place / FOLDER / name).read_text().splitlines() for place in (Path(), workplace))
        assert len(ours) == len(theirs)

    # Over the state of before; never back to it.
    monkeypatch.chdir(workplace)
    main(["unpack", "packed.tar.gz", "behind"])
    main(["pack", str(FOLDER), "finished.tar.gz"])
    Path("behind/predictions.npy").touch()
    main(["unpack", "finished.tar.gz", "behind"])
    kept = {"predictions.npy": b""}
    packed = {name: data for name, data in contents(FOLDER).items() if not name.startswith("checkpoints/iteration=33")}
    assert {**kept, **packed}.items() <= contents("behind").items()


@pytest.fixture
def packed(finished: Path, workplace: Path) -> Path:
    main(["pack", str(finished), "packed.tar.gz"])
    return Path("packed.tar.gz")


def rewrite(path: Path, change: Callable[[dict[str, Any]], None], extra: tarfile.TarInfo | None = None) -> None:
    """Packs again with another manifest, and one more member."""
    with tarfile.open(path) as archive:
        members = [(member, archive.extractfile(member)) for member in archive]
        texts = {member.name: file.read() for member, file in members if file}
    manifest = json.loads(texts[MANIFEST])
    change(manifest)
    texts[MANIFEST] = json.dumps(manifest).encode()
    with tarfile.open(path, "w:gz") as archive:
        for name, text in texts.items():
            member = tarfile.TarInfo(name)
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text))
        if extra:
            archive.addfile(extra)


def test_a_damaged_pack_is_refused(packed: Path, refused: Refused) -> None:
    whole = packed.read_bytes()
    damaged = {
        "cut": whole[: len(whole) // 2],
        "changed": whole[: len(whole) // 2] + bytes([whole[len(whole) // 2] ^ 255]) + whole[len(whole) // 2 + 1 :],
        "text": b"no archive",
        "empty": b"",
        "gzip": gzip.compress(b"no archive"),
    }
    for name, data in damaged.items():
        packed.write_bytes(data)
        before = contents(".")
        assert "packed.tar.gz is damaged" in refused("unpack", str(packed), "r"), name
        assert contents(".") == before


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda manifest: manifest.update(format="of tomorrow"), FORMAT),
        (lambda manifest: manifest.update(folder="runs/../../outside"), "would write to runs/../../outside"),
        (lambda manifest: manifest.update(folder="/outside"), "would write to /outside"),
        (lambda manifest: manifest["sha256"].update({"../outside.csv": "0"}), "would write to ../outside.csv"),
        (lambda manifest: manifest["sha256"].update({"run.json": "0"}), "the checksum of run.json"),
        (lambda manifest: manifest["sha256"].pop("run.json"), "its members are not"),
    ],
)
def test_what_a_pack_may_not_say(packed: Path, refused: Refused, change: Any, named: str) -> None:
    rewrite(packed, change)
    before = contents(".")
    assert named in refused("unpack", str(packed), "r")
    assert contents(".") == before


@pytest.mark.parametrize("name", ["../outside", "/outside", "log.txt"])
def test_what_a_pack_may_not_hold(packed: Path, refused: Refused, name: str) -> None:
    link = tarfile.TarInfo(name)
    link.type, link.linkname = tarfile.SYMTYPE, "/etc"
    rewrite(packed, lambda _: None, link)
    before = contents(".")
    assert "its members are not" in refused("unpack", str(packed), "r")
    assert contents(".") == before


def test_a_folder_of_another_run_or_of_one_as_far_stays(packed: Path, finished: Path, refused: Refused) -> None:
    shutil.copytree(finished, "r")
    before = contents("r")
    assert "r is over" in refused("unpack", str(packed), "r")
    Path("r/result.json").unlink()
    config, info = Path("r/config.yaml"), Path("r/run.json")
    text = config.read_text()
    config.write_text(text.replace("lr: 0.1", "lr: 0.2"))
    assert "optimizer.init_args.lr was 0.2, is 0.1" in refused("unpack", str(packed), "r")
    config.write_text(text)
    info.write_text(info.read_text().replace("digits at", "other digits at"))
    assert "data was other digits" in refused("unpack", str(packed), "r")
    info.write_bytes(before["run.json"])
    main(["unpack", str(packed), "r"])  # as far, but this one lacks its result
    assert contents("r") == before
    Path("other").mkdir()
    Path("other/notes.txt").touch()
    assert "holds no run" in refused("unpack", str(packed), "other")


def test_what_cannot_be_packed(packed: Path, finished: Path, refused: Refused) -> None:
    assert "nowhere holds no run" in refused("pack", "nowhere")
    assert "the folder nowhere does not exist" in refused("pack", str(finished), "nowhere/r.tar.gz")
    assert "there.gz does not exist" in refused("unpack", "there.gz")
    Path("mine.csv").write_text("mine")
    assert "mine.csv is damaged, or no packed run" in refused("pack", str(finished), "mine.csv")
    assert Path("mine.csv").read_text() == "mine"
    rewrite(packed, lambda manifest: manifest.update(folder="runs/other/seed0"))
    assert "a pack of another run, runs/other/seed0" in refused("pack", str(finished), str(packed))
    shutil.copytree(finished, "r")
    Path("r/checkpoints/iteration=22.ckpt").write_bytes(b"cut")
    assert "no whole checkpoint" in refused("pack", "r")
    assert Path("r/checkpoints/iteration=22.ckpt").read_bytes() == b"cut"
