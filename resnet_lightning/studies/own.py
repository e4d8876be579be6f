"""A study of one's own: a YAML file with a title and a list of experiments, and no Python."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from resnet_lightning.errors import BadInput
from resnet_lightning.reporting.cells import length, training_and_test
from resnet_lightning.reporting.figures import CURVES, Panel, error_figure
from resnet_lightning.reporting.setting_tables import Networks, Rows, table_per_setting
from resnet_lightning.reporting.settings import Setting
from resnet_lightning.runs.experiments import experiment_name
from resnet_lightning.runs.folder import read_yaml
from resnet_lightning.runs.reading import Run
from resnet_lightning.studies import Drawing, Study

if TYPE_CHECKING:
    from matplotlib.figure import Figure

EXAMPLE = "expected title: words, and experiments: [cifar10/mine/idea, cifar10/table6/resnet20]"


def read_study(path: Path) -> Study:
    """The study of a file.

    Raises:
        BadInput: if it is missing or says something else, or an experiment has no file.
    """
    contents = read_yaml(path)
    if not isinstance(contents, dict):
        raise BadInput(f"{path} holds no names and values: {EXAMPLE}")
    if other := [str(key) for key in contents if key not in ("title", "experiments")]:
        raise BadInput(f"{path} has {other[0]}, which is nothing that a study has: {EXAMPLE}")
    title, given = contents.get("title"), contents.get("experiments")
    if not isinstance(title, str) or not title.strip():
        raise BadInput(f"{path} has {'no title' if title is None else f'the title {title!r}'}: {EXAMPLE}")
    if not isinstance(given, list) or not given:
        raise BadInput(f"{path} has {'no' if not given else 'no list of'} experiments: {EXAMPLE}")
    try:
        experiments = tuple(experiment_name(str(experiment)) for experiment in given)
    except BadInput as error:
        raise BadInput(f"{path}: {error}") from error
    if twice := sorted({name for name in experiments if experiments.count(name) > 1}):
        raise BadInput(f"{path}: {twice[0]} is listed twice; expected each experiment once")
    return Study(
        title=title,
        section="",
        experiments=experiments,
        evaluations=(),
        command="",
        tables=lambda runs: table_per_setting(title, runs, rows),
        figures={"": Drawing(draw, CURVES)},
    )


def rows(setting: Setting, networks: Networks) -> tuple[Rows, list[str]]:
    """A row for each experiment: parameters, and errors (percent) over its seeds."""
    made = [
        {"Network": name, "Parameters": f"{own[0].parameters:,}", **training_and_test(own), **length(setting, own)}
        for name, own in networks.items()
    ]
    return made, []


def draw(runs: Sequence[Run]) -> "Figure":
    """The error curves of all experiments in one panel."""
    return error_figure(runs, [Panel("", list(runs))])
