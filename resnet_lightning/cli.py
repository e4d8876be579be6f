"""The command line. A command is a name, a sentence and a function, which is imported when it is called."""

import io
import signal
import sys
import threading
import warnings
from argparse import ArgumentError
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

from resnet_lightning.errors import BadInput, guarded


class Command(NamedTuple):
    """Takes the arguments after its name; what it returns is the exit status, nothing is success.

    Args:
        takes: what is written after its name, in words; options are in its --help.
        sentence: what it does.
        function: where its function is, module:name below this package.
    """

    takes: str
    sentence: str
    function: str


COMMANDS = {
    "fit": Command("", "trains one run: --config FILE --config FILE ...", "cli:fit"),
    "validate": Command("", "measures a checkpoint on the validation images", "evaluation.testing:validate"),
    "test": Command("", "measures a checkpoint on the test images", "evaluation.testing:test"),
    "predict": Command("", "writes the class probabilities of the test images", "evaluation.testing:predict"),
    "study": Command("NAME", "runs what a table or figure still needs, then reports", "studies.execution.study:study"),
    "compare": Command(
        "FILE FILE ...", "trains what is missing, and says which is better", "studies.comparing.command:main"
    ),
    "new": Command(
        "NAME --from FILE", "writes an experiment that differs in a few settings", "runs.new_experiment:main"
    ),
    "report": Command("NAME", "shows a study's runs, finished or not, as tables and figures", "studies.report:main"),
    "keep": Command("NAME", "copies what a study's finished runs measured into results/", "studies.keep:main"),
    "pack": Command("RUN [FILE]", "puts a run into one file, to go on elsewhere", "runs.packing:pack_command"),
    "unpack": Command("FILE [FOLDER]", "puts a packed run back into its folder", "runs.unpacking:unpack_command"),
    "dashboard": Command("NAME", "makes workspaces and a report on Weights & Biases", "tracking.dashboard:dashboard"),
    "lesions": Command("", "tests a trained network without each of its blocks", "evaluation.lesions:main"),
    "summary": Command("", "shows what a network is made of, and what it costs", "benchmarks.summary:summary"),
    "complexity": Command(
        "", "compares networks by what they cost on this device", "benchmarks.complexity.command:main"
    ),
    "plan": Command("", "tells how long every study takes, by finished runs", "benchmarks.plan:main"),
    "export": Command("RUN --to FORM", "writes a trained network for other programs", "evaluation.export:main"),
    "ensemble": Command(
        "RUN RUN ...", "averages the probabilities that predict has written", "evaluation.ensemble:main"
    ),
    "bench": Command("", "measures training images per second, beside a plain loop", "benchmarks.speed:main"),
    "bench-input": Command("", "measures how fast image files are read", "benchmarks.input:main"),
}


@contextmanager
def ended_by_ctrl_c() -> Iterator[None]:
    """While libraries are imported Ctrl-C ends the process, since amidst an import it may turn into any other error."""
    before = signal.getsignal(signal.SIGINT)
    changes = before is signal.default_int_handler and threading.current_thread() is threading.main_thread()
    if changes:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        yield
    finally:
        if changes:
            signal.signal(signal.SIGINT, before)


def fit(arguments: Sequence[str]) -> None:
    """`resnet-lightning fit`: a run, and W&B's logger that follows it."""
    with ended_by_ctrl_c():
        from resnet_lightning.runs import life
        from resnet_lightning.runs.command_line import prepare
        from resnet_lightning.tracking.wandb_logger import track

    life.fit(prepare(arguments), track)


def help_text() -> str:
    from resnet_lightning.studies import STUDIES

    lines = [f"  {f'{name} {command.takes}':<22} {command.sentence}" for name, command in COMMANDS.items()]
    return "\n".join(
        [
            "usage: resnet-lightning COMMAND ...",
            "",
            *lines,
            "",
            f"COMMAND --help says more. Studies: {', '.join(STUDIES)}.",
        ]
    )


def main(args: Sequence[str] | None = None) -> None:
    """Carries out a command line; exits with status 2 and one line if it cannot be carried out as given."""
    name, *arguments = list(sys.argv[1:] if args is None else args) or ["--help"]
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # what a terminal's encoding lacks is shown as ?
    warnings.filterwarnings("ignore", module="lightning")
    if str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))  # for networks of the user's own, beside the experiments
    if name in ("-h", "--help"):
        print(help_text())
    else:
        guarded(partial(carry_out, name), arguments)


def carry_out(name: str, arguments: Sequence[str]) -> int | None:
    """Imports a command's function and calls it.

    Raises:
        BadInput: for a name that is none, or arguments that the command does not take.
    """
    if name not in COMMANDS:
        raise BadInput(f"no command is named {name!r}: resnet-lightning --help lists them")
    module, _, function = COMMANDS[name].function.partition(":")
    with ended_by_ctrl_c():
        found = getattr(import_module(f"resnet_lightning.{module}"), function)
    try:
        status: int | None = found(arguments)
    except ArgumentError as error:
        from resnet_lightning.runs.misspelt import explain

        raise BadInput(explain(error, (), arguments)) from error
    return status
