"""A sweep: the runs of a study with several values of one setting, here or by Weights & Biases."""

import re
from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import jsonargparse
import yaml

from resnet_lightning.errors import BadInput
from resnet_lightning.files import write_text
from resnet_lightning.reporting.by_value import draw, tables
from resnet_lightning.reporting.labels import labelled, labels
from resnet_lightning.runs.experiments import parsed
from resnet_lightning.runs.folder import make_folder
from resnet_lightning.runs.reading import runs_in
from resnet_lightning.studies import Drawing, Study, file_name
from resnet_lightning.studies.execution.carrying_out import carry_out
from resnet_lightning.studies.execution.jobs import Job, list_jobs
from resnet_lightning.studies.report import REPORTS, show

EXAMPLE = "model.optimizer.init_args.lr=0.05,0.1,0.2"
COMMA = re.compile(r",(?![^\[{]*[\]}])")  # none inside of a list: drops=[0.5,0.75],[0.6,0.8]


class Sweep(NamedTuple):
    """A setting, by its dotted name, and its values as they are written."""

    key: str
    values: list[str]

    @property
    def name(self) -> str:
        """The last part of the setting's name, which runs have in theirs."""
        return self.key.rpartition(".")[2]


def parse_sweep(text: str) -> Sweep:
    """Raises BadInput for what is no setting with two values or more, each once."""
    key, _, rest = text.removeprefix("--").partition("=")
    values = [value.strip() for value in COMMA.split(rest)]
    if not re.fullmatch(r"[\w.]+", key) or key == "config":
        raise BadInput(f"SWEEP={text}: expected a setting and its values, such as {EXAMPLE}")
    if not all(values):
        raise BadInput(f"SWEEP={text}: a value is missing; expected a setting and its values, such as {EXAMPLE}")
    if twice := [value for place, value in enumerate(values) if parsed(value) in map(parsed, values[:place])]:
        raise BadInput(f"SWEEP={text}: {twice[0]} is there twice; expected each value once")
    if len(values) == 1:
        raise BadInput(f"SWEEP={text}: one value is no sweep; expected several, such as {EXAMPLE}")
    return Sweep(key, values)


def sweep(study: Study, experiments: Sequence[str], options: jsonargparse.Namespace) -> bool:
    """Runs what is missing of a sweep, and reports; whether nothing is missing in the end.

    Raises:
        BadInput: for a setting that is none, or values that it does not take, before anything is trained.
    """
    swept = parse_sweep(options.sweep)
    how = (options.data, options.steps, options["with"])
    longer = study.in_proportion
    by_value = [
        list_jobs(experiments, options.seeds, *how, [f"--{swept.key}={value}"], longer) for value in swept.values
    ]
    jobs = [job for own in zip(*by_value, strict=True) for job in own]
    if not experiments:
        raise BadInput(f"SWEEP={options.sweep}: {options.name} trains nothing")
    if len({job.folder for job in jobs}) < len(jobs):
        raise BadInput(
            f"SWEEP={options.sweep}: {swept.key} is no part of an experiment; expected what runs may differ in"
        )
    whole = carry_out(jobs, options, check=True)
    if options.print:
        return whole
    common = [list_jobs([experiment], options.seeds, *how, (), longer)[0] for experiment in experiments]
    changes = common[0].folder.parent.name.partition("@")[2]
    name = f"{file_name(options.name)}-{swept.name}" + f"@{changes}" * bool(changes)
    write_sweeps(swept, dict(zip(labels(experiments).values(), common, strict=True)), options.seeds, name)
    title = f"{study.title}: errors by {swept.name}"
    report = Study(
        title=title,
        section="",
        experiments=experiments,
        evaluations=(),
        command="",
        tables=partial(tables, swept.name),
        figures={"": Drawing(partial(draw, swept.name), f"Test errors by {swept.name}", together=True)},
    )
    show(report, name, labelled(runs_in([job.folder for job in jobs])))
    return whole


def write_sweeps(swept: Sweep, jobs: dict[str, Job], seeds: Sequence[int], name: str) -> None:
    """Writes a file for each experiment of which `wandb sweep` makes the same sweep.

    Args:
        jobs: a run of each experiment, by its name.
        name: of the report, which the files' names begin with.
    """
    make_folder(REPORTS)
    folder = REPORTS / "wandb"
    make_folder(folder)
    for label, job in jobs.items():
        contents = {
            "name": f"{label} by {swept.name}",
            "method": "grid",
            "metric": {"name": "test/error", "goal": "minimize"},
            "parameters": {
                swept.key: {"values": [plain(value) for value in swept.values]},
                "seed_everything": {"values": list(seeds)},
            },
            # The agent puts a value into args as --setting=value; what comes last counts.
            "command": [*job.line[:-1], "${args}"],
        }
        path = folder / f"{name}-{label.replace('/', '-')}.yaml"
        header = f"# wandb sweep {path}\n# wandb agent ENTITY/PROJECT/SWEEP, as wandb sweep prints it, in this folder\n"
        write_text(path, header + yaml.safe_dump(contents, sort_keys=False, allow_unicode=True))
        print(f"written: {path}, for wandb sweep")


def plain(value: str) -> Any:
    """A number where it is written back just so, else the text."""
    number = parsed(value)
    return number if str(number) == value else value
