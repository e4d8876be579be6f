"""Before a study starts its runs: a process of its own makes the data ready and says what is wrong, once for all runs.

The process that watches the runs needs no PyTorch then, and stays small while they train.
"""

import json
import subprocess
import sys
from collections.abc import Sequence
from typing import Any, NamedTuple

import yaml

from resnet_lightning.errors import BadInput, guarded
from resnet_lightning.runs.experiments import merged, named_settings
from resnet_lightning.runs.identity import settings
from resnet_lightning.runs.naming import config_files, split_options
from resnet_lightning.studies.execution.jobs import Job


class Machine(NamedTuple):
    """What the runs of a study find here.

    Args:
        devices: of this machine that one run takes.
        gpus: that there are.
    """

    devices: int = 1
    gpus: int = 0


def prepare(jobs: Sequence[Job], here: bool = True) -> Machine:
    """Makes the data ready for all runs, and counts the devices; without runs it counts only.

    Args:
        here: whether the runs are trained on this machine; on a cluster's login node, data are fetched and not read.

    Raises:
        SystemExit: when settings or data are wrong; the process has said what.
        KeyboardInterrupt: when it was interrupted.
    """
    return Machine(**answer(__name__, {"runs": [job.arguments for job in jobs], "here": here}))


def answer(module: str, question: dict[str, Any]) -> Any:
    """What a module of this package prints in its last line as JSON, run in a process of its own and given a question.

    Raises:
        SystemExit: when it ends with another status than 0; the process has said why.
        KeyboardInterrupt: when it was interrupted.
    """
    command, asked = [sys.executable, "-m", module], json.dumps(question)
    child = subprocess.run(command, input=asked, stdout=subprocess.PIPE, encoding="utf-8", errors="replace")
    if child.returncode == 130:
        raise KeyboardInterrupt
    if child.returncode:
        raise SystemExit(child.returncode)
    return json.loads(child.stdout.splitlines()[-1])


def refuse_edited(jobs: Sequence[Job]) -> None:
    """Raises BadInput if the files of a run that is over say something else by now; without PyTorch."""
    for job in jobs:
        config = job.folder / "config.yaml"
        if not job.done or job.command != "fit" or not config.exists():
            continue
        given = {name.replace("init_args.", "") for name, _ in split_options(job.arguments)}
        found = settings(yaml.safe_load(config.read_text(encoding="utf-8")) or {})
        for key, value in named_settings(merged(config_files(job.arguments))).items():
            follows = value in (-1, None) and key.startswith("trainer.")  # from the data
            if not follows and key.replace("init_args.", "") not in given and found.get(key) != value:
                raise BadInput(
                    f"{job.folder} holds a run of another configuration ({key} was {found.get(key)}, is {value}): move "
                    "it away to make this one"
                )


def main(_: Sequence[str]) -> None:
    """The process: reads the runs' arguments, prints the machine."""
    import torch

    asked = json.load(sys.stdin)
    devices = check(**asked) if asked["runs"] else 1
    print(json.dumps(Machine(devices, torch.cuda.device_count())._asdict()))


def check(runs: Sequence[list[str]], here: bool) -> int:
    """Raises BadInput for wrong settings or data, by the arguments of each run; returns how many devices one takes."""
    from resnet_lightning.data.protocol import title
    from resnet_lightning.runs import command_line
    from resnet_lightning.runs.folder import read_json, refuse_other_configuration, refuse_other_data
    from resnet_lightning.runs.trainers import make_trainer

    first = command_line.prepare(runs[0])
    first.data.prepare_data()
    if here:
        first.data.setup("fit")
    for arguments in runs:
        run = first if arguments == runs[0] else command_line.prepare(arguments)
        if (run.folder / "config.yaml").exists():
            begun = read_json(run.folder / "run.json")
            if here and begun and begun.get("data") != title(first.data):
                run.data.prepare_data()
                run.data.setup("fit")  # perhaps these data are its own
                refuse_other_data(run.folder, title(run.data))
            refuse_other_configuration(run.folder, yaml.safe_load(run.text))
    return int(make_trainer(first).num_devices) if here else 1


if __name__ == "__main__":
    guarded(main, [])
