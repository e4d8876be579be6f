"""The options that studies and comparisons share: which runs, and how they are carried out."""

from collections.abc import Sequence
from pathlib import Path

import jsonargparse

from resnet_lightning.errors import BadInput


def add_options(parser: jsonargparse.ArgumentParser, seeds: Sequence[int]) -> None:
    """Args:
    seeds: by default.
    """
    parser.add_argument("--data", help="folder of the data; the experiments' own by default")
    parser.add_argument("--seeds", type=int, nargs="+", default=list(seeds), help="one run of each experiment per seed")
    parser.add_argument("--steps", type=int, help="shorten every run to so many iterations")
    parser.add_argument("--jobs", type=int, help="runs at the same time; chosen by the device by default")
    parser.add_argument("--with", nargs="+", default=[], help="configuration files laid over every experiment")
    parser.add_argument("--retry", action="store_true", help="try again what has failed before")
    parser.add_argument("--print", action="store_true", help="run nothing: print the command line of each missing run")
    parser.add_argument("--submit", type=Path, help="send the runs to a cluster: a file of submitit's parameters")


def checked(options: jsonargparse.Namespace) -> jsonargparse.Namespace:
    """The options, each seed once; BadInput for numbers that make no sense."""
    if options.jobs is not None and options.jobs < 1:
        raise BadInput(f"JOBS={options.jobs}: expected a number of runs, at least 1")
    if options.jobs and options.submit:
        raise BadInput(f"JOBS={options.jobs} is for this machine: slurm_array_parallelism in {options.submit} is meant")
    options.seeds = list(dict.fromkeys(options.seeds))
    return options
