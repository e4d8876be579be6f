"""The command line: one run (fit, validate, test, predict), and the studies made of many runs."""

import logging
import shlex
import sys
import warnings
from argparse import ArgumentError
from collections.abc import Sequence
from pathlib import Path

import jsonargparse
import torch
import yaml
from lightning.fabric.utilities.exceptions import MisconfigurationException

from resnet_lightning.benchmarks.input import bench_input
from resnet_lightning.benchmarks.plan import Inputs, plan
from resnet_lightning.benchmarks.speed import bench
from resnet_lightning.benchmarks.summary import summary
from resnet_lightning.errors import OCCUPIED, BadInput, Diverged, Occupied
from resnet_lightning.evaluation.ensemble import ensemble
from resnet_lightning.evaluation.lesions import USAGE, make_lesions
from resnet_lightning.evaluation.testing import evaluate
from resnet_lightning.runs.checkpoints import is_disk_full
from resnet_lightning.runs.command_line import prepare
from resnet_lightning.runs.folder import refuse_other_configuration, refuse_other_data
from resnet_lightning.runs.life import fit
from resnet_lightning.runs.trainers import make_trainer
from resnet_lightning.studies import STUDIES, choose, find_study
from resnet_lightning.studies.execution.jobs import Job, list_evaluations, list_jobs, list_weights
from resnet_lightning.studies.execution.runner import run_jobs
from resnet_lightning.studies.execution.submit import submit_jobs
from resnet_lightning.studies.keep import keep
from resnet_lightning.studies.report import report
from resnet_lightning.tracking.dashboard import dashboard
from resnet_lightning.tracking.wandb_logger import track
from resnet_lightning.training.devices import speaks_for_node

HELP = """\
usage: resnet-lightning COMMAND ...

  fit, validate, test, predict   one run: --config experiments/cifar10/base.yaml --config experiments/...
  study NAME                     the runs behind a table or figure that are not finished yet, then its report
  report NAME                    tables and figures of the runs that there are, finished or not
  keep NAME                      copies what its finished runs measured into results/, which has no weights
  dashboard NAME                 the same on Weights & Biases: a workspace of curves, and a report
  lesions                        what each block of a trained network does: takes the options of test
  summary                        shapes, parameters, multiply-adds and memory of an experiment's network; no data needed
  plan                           time and cost of every study on 1, 8 and 64 GPUs, predicted by a formula
  ensemble RUN RUN ...           errors of the averaged probabilities that predict has written
  bench                          images per second, beside a plain training loop
  bench-input                    images per second that are read from files, beside the usual ways

COMMAND --help says more. Studies: {studies}.
"""


def study(arguments: Sequence[str]) -> int:
    """`resnet-lightning study`: runs what is missing, reports, and returns the exit status."""
    parser = jsonargparse.ArgumentParser(exit_on_error=False, allow_abbrev=False, prog="resnet-lightning study")
    parser.add_argument("name", help=f"one of {', '.join(STUDIES)}")
    parser.add_argument("--data", help="folder of the data; the experiments' own by default")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], help="one run of each experiment per seed")
    parser.add_argument("--steps", type=int, help="shorten every run to so many iterations")
    parser.add_argument("--jobs", type=int, help="runs at the same time; chosen by the device by default")
    parser.add_argument("--only", nargs="+", default=[], help="some experiments of the study, such as resnet20")
    parser.add_argument("--with", nargs="+", default=[], help="configuration files laid over every experiment")
    parser.add_argument("--weights", help="evaluate torchvision's weight files in this folder instead of training")
    parser.add_argument("--retry", action="store_true", help="try again what has failed before")
    parser.add_argument("--print", action="store_true", help="run nothing: print the command line of each missing run")
    parser.add_argument("--submit", type=Path, help="send the runs to a cluster: a file of submitit's parameters")
    options = parser.parse_args(list(arguments))
    if options.jobs is not None and options.jobs < 1:
        raise BadInput(f"JOBS={options.jobs}: expected a number of runs, at least 1")
    if options.jobs and options.submit:
        raise BadInput(f"JOBS={options.jobs} is for this machine: slurm_array_parallelism in {options.submit} is meant")
    chosen = find_study(options.name)
    experiments = choose(chosen, options.only)

    def carry_out(jobs: Sequence[Job], devices: int = 1) -> bool:
        if options.print:
            print_jobs(jobs, options.retry)
            return True
        if options.submit:
            return submit_jobs(jobs, options.submit, options.retry)
        return run_jobs(jobs, options.jobs, devices, options.retry)

    complete = True
    try:
        if options.weights:
            if not chosen.evaluation:
                raise BadInput(f"WEIGHTS={options.weights}: {options.name} tests no networks, so weights are of no use")
            how = (chosen.evaluation, chosen.command)
            complete = carry_out(list_weights(experiments, options.weights, *how, options.data, options["with"]))
        elif experiments:
            seeds = list(dict.fromkeys(options.seeds))
            jobs = list_jobs(experiments, seeds, options.data, options.steps, options["with"])
            complete = carry_out(jobs, refuse_before_starting(jobs))
            if chosen.evaluation:
                evaluations = list_evaluations(jobs, chosen.evaluation, chosen.command, options.data)
                complete = carry_out(evaluations) and complete
    except KeyboardInterrupt:
        print("interrupted: the same command goes on from the last checkpoints", file=sys.stderr)
        return 130
    if not options.print:
        report(options.name)
    return 0 if complete else 1


def print_jobs(jobs: Sequence[Job], retry: bool) -> None:
    """One command line for each job that is neither done nor being worked on."""
    for job in jobs:
        job.look(retry)
        if job.state == "waiting":
            print(shlex.join(job.line))


def refuse_before_starting(jobs: Sequence[Job]) -> int:
    """Says once, before anything starts, what is wrong with settings or data; makes the data ready for all runs.

    Returns how many devices of this machine a run takes.
    """
    first = prepare(jobs[0].arguments)
    data = first.data
    data.prepare_data()
    data.setup("fit")
    for job in jobs:
        if (job.folder / "config.yaml").exists():
            refuse_other_data(job.folder, data.title)
            refuse_other_configuration(job.folder, yaml.safe_load(prepare(job.arguments, watched=False).text))
    return int(make_trainer(first).num_devices)


def print_ensemble(arguments: Sequence[str]) -> None:
    """`resnet-lightning ensemble`: the errors of the averaged probabilities of several runs (table 5)."""
    parser = jsonargparse.ArgumentParser(exit_on_error=False, allow_abbrev=False, prog="resnet-lightning ensemble")
    parser.add_argument("runs", type=Path, nargs="+", help="folders of runs in which `predict` has written")
    parser.add_argument("--evaluation", default="multi_scale", help="center, ten_crop or multi_scale")
    options = parser.parse_args(list(arguments))
    found = ensemble(options.runs, options.evaluation)
    print(
        f"{len(options.runs)} networks, {options.evaluation}, {found['images']:,} images: "
        f"top-1 error {found['error']:.2f} %, top-5 error {found['top5_error']:.2f} %"
    )


def main(args: Sequence[str] | None = None) -> None:
    """Carries out a command line; exits with status 2 and one line if it cannot be carried out as given."""
    arguments = list(sys.argv[1:] if args is None else args)
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", module="lightning")
    torch.set_float32_matmul_precision("high")
    if str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))  # for networks of the user's own, beside the experiments
    try:
        match arguments:
            case [] | ["-h" | "--help", *_]:
                print(HELP.format(studies=", ".join(STUDIES)), end="")
            case ["study", *rest]:
                if status := study(rest):
                    sys.exit(status)
            case ["report", name]:
                report(name)
            case ["report", *_]:
                raise BadInput(f"usage: resnet-lightning report NAME, with one of {', '.join(STUDIES)}")
            case ["keep", name]:
                keep(name)
            case ["keep", *_]:
                raise BadInput(f"usage: resnet-lightning keep NAME, with one of {', '.join(STUDIES)}")
            case ["dashboard", *rest]:
                dashboard(rest)
            case ["lesions", "-h" | "--help", *_]:
                print(f"usage: resnet-lightning lesions {USAGE}")
            case ["lesions", *rest]:
                make_lesions(rest)
            case ["summary", *rest]:
                summary(rest)
            case ["plan", *rest]:
                plan(jsonargparse.auto_cli(Inputs, args=rest, exit_on_error=False, allow_abbrev=False))
            case ["ensemble", *rest]:
                print_ensemble(rest)
            case ["bench-input", *rest]:
                jsonargparse.auto_cli(bench_input, args=rest, exit_on_error=False, allow_abbrev=False)
            case ["bench", *rest]:
                jsonargparse.auto_cli(bench, args=rest, exit_on_error=False, allow_abbrev=False)
            case ["fit", *rest]:
                fit(prepare(rest), track)
            case [("validate" | "test" | "predict") as command, *rest]:
                evaluate(prepare(rest, command))
            case [command, *_]:
                raise BadInput(f"no command is named {command!r}: resnet-lightning --help lists them")
    except KeyboardInterrupt:
        sys.exit(130)
    except (Diverged, Occupied) as error:
        print(f"resnet-lightning: {error}", file=sys.stderr)
        sys.exit(1 if isinstance(error, Diverged) else OCCUPIED)
    except Exception as error:
        if not (reason := user_reason(error)):
            raise
        if speaks_for_node() or torch.distributed.is_initialized():  # in training, something may be wrong with one only
            print("resnet-lightning: " + " ".join(reason.split()), file=sys.stderr)
        sys.exit(2)


def user_reason(error: BaseException | None) -> str | None:
    """What the user gave wrong, if this error, or one that led to it, is about that; None for a fault of ours."""
    if is_disk_full(error) and isinstance(error, OSError):
        return f"no space left on the device to write {error.filename or 'a file'}"
    while error is not None:  # jsonargparse wraps what a constructor raises
        if isinstance(error, BadInput | ArgumentError | MisconfigurationException):
            return str(error)
        error = error.__cause__ or error.__context__
    return None
