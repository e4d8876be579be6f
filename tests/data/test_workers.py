"""Processes that read images: what they hand over, with how little shared memory, and what happens when one is gone."""

import gc
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch
from PIL import Image
from processes import Forked

from resnet_lightning.data import ImageNet, crops
from resnet_lightning.data.class_folders import class_folders
from resnet_lightning.data.image_files import Damage, EvaluationFiles, ImageFiles, Key, loader
from resnet_lightning.errors import BadInput, lost_worker

FIT = (
    "fit",
    "--config=experiments/imagenet/base.yaml",
    "--config=experiments/imagenet/table2/resnet18.yaml",
    "--data.root=images",
    "--data.image_size=32",
    "--data.batch_size=4",
    "--data.workers=1",
    "--model.bn_batches=0",
    "--trainer.val_check_interval=1000",
    "--checkpoint_every=5",
    "--run=r",
)


def write_images(root: Path, train: int = 8) -> Path:
    random = np.random.default_rng(0)
    for part, count in (("train", train), ("val", 2)):
        for name in ("n01", "n02"):
            (root / part / name).mkdir(parents=True)
            for number in range(count):
                pixels = random.integers(0, 256, (48, 40, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(root / part / name / f"{number}.png")
    return root


@pytest.fixture
def place(workplace: Path) -> Path:
    write_images(workplace / "images")
    class_folders.cache_clear()
    return workplace


def keys(batches: int) -> list[list[Key]]:
    return [[(number % 16, number + batch) for number in range(4)] for batch in range(batches)]


def read(place: Path, read: Callable[[str, int], object]) -> ImageFiles:
    return ImageFiles(class_folders(place / "images/train"), read, colour_sigma=0.1)  # type: ignore[arg-type]


def several(path: str, seed: int) -> list[torch.Tensor]:
    return [crops.resized(path, 32), crops.random_scale_crop(path, seed, 40)]


def test_workers_hand_over_what_one_process_reads(place: Path) -> None:
    for how in (partial(crops.random_scale_crop, size=32), several):
        alone, shared = (list(loader(read(place, how), keys(5), workers)) for workers in (0, 2))
        for one, other in zip(alone, shared, strict=True):
            pixels = (
                [one[0], other[0]]
                if torch.is_tensor(one[0])
                else [torch.cat([v.flatten() for v in b[0]]) for b in (one, other)]
            )
            assert torch.equal(*pixels) and torch.equal(one[1], other[1]) and torch.equal(one[2], other[2])
    path = place / "images/train/n01/0.png"
    path.write_bytes(b"")
    for workers in (0, 2):
        [batch] = loader(read(place, several), [[(0, 0)]], workers)
        assert len(batch[2]) == 0 and batch[3] == [f"{path} is damaged: the file is empty"]


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a process a small /dev/shm")
def test_a_containers_small_shared_memory_is_enough(place: Path) -> None:
    """64 kB for batches of 307 kB."""
    code = """
import torch
from resnet_lightning.data import ImageNet
data = ImageNet("images", image_size=160, batch_size=4, workers=2, colour_sigma=0)
data.setup("fit")
print(sum(len(batch.labels) for batch in data.train_dataloader()))
"""
    mount = 'mount -t tmpfs -o size=64k tmpfs /dev/shm && exec "$0" -W "ignore:This DataLoader" -c "$1"'
    command = ["unshare", "-m", "sh", "-c", mount, sys.executable, code]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60)
    if "unshare failed" in ended.stderr or "permission denied" in ended.stderr:
        pytest.skip("this system lets nobody mount")
    assert (ended.stdout, ended.stderr, ended.returncode) == ("16\n", "", 0)


def test_no_shared_memory_at_all_is_one_line(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("multiprocessing.synchronize.SemLock.__init__", full)
    with pytest.raises(BadInput, match=r"2 processes.*No space left.*--shm-size=1g.*--data.workers=0"):
        loader(read(place, several), keys(2), 2)


@pytest.mark.parametrize("when", ["training", "evaluating", "measuring the mean"])
def test_a_worker_that_is_gone_is_not_waited_for(place: Path, monkeypatch: pytest.MonkeyPatch, when: str) -> None:
    data = ImageNet("images", image_size=32, batch_size=4, workers=2)
    data.setup("fit")
    note, noted = Damage.note, []
    gc.collect()
    before = multiprocessing.active_children()  # of earlier tests, if their errors are still held

    def kill_after_the_second(self: Damage, messages: list[str]) -> None:
        noted.append(messages)
        if len(noted) == 2:
            next(worker for worker in multiprocessing.active_children() if worker not in before).kill()
        note(self, messages)

    monkeypatch.setattr(Damage, "note", kill_after_the_second)
    monkeypatch.setattr("resnet_lightning.data.imagenet.BATCHES", {"center": 1})
    with pytest.raises((RuntimeError, OSError)) as caught:
        if when == "training":
            files = data.train_dataloader()
            for _ in range(100):
                list(files)
        elif when == "evaluating":
            chunks = torch.arange(16).repeat(100).split(1)
            list(EvaluationFiles(read(place, partial(crops.random_scale_crop, size=32)), data.damage, chunks, 2))
        else:
            monkeypatch.setattr("resnet_lightning.data.imagenet.sampled", lambda *_: list(range(16)) * 100)
            data._measure_mean()
    assert "process that reads images" in (lost_worker(caught.value) or repr(caught.value))


def begun(process: Forked, iteration: int) -> list[psutil.Process]:
    """The processes of a run, itself first, once it has written a checkpoint."""
    while not Path(f"r/checkpoints/iteration={iteration}.ckpt.sha256").exists():
        assert process.poll() is None, Path("output.txt").read_text()
        time.sleep(0.05)
    run = psutil.Process(process.pid)
    return [run, *run.children()]


@pytest.mark.long
def test_a_killed_worker_costs_no_more_than_the_last_iterations(place: Path) -> None:
    process = Forked(*FIT, "--trainer.max_steps=100000")
    _, worker = begun(process, 5)
    worker.kill()
    assert process.wait() == 1
    output = Path("output.txt").read_text(encoding="utf-8")
    assert "Traceback" not in output and output.count("a process that reads images") == 1
    assert not Path("r/result.json").exists()

    process = Forked(*FIT, "--trainer.max_steps=100000")  # what a cluster does: SIGTERM to every process
    last = max(int(path.stem.partition("=")[2]) for path in Path("r/checkpoints").glob("*.ckpt"))
    for one in begun(process, last + 5):
        one.terminate()
    assert process.wait() == 128 + signal.SIGTERM
    assert "Traceback" not in Path("output.txt").read_text(encoding="utf-8")
