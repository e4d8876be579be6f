"""What was measured on a device, in results/complexity/<device>.json, written after every measurement."""

import platform
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from resnet_lightning.benchmarks.complexity.networks import Subject
from resnet_lightning.errors import BadInput
from resnet_lightning.runs.folder import RESULTS, read_json, write_json

KEPT = RESULTS / "complexity"
ROUNDS = 3  # in which all networks take turns, so that noise hits them alike
SECONDS = 10.0  # for each network, over all rounds
BATCHES = (1, 2, 4, 8, 16, 32, 64)
CPUINFO = Path("/proc/cpuinfo")


class Store:
    """The measurements of one device.

    Args:
        path: its file, which need not be there yet.
        about: what has to be the same for measurements to stand in one file: device, threads, seconds, versions.

    Raises:
        BadInput: if the file is damaged, or was measured with other versions.
    """

    def __init__(self, path: Path, about: dict[str, Any]) -> None:
        self.path = path
        self.contents = load(path) if path.exists() else {"about": about, "networks": {}}
        for name, value in about.items():
            if (before := self.contents["about"].get(name)) != value:
                raise BadInput(
                    f"{path} was measured with {name} {before}, and this is {value}: move it away to measure anew; "
                    "--against compares with it"
                )

    @property
    def networks(self) -> dict[str, Any]:
        found: dict[str, Any] = self.contents["networks"]
        return found

    def write(self) -> None:
        write_json(self.path, self.contents)

    def count(self, subject: Subject, counts: dict[str, Any]) -> None:
        """Notes a network's counts; what was measured of another network of this name is put away."""
        if self.networks.get(subject.name, {}).get("counts") != counts:
            self.networks[subject.name] = {"counts": counts, "rounds": []}

    def lacks(self, name: str, number: int, batches: Sequence[int]) -> bool:
        """Whether a round of a network is still to be made, or to be filled up."""
        return number >= len(self.networks[name]["rounds"]) or bool(self.lacking(name, number, batches))

    def lacking(self, name: str, number: int, batches: Sequence[int]) -> list[int]:
        """The batch sizes that a round of a network still lacks; which are usual, its first round decides.

        Args:
            batches: that are asked for; none for the usual ones, as far as they fit into the time.
        """
        rounds = self.networks[name]["rounds"]
        first = rounds[0] if rounds else {"forward": {}, "left_out": []}
        left_out = first["left_out"] if not number else [b for b in BATCHES if str(b) not in first["forward"]]
        done = rounds[number]["forward"] if number < len(rounds) else {}
        return [b for b in batches or BATCHES if str(b) not in done and (batches or b not in left_out)]

    def add(self, name: str, number: int, measured: dict[str, Any]) -> None:
        """Writes down what was measured of a network in a round."""
        rounds = self.networks[name]["rounds"]
        if number < len(rounds):
            rounds[number]["forward"] |= measured["forward"]
            rounds[number]["left_out"] = measured["left_out"] or rounds[number]["left_out"]
        else:
            rounds.append(measured)
        self.write()


def load(path: Path) -> dict[str, Any]:
    """The contents of a device's file.

    Raises:
        BadInput: if it is not there, or damaged.
    """
    contents = read_json(path)
    if contents is None:
        raise BadInput(f"{path} does not exist: it is made by measuring on that device (make complexity)")
    try:
        for network in contents["networks"].values():
            _ = network["counts"]["macs"] + network["counts"]["parameters"]
            for measured in network["rounds"]:
                _ = [min(one["times"]) + one["peak"] for one in (*measured["forward"].values(), measured["training"])]
                _ = len(measured["left_out"]) + measured["training"]["batch"]
        _ = contents["about"]["device"]
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise BadInput(f"{path} is damaged ({error!r}): move it away, or put a whole one in its place") from error
    return contents


def file_of(about: dict[str, Any]) -> Path:
    """The file's name is the device's; that of another time for each network is said too."""
    other = "" if about["seconds"] == SECONDS else f"@seconds={about['seconds']:g}"
    return KEPT / f"{re.sub(r'[^a-z0-9]+', '-', about['device'].lower()).strip('-')}{other}.json"


def about_this(device: torch.device, seconds: float) -> dict[str, Any]:
    """What a device's file says of the device and of how it was measured."""
    return {"device": full_name(device), "seconds": seconds, "torch": torch.__version__, "precision": "float32"}


def full_name(device: torch.device) -> str:
    """The GPU's name, or the processor's and the number of threads."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    text = CPUINFO.read_text(encoding="utf-8", errors="replace") if CPUINFO.exists() else ""
    model = re.search(r"^model name\s*: (.*)$", text, re.MULTILINE)
    threads = torch.get_num_threads()
    return f"{model[1] if model else platform.processor() or device.type}, {threads} thread{'s' * (threads > 1)}"
