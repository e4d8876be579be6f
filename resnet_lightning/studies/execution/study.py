"""`study`: runs what a table or figure still needs, here or on a cluster, and reports."""

from argparse import RawDescriptionHelpFormatter
from collections.abc import Sequence

import jsonargparse

from resnet_lightning.errors import BadInput
from resnet_lightning.studies import Study, choose, find_study, overview
from resnet_lightning.studies.execution.carrying_out import carry_out, exit_status
from resnet_lightning.studies.execution.jobs import list_evaluations, list_jobs, list_weights
from resnet_lightning.studies.execution.options import add_options, checked
from resnet_lightning.studies.experiments import BACKBONES
from resnet_lightning.studies.report import report
from resnet_lightning.studies.sweep import sweep


class Help(RawDescriptionHelpFormatter, jsonargparse.DefaultHelpFormatter):
    """Leaves the lines of the studies as they are."""


def study(arguments: Sequence[str]) -> int:
    """`resnet-lightning study`: runs what is missing, reports, and returns the exit status."""
    options = parse(arguments)
    chosen = find_study(options.name)
    experiments = choose(chosen, options.only)
    if options.sweep is not None:
        return exit_status(lambda: sweep(chosen, experiments, options))
    return exit_status(lambda: complete(chosen, experiments, options))


def complete(chosen: Study, experiments: Sequence[str], options: jsonargparse.Namespace) -> bool:
    """Runs and evaluates what is missing, and reports; whether nothing is missing in the end."""
    whole = True
    detectors = any(experiment in BACKBONES for experiment in experiments)  # begin with weights, and train
    if options.weights and not detectors:
        if not chosen.evaluations:
            raise BadInput(f"WEIGHTS={options.weights}: {options.name} tests no networks, so weights are of no use")
        how = (chosen.evaluations, chosen.command)
        jobs = list_weights(experiments, options.weights, *how, options.data, options["with"])
        whole = carry_out(jobs, options)
    elif experiments:
        jobs = list_jobs(
            experiments,
            options.seeds,
            options.data,
            options.steps,
            options["with"],
            in_proportion=chosen.in_proportion,
            weights=options.weights,
        )
        whole = carry_out(jobs, options, check=True)
        if chosen.evaluations:
            tests = list_evaluations(jobs, chosen.evaluations, chosen.command, options.data)
            whole = carry_out(tests, options) and whole
    if not options.print:
        report(options.name)
    return whole


def parse(arguments: Sequence[str]) -> jsonargparse.Namespace:
    """Raises BadInput for numbers and options that make no sense."""
    parser = jsonargparse.ArgumentParser(
        exit_on_error=False,
        allow_abbrev=False,
        prog="resnet-lightning study",
        formatter_class=Help,
        epilog=f"studies:\n{overview()}",
    )
    parser.add_argument("name", help="of a study, which are listed below, or a file of your own, experiments/…/….yaml")
    add_options(parser, seeds=(0,))
    parser.add_argument("--only", nargs="+", default=[], help="some experiments of the study, such as resnet20")
    parser.add_argument(
        "--weights",
        help="folder of torchvision's weight files: tested in place of training; detectors begin with them",
    )
    parser.add_argument("--sweep", help="a setting and its values, such as model.optimizer.init_args.lr=0.05,0.1,0.2")
    options = checked(parser.parse_args(list(arguments)))
    if options.sweep is not None and options.weights:
        raise BadInput(f"WEIGHTS={options.weights}: a sweep trains its networks; give one of the two")
    return options
