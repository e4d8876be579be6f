"""`make faults`: a study that is killed, filled up and damaged at random while two runners work on it, and then has to
be what the undisturbed study is, bit for bit. It takes some ten minutes, and is no part of the tests.

    python tests/faults.py [--faults 40] [--seed 0]
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import torch

from resnet_lightning.runs.checkpoints import newest_checkpoint
from resnet_lightning.runs.metrics_file import read_metrics

REPOSITORY = Path(__file__).parents[1]
ITERATIONS = 330  # thirty epochs of eleven batches
# Eight layers on 8×8 digits, with a checkpoint every 20 iterations: about half a second.
SETTINGS = """\
checkpoint_every: 20
data: {init_args: {image_size: 8, padding: 1}}
model: {network: {init_args: {depth: 8}}}
"""
STUDY = ["study", "demo", f"--steps={ITERATIONS}", "--with=tiny.yaml", "--only", "plain20", "resnet20"]
STUDY += ["--seeds", "0", "1", "2"]
RUNS = 6
SECONDS_BETWEEN_FAULTS = (2.0, 7.0)
MEBIBYTES = 48  # of the disk that is filled up


def command(*options: str, folder: Path) -> "subprocess.Popen[bytes]":
    """The study in a folder, as a process of its own; what it prints goes to study.log beside the runs."""
    surroundings = os.environ | {"WANDB_MODE": "disabled", "OMP_NUM_THREADS": "1", "PYTHONPATH": str(REPOSITORY)}
    with (folder / "study.log").open("ab") as log:
        line = [sys.executable, "-m", "resnet_lightning", *STUDY, *options]
        return subprocess.Popen(line, cwd=folder, env=surroundings, stdout=log, stderr=log, start_new_session=True)


def make_place(folder: Path) -> Path:
    folder.mkdir()
    (folder / "experiments").symlink_to(REPOSITORY / "experiments")
    (folder / "tiny.yaml").write_text(SETTINGS)
    (folder / "runs").mkdir()
    return folder


@contextmanager
def small_disk(folder: Path) -> Iterator[bool]:
    """A tmpfs in a folder, where mounting is allowed; whether it is there."""
    mount = ["mount", "-t", "tmpfs", "-o", f"size={MEBIBYTES}m", "tmpfs", str(folder)]
    mounted = subprocess.run(mount, capture_output=True).returncode == 0
    try:
        yield mounted
    finally:
        if mounted:
            subprocess.run(["umount", "--lazy", str(folder)], check=False)


class Campaign:
    """Two runners on one folder, and what is done to them."""

    def __init__(self, place: Path, chance: random.Random, disk: bool) -> None:
        self.place = place
        self.chance = chance
        self.done: Counter[str] = Counter()
        self.owners: dict[Path, int] = {}
        self.handed_over = 0
        self.shared: list[str] = []  # locks that went from a process that was still at work to another
        self.runners = [command("--jobs=1", "--retry", folder=place) for _ in range(2)]
        self.faults: dict[str, Callable[[], bool]] = {
            "a run gets SIGKILL": lambda: self.signal_run(signal.SIGKILL),
            "a run gets SIGTERM": lambda: self.signal_run(signal.SIGTERM),
            "a run gets SIGKILL and its last checkpoint is cut off or changed": self.damage,
            "a runner gets SIGKILL": lambda: self.signal_runner(signal.SIGKILL),
            "a runner gets SIGINT or SIGTERM": lambda: self.signal_runner(
                chance.choice([signal.SIGINT, signal.SIGTERM])
            ),
        }
        if disk:
            self.faults["the disk is full for a while"] = self.fill

    def run(self, faults: int) -> None:
        """Makes faults until all runs are finished."""
        ended = threading.Event()
        threading.Thread(target=self.watch_locks, args=(ended,), daemon=True).start()
        left: list[str] = []
        while len(list(self.place.glob("runs/*/*/*/result.json"))) < RUNS:
            time.sleep(self.chance.uniform(*SECONDS_BETWEEN_FAULTS))
            if not left:
                left = self.chance.sample(list(self.faults), len(self.faults))  # each kind as often as the others
            name = left.pop()
            if sum(self.done.values()) < faults and self.faults[name]():
                self.done[name] += 1
                print(f"{sum(self.done.values()):3} {name}", flush=True)
            for place, runner in enumerate(self.runners):
                if runner.poll() is not None:
                    self.runners[place] = command("--jobs=1", "--retry", folder=self.place)
        for runner in self.runners:
            runner.wait(300)
        ended.set()
        assert not self.shared, self.shared

    def processes(self) -> list[psutil.Process]:
        """The runs of this place: mostly those that train, sometimes those that only begin, which takes as long."""
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                if "fit" in process.cmdline()[:4] and process.cwd() == str(self.place):
                    found.append(process)
        at_work = [process for process in found if process.pid in self.owners.values()]
        return at_work if self.chance.random() < 0.8 else found

    def signal_run(self, number: signal.Signals) -> bool:
        running = self.processes()
        if running:
            with suppress(psutil.Error):
                self.chance.choice(running).send_signal(number)
                return True
        return False

    def signal_runner(self, number: signal.Signals) -> bool:
        runner = self.chance.choice(self.runners)
        if runner.poll() is not None:
            return False
        runner.send_signal(number)
        return True

    def damage(self) -> bool:
        """Kills a run that has written a checkpoint, and damages that."""
        for process in self.processes():
            with suppress(psutil.Error, OSError):
                options = process.cmdline()
                seed = next(option.partition("=")[2] for option in options if option.startswith("--seed_everything"))
                network = next(Path(option).stem for option in options if option.endswith("20.yaml"))
                [folder] = self.place.glob(f"runs/digits/{network}@*/seed{seed}")
                path = newest_checkpoint(folder / "checkpoints")
                if path is None or f"={ITERATIONS}" in path.name:
                    continue
                process.kill()
                process.wait(10)
                path = newest_checkpoint(folder / "checkpoints") or path
                contents = bytearray(path.read_bytes())
                where = self.chance.randrange(len(contents))
                if self.chance.random() < 0.5:
                    contents = contents[:where]
                else:
                    contents[where] ^= 1 << self.chance.randrange(8)
                path.write_bytes(contents)
                return True
        return False

    def fill(self) -> bool:
        filler = self.place / "runs" / "filler"
        with suppress(OSError), filler.open("wb") as file:
            while True:
                file.write(bytes(2**16))
                file.flush()
        time.sleep(self.chance.uniform(1, 4))
        filler.unlink()
        return True

    def watch_locks(self, ended: threading.Event) -> None:
        """A lock may pass to another process only when the one before has let it go, or is dead."""
        while not ended.wait(0.02):
            for folder in self.place.glob("runs/*/*/*"):
                with suppress(OSError, ValueError, IndexError):
                    owner = int((folder / "result.json.lock").read_text().split("|")[2])
                    before = self.owners.get(folder, owner)
                    self.owners[folder] = owner
                    if owner != before:
                        self.handed_over += 1
                        with suppress(psutil.NoSuchProcess):
                            alive = psutil.Process(before)
                            working = alive.status() != psutil.STATUS_ZOMBIE and "fit" in alive.cmdline()[:4]
                            if working and lives_on(alive):
                                self.shared.append(f"{folder} went from process {before} to {owner}")


def lives_on(process: psutil.Process) -> bool:
    """Whether a process that had a lock is still at work; one that has let it go needs a moment to end."""
    time.sleep(2)
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


def compare(ours: Path, theirs: Path) -> None:
    """Raises AssertionError unless both studies have the same runs, to the last bit."""
    folders = sorted(path.relative_to(theirs) for path in theirs.glob("runs/*/*/seed*"))
    assert len(folders) == RUNS, folders
    for folder in folders:
        one, other = (
            torch.load(place / folder / "checkpoints" / f"iteration={ITERATIONS}.ckpt", weights_only=True)["state_dict"]
            for place in (ours, theirs)
        )
        assert one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one), folder
        for name in ("metrics.csv", "responses.csv", "gradients.csv"):
            rows = [read_metrics(place / folder / name) for place in (ours, theirs)]
            for row in (*rows[0].values(), *rows[1].values()):
                row.pop("images_per_second", None)
            assert rows[0] == rows[1], f"{folder}/{name}"
        finished = (ours / folder / "log.txt").read_text().count(f" after {ITERATIONS} iterations on ")
        assert finished == 1, f"{folder} was finished {finished} times"
        left = [path.name for path in (ours / folder).rglob("*") if path.name.startswith(".") or ".lock" in path.name]
        assert not left, f"{folder}: {left}"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--faults", type=int, default=40)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    chance, total, start = random.Random(options.seed), Counter[str](), time.monotonic()
    with tempfile.TemporaryDirectory(prefix="faults.", ignore_cleanup_errors=True) as top:
        undisturbed = make_place(Path(top, "undisturbed"))
        assert command(folder=undisturbed).wait() == 0, (undisturbed / "study.log").read_text()
        print(f"undisturbed: {RUNS} runs of {ITERATIONS} iterations, {time.monotonic() - start:.0f} s", flush=True)
        handed_over = sessions = rounds = 0
        while total.total() < options.faults:
            place = make_place(Path(top, f"round{rounds}"))
            with small_disk(place / "runs") as disk:
                campaign = Campaign(place, chance, disk)
                campaign.run(options.faults - total.total())
                compare(place, undisturbed)
                total += campaign.done
                handed_over += campaign.handed_over
                sessions += sum(path.read_text().count("iterations in") for path in place.glob("runs/*/*/*/log.txt"))
            rounds += 1
        print(f"\n{rounds * RUNS} runs in {sessions} sessions, {time.monotonic() - start:.0f} s in all")
        for name, count in total.most_common():
            print(f"{count:4} {name}")
        print(f"{total.total():4} faults; {handed_over} times a lock passed to another process")
        print("every run is finished once, and equals the undisturbed one to the last bit")


if __name__ == "__main__":
    main()
