"""What a comparison asks of its experiments before their runs start, in a process of its own that needs PyTorch."""

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from resnet_lightning.data import protocol
from resnet_lightning.errors import BadInput, guarded
from resnet_lightning.networks.counting import count_parts
from resnet_lightning.runs.command_line import PreparedRun, prepare
from resnet_lightning.runs.identity import configuration_hash


def main(_: Sequence[str]) -> None:
    """The process: reads a command line of each experiment, prints what is known of it."""
    asked = json.load(sys.stdin)
    print(json.dumps(facts(**asked)))


def facts(runs: Mapping[str, list[str]], read: bool) -> dict[str, dict[str, Any]]:
    """Of each experiment the multiply-adds for one image, and the title of its data.

    Args:
        runs: a command line of each experiment, by its name; all with one seed.
        read: whether data are made ready and read; without, their titles are not known.

    Raises:
        BadInput: if two experiments have the same settings.
    """
    prepared = {name: prepare(arguments, watched=False) for name, arguments in runs.items()}
    hashes: dict[str, str] = {}
    for name, run in prepared.items():
        other = hashes.setdefault(configuration_hash(run.text), name)
        if other != name:
            raise BadInput(
                f"{other} and {name} are the same experiment: every setting is equal; expected two that differ "
                "(`resnet-lightning new` writes one)"
            )
    titles: dict[str, str] = {}
    for run in prepared.values() if read else ():
        if (data := str(run.config.data)) not in titles:
            run.data.prepare_data()
            run.data.setup("fit")
            titles[data] = protocol.title(run.data)
    return {
        name: {"data": titles.get(str(run.config.data)), "macs": multiply_adds(run)} for name, run in prepared.items()
    }


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
