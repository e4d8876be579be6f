"""`compare`: trains the runs of several experiments that are missing, and says how their test errors differ."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import jsonargparse

from resnet_lightning.errors import BadInput
from resnet_lightning.reporting.labels import labelled, labels
from resnet_lightning.runs.experiments import experiment_files, experiment_name, find_file, merged, named_settings
from resnet_lightning.runs.folder import check_yaml
from resnet_lightning.runs.reading import runs_in
from resnet_lightning.studies import Drawing, Study
from resnet_lightning.studies.comparing.figure import draw
from resnet_lightning.studies.comparing.table import tables
from resnet_lightning.studies.comparing.trust import Settings, refuse_other_data
from resnet_lightning.studies.execution.carrying_out import carry_out, exit_status
from resnet_lightning.studies.execution.jobs import Job, list_jobs
from resnet_lightning.studies.execution.options import add_options, checked
from resnet_lightning.studies.execution.preparation import answer
from resnet_lightning.studies.report import show

LONGEST = 120  # characters of a report's name
SEEDS = (0, 1, 2, 3, 4)


def main(arguments: Sequence[str]) -> int:
    """`resnet-lightning compare`: runs what is missing, reports, and returns the exit status."""
    options = parse(arguments)
    return exit_status(lambda: compare(options))


def parse(arguments: Sequence[str]) -> jsonargparse.Namespace:
    """Raises BadInput for numbers and options that make no sense, and for one seed."""
    parser = jsonargparse.ArgumentParser(exit_on_error=False, allow_abbrev=False, prog="resnet-lightning compare")
    parser.add_argument(
        "files", nargs="+", help="experiments, such as experiments/digits/resnet20.yaml; baseline first"
    )
    add_options(parser, SEEDS)
    options = checked(parser.parse_args(list(arguments)))
    if len(options.seeds) < 2:
        raise BadInput(
            f"SEEDS={options.seeds[0]}: one seed does not show how far seeds differ; expected two at least, better "
            'five: SEEDS="0 1 2 3 4"'
        )
    return options


def compare(options: jsonargparse.Namespace) -> bool:
    """Runs what is missing, and reports; whether nothing is missing in the end.

    Raises:
        BadInput: for experiments that cannot be compared, before anything is trained.
    """
    experiments = [experiment_name(path) for path in options.files]
    if twice := [name for place, name in enumerate(experiments) if name in experiments[:place]]:
        raise BadInput(f"{twice[0]} is given twice: expected experiments that differ, each once")
    if len(experiments) == 1:
        raise BadInput(f"{experiments[0]} is given alone: expected a baseline, and one experiment or more to compare")
    names = labels(experiments)
    overlays = [find_file(Path(path)) for path in options["with"]]
    settings = {names[experiment]: named(experiment, overlays) for experiment in experiments}
    how = (options.seeds, options.data, options.steps, options["with"])
    runs = {names[experiment]: list_jobs([experiment], *how) for experiment in experiments}
    jobs = [job for seed in zip(*runs.values(), strict=True) for job in seed]  # all experiments' first seeds first
    macs = look(runs, settings, read=not options.print and not options.submit)
    whole = carry_out(jobs, options, check=True)
    if not options.print:
        words = f"Is {' or '.join(list(names.values())[1:])} better than {names[experiments[0]]}?"
        study = Study(
            title=words,
            section="",
            experiments=experiments,
            evaluations=(),
            command="",
            tables=partial(tables, words, settings, macs),
            figures={"": Drawing(partial(draw, list(settings)), "Test errors by seed, and curves", together=True)},
        )
        changes = jobs[0].folder.parent.name.partition("@")[2]
        name = "-".join(["compare", *names.values()]).replace("/", "-") + f"@{changes}" * bool(changes)
        show(study, name[:LONGEST], labelled(runs_in([job.folder for job in jobs]), names))
    return whole


def named(experiment: str, overlays: Sequence[Path]) -> Settings:
    """What the files of an experiment say, by dotted name."""
    files = [*experiment_files(experiment), *overlays]
    for path in files:
        check_yaml(path)
    config = merged(files)
    precision = config.get("trainer", {}).get("precision")
    return named_settings(config) | ({"trainer.precision": precision} if precision else {})


def look(runs: Mapping[str, Sequence[Job]], settings: Mapping[str, Settings], read: bool) -> dict[str, Any]:
    """The multiply-adds of each experiment.

    Args:
        read: whether data are read, if there are runs to be made.

    Raises:
        BadInput: if experiments are the same, or on different data.
    """
    missing = any(job.outcome() is None for own in runs.values() for job in own)
    asked = {name: own[0].arguments for name, own in runs.items()}
    found = answer("resnet_lightning.studies.comparing.facts", {"runs": asked, "read": read and missing})
    refuse_other_data([(name, facts["data"]) for name, facts in found.items() if facts["data"]], settings)
    return {name: facts["macs"] for name, facts in found.items()}
