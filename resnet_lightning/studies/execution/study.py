"""`study`: runs what a table or figure still needs, here or on a cluster, and reports."""

import shlex
import sys
from argparse import RawDescriptionHelpFormatter
from collections.abc import Sequence
from pathlib import Path

import jsonargparse

from resnet_lightning.errors import BadInput
from resnet_lightning.studies import choose, find_study, overview
from resnet_lightning.studies.execution.jobs import Job, list_evaluations, list_jobs, list_weights
from resnet_lightning.studies.execution.preparation import Machine, prepare, refuse_edited
from resnet_lightning.studies.execution.runner import run_jobs
from resnet_lightning.studies.experiments import BACKBONES
from resnet_lightning.studies.report import report


class Help(RawDescriptionHelpFormatter, jsonargparse.DefaultHelpFormatter):
    """Leaves the lines of the studies as they are."""


def study(arguments: Sequence[str]) -> int:
    """`resnet-lightning study`: runs what is missing, reports, and returns the exit status."""
    options = parse(arguments)
    chosen = find_study(options.name)
    experiments = choose(chosen, options.only)
    complete = True
    try:
        detectors = any(experiment in BACKBONES for experiment in experiments)  # begin with weights, and train
        if options.weights and not detectors:
            if not chosen.evaluation:
                raise BadInput(f"WEIGHTS={options.weights}: {options.name} tests no networks, so weights are of no use")
            how = (chosen.evaluation, chosen.command)
            jobs = list_weights(experiments, options.weights, *how, options.data, options["with"])
            complete = carry_out(jobs, options)
        elif experiments:
            seeds = list(dict.fromkeys(options.seeds))
            jobs = list_jobs(experiments, seeds, options.data, options.steps, options["with"], options.weights)
            complete = carry_out(jobs, options, check=True)
            if chosen.evaluation:
                evaluations = list_evaluations(jobs, chosen.evaluation, chosen.command, options.data)
                complete = carry_out(evaluations, options) and complete
    except KeyboardInterrupt:
        print("interrupted: the same command goes on from the last checkpoints", file=sys.stderr)
        return 130
    if not options.print:
        report(options.name)
    return 0 if complete else 1


def parse(arguments: Sequence[str]) -> jsonargparse.Namespace:
    """Raises BadInput for numbers and options that make no sense."""
    parser = jsonargparse.ArgumentParser(
        exit_on_error=False,
        allow_abbrev=False,
        prog="resnet-lightning study",
        formatter_class=Help,
        epilog=f"studies:\n{overview()}",
    )
    parser.add_argument("name", help="of a study; they are listed below")
    parser.add_argument("--data", help="folder of the data; the experiments' own by default")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], help="one run of each experiment per seed")
    parser.add_argument("--steps", type=int, help="shorten every run to so many iterations")
    parser.add_argument("--jobs", type=int, help="runs at the same time; chosen by the device by default")
    parser.add_argument("--only", nargs="+", default=[], help="some experiments of the study, such as resnet20")
    parser.add_argument("--with", nargs="+", default=[], help="configuration files laid over every experiment")
    parser.add_argument(
        "--weights",
        help="folder of torchvision's weight files: tested in place of training; detectors begin with them",
    )
    parser.add_argument("--retry", action="store_true", help="try again what has failed before")
    parser.add_argument("--print", action="store_true", help="run nothing: print the command line of each missing run")
    parser.add_argument("--submit", type=Path, help="send the runs to a cluster: a file of submitit's parameters")
    options = parser.parse_args(list(arguments))
    if options.jobs is not None and options.jobs < 1:
        raise BadInput(f"JOBS={options.jobs}: expected a number of runs, at least 1")
    if options.jobs and options.submit:
        raise BadInput(f"JOBS={options.jobs} is for this machine: slurm_array_parallelism in {options.submit} is meant")
    return options


def carry_out(jobs: Sequence[Job], options: jsonargparse.Namespace, check: bool = False) -> bool:
    """Runs, submits or prints the jobs; whether all have a result in the end.

    Args:
        check: settings and data before anything starts; a study with nothing left to run is spared that.
    """
    for job in jobs:
        job.look(options.retry)
    if check:
        refuse_edited(jobs)
    if options.print:
        print_jobs(jobs, options.retry)
        return True
    waiting = any(not job.done for job in jobs)
    machine = prepare(jobs if check else [], here=not options.submit) if waiting else Machine()
    if options.submit:
        from resnet_lightning.studies.execution.submit import submit_jobs  # submitit is not everybody's

        return submit_jobs(jobs, options.submit, options.retry)
    return run_jobs(jobs, options.jobs, machine, options.retry)


def print_jobs(jobs: Sequence[Job], retry: bool) -> None:
    """One command line for each job that is neither done nor being worked on."""
    for job in jobs:
        job.look(retry)
        if job.state == "waiting":
            print(shlex.join(job.line))
