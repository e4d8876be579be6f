"""What a comparison asks of its experiments before their runs start, in a process of its own that needs PyTorch."""

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from resnet_lightning.data import protocol
from resnet_lightning.errors import guarded
from resnet_lightning.networks.counting import count_parts
from resnet_lightning.runs.command_line import PreparedRun, prepare
from resnet_lightning.runs.identity import configuration_hash


def main(_: Sequence[str]) -> None:
    """The process: reads a command line of each experiment, prints what is known of it."""
    asked = json.load(sys.stdin)
    print(json.dumps(facts(**asked)))


def facts(runs: Mapping[str, list[str]], read: bool) -> dict[str, dict[str, Any]]:
    """Of each experiment the hash of its settings, the multiply-adds for one image, and the title of its data.

    Args:
        runs: a command line of each experiment, by its name; all with one seed.
        read: whether data are made ready and read; without, their titles are not known.
    """
    found: dict[str, dict[str, Any]] = {}
    titles: dict[str, str] = {}
    for name, arguments in runs.items():
        run = prepare(arguments, watched=False)
        data = str(run.config.data)
        if read and data not in titles:
            run.data.prepare_data()
            run.data.setup("fit")
            titles[data] = protocol.title(run.data)
        found[name] = {"hash": configuration_hash(run.text), "macs": multiply_adds(run), "data": titles.get(data)}
    return found


def multiply_adds(run: PreparedRun) -> int | None:
    """Of convolutions and matrix products for one image; None where they cannot be counted."""
    size = getattr(run.data, "image_size", None)
    if size is None or run.config.model.compile:
        return None
    try:
        parts = count_parts(run.model.network, (2, 3, size, size))  # batch normalisation needs two
    except (RuntimeError, ValueError):
        return None
    return sum(part.macs for part in parts.values()) // 2


if __name__ == "__main__":
    guarded(main, [])
