"""A study is the set of runs behind a table or figure of the paper: `study` runs what is missing, `report` shows it.

Each is one file of this folder, named in STUDIES. docs/extending.md adds another.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from resnet_lightning.errors import BadInput

if TYPE_CHECKING:  # a list of names needs none of this
    from matplotlib.figure import Figure

    from resnet_lightning.reporting.table import Table
    from resnet_lightning.runs.reading import Run

# The order in which they are listed; the Makefile reads this list, and the titles in their files, too.
STUDIES = (
    "demo",
    "degradation",
    "figure1",
    "figure6",
    "table6",
    "figure7",
    "gradients",
    "vanishing",
    "lesions",
    "preactivation",
    "family",
    "ideas",
    "protocols",
    "table1",
    "table2",
    "table3",
    "table4",
    "table5",
    "table7",
    "table8",
    "table9",
    "detection",
    "figure4",
)


class Drawing(NamedTuple):
    """A figure.

    Args:
        draw: from the runs of one setting; None where they have nothing for it.
        words: what it shows, for those who cannot see it.
        together: whether it is one figure of all runs, whatever their settings.
    """

    draw: "Callable[[Sequence[Run]], Figure | None]"
    words: str
    together: bool = False


@dataclass(frozen=True, kw_only=True)
class Study:
    """A table or figure.

    Args:
        title: of its report.
        section: of the paper, which it follows; empty for a question of one's own.
        experiments: paths below experiments/, without .yaml, the longest first, so that it does not run alone in the
            end; none if nothing is trained.
        evaluations: what the finished networks are shown, beyond the evaluations of their training: center, ten_crop,
            multi_scale or refined.
        command: what is done with them then: test; predict, to average probabilities; or lesions; empty for nothing.
        tables: what its runs, finished or not, have measured; of no runs the paper's numbers alone, or nothing.
        figures: by what their files' names end with: one is drawn for each setting, or one alone if nothing is trained.
        in_proportion: whether STEPS shortens the experiments in proportion, so that longer ones stay longer; else all
            have so many iterations.
    """

    title: str
    section: str
    experiments: Sequence[str]
    evaluations: Sequence[str]
    command: str
    tables: "Callable[[Sequence[Run]], list[Table]]"
    figures: Mapping[str, Drawing]
    in_proportion: bool = False

    @property
    def own(self) -> bool:
        """Whether its rows are experiments, of which several may train the same network."""
        return not self.section


def find_study(name: str) -> Study:
    """The study of that name, or of a file of one's own, such as experiments/mine/study.yaml.

    Raises:
        BadInput: if there is none.
    """
    if is_file(name):
        from resnet_lightning.studies.own import read_study

        return read_study(Path(name))
    if name not in STUDIES:
        raise BadInput(f"no study is named {name!r}: expected one of {', '.join(STUDIES)}, or a file.yaml")
    study: Study = import_module(f"{__name__}.{name}").STUDY
    return study


def is_file(name: str) -> bool:
    """Whether a study's name is that of a file of one's own."""
    return Path(name).suffix in (".yaml", ".yml")


def file_name(name: str) -> str:
    """What a study's files in reports/ are called: mine-study for experiments/mine/study.yaml."""
    if not is_file(name):
        return name
    from resnet_lightning.runs.naming import name_of

    return name_of(Path(name))[0].replace("/", "-")


def overview() -> str:
    """A line for each study: its name and its title."""
    return "\n".join(f"  {name:<12} {find_study(name).title}" for name in STUDIES)


def name_given(command: str, arguments: Sequence[str]) -> str:
    """The name of a study, which is all that a command takes; empty after its --help.

    Raises:
        BadInput: saying how it is written.
    """
    usage = f"usage: resnet-lightning {command} NAME, with one of {', '.join(STUDIES)}"
    if {"-h", "--help"} & set(arguments):
        print(usage)
        return ""
    if len(arguments) != 1 or arguments[0].startswith("-"):
        raise BadInput(usage)
    return arguments[0]


def choose(study: Study, only: list[str]) -> tuple[str, ...]:
    """The study's experiments, or those named (resnet20, or cifar10/table6/resnet20).

    Raises:
        BadInput: for a name that is not in the study, or of several experiments in it.
    """
    chosen: set[str] = set()
    for name in only:
        found = {each for each in study.experiments if f"/{each}".endswith(f"/{name}")}
        if not found:
            names = ", ".join(Path(each).name for each in study.experiments)
            raise BadInput(f"no experiment is named {name!r} in this study: expected some of {names}")
        if len(found) > 1:
            raise BadInput(f"{name!r} may be any of {', '.join(sorted(found))}: expected one of these, in full")
        chosen |= found
    return tuple(each for each in study.experiments if each in chosen or not only)
