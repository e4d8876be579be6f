"""`report`: a study's tables and figures from the runs that there are, in runs/ and in results/, finished or not."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from matplotlib.figure import Figure
from rich.console import Console

from resnet_lightning.reporting import figures
from resnet_lightning.reporting.architectures import table1
from resnet_lightning.reporting.ensembles import table5
from resnet_lightning.reporting.gradients import gradient_heat, gradient_lines, gradient_table
from resnet_lightning.reporting.groups import by_network, groups
from resnet_lightning.reporting.imagenet import figure4_table, table2, table3, table4
from resnet_lightning.reporting.lesions import lesion_figure, lesion_table
from resnet_lightning.reporting.page import write_page
from resnet_lightning.reporting.responses import figure7, figure7_table
from resnet_lightning.reporting.table import Table, show_tables, write_tables
from resnet_lightning.reporting.tables import degradation_table, figure6_table, table6
from resnet_lightning.reporting.vanishing import vanishing_figure, vanishing_table
from resnet_lightning.runs.folder import RESULTS, RUNS, make_folder
from resnet_lightning.runs.reading import Run, load_runs
from resnet_lightning.studies import find_study, name_given

REPORTS = Path("reports")
TABLES: dict[str, Callable[[Sequence[Run]], list[Table]]] = {  # the others: degradation_table
    "table1": table1,
    "table2": table2,
    "table3": table3,
    "table4": table4,
    "table5": table5,
    "table6": table6,
    "figure4": figure4_table,
    "figure6": figure6_table,
    "figure7": figure7_table,
    "gradients": gradient_table,
    "lesions": lesion_table,
    "vanishing": vanishing_table,
}
CURVES = "Curves of errors by iteration"
Figures = dict[str, tuple[Callable[[Sequence[Run]], Figure], str]]
# By what its file's name ends with, how each figure is drawn, and what it shows in words; others: degradation.
FIGURES: dict[str, Figures] = {
    **{name: {} for name in ("table1", "table3", "table4", "table5")},
    **{name: {"": (figures.figure4, CURVES)} for name in ("table2", "figure4")},
    **{name: {"": (figures.figure6, CURVES)} for name in ("table6", "figure6")},
    "figure1": {"": (figures.figure1, CURVES)},
    "figure7": {"": (figure7, "Standard deviations of layer responses, by layer, sorted, and by iteration")},
    "gradients": {
        "": (gradient_lines, "Gradient norms by layer, at initialisation and last"),
        "-heat": (gradient_heat, "Gradient norms by layer and iteration, in colour"),
    },
    "lesions": {"": (lesion_figure, "Test errors after lesions, and sizes of F(x) beside x, by block")},
    "vanishing": {"": (vanishing_figure, "First over last gradient norm by depth, on a logarithmic axis")},
}
IMAGENET = ("table2", "table3", "table4", "table5", "figure4")
SECTIONS = {"table1": "3.3", **dict.fromkeys((*IMAGENET, "gradients", "vanishing"), "4.1")}  # others: 4.2


def main(arguments: Sequence[str]) -> None:
    """`resnet-lightning report`."""
    report(name_given("report", arguments))


def report(name: str) -> None:
    """Prints a study's tables and writes them, its figures and a page of both into the reports folder.

    Raises:
        BadInput: for an unknown study or a folder that cannot be written to.
    """
    study = find_study(name)
    runs = beside_own(load_runs(study.experiments, RUNS, RESULTS))
    make_folder(REPORTS)
    tables = TABLES.get(name, degradation_table)(runs)
    if not tables:
        print(f"nothing has been run yet: make {name}")
        return
    # Wide tables are cut where the terminal ends, but must not be cut in a log file.
    console = Console()
    show_tables(tables, console if console.is_terminal else Console(width=200))
    written = write_tables(tables, REPORTS, name)
    pictures = []
    for ending, (draw, words) in FIGURES.get(name, {"": (figures.degradation, CURVES)}).items():
        drawn = _figures(name + ending, runs) if study.experiments else [(name + ending, "", [])]
        for stem, what, group in drawn:
            png, svg = figures.save(draw(group), REPORTS, stem)
            pictures.append((svg, f"{words}: {what}" if what else words))
            written += [png, svg]
    written.append(write_page(study.title, SECTIONS.get(name, "4.2"), tables, pictures, runs, REPORTS, name))
    print("written: " + ", ".join(map(str, written)))


def beside_own(runs: Sequence[Run]) -> list[Run]:
    """Leaves out what is kept in results/ of settings, other than the paper's, in which the user has no runs."""
    found = groups(runs)
    own = {setting for setting, group in found if not all(run.kept for run in group)}
    return [run for setting, group in found for run in group if not own or setting in own or setting.full]


def _figures(name: str, runs: Sequence[Run]) -> Iterator[tuple[str, str, list[Run]]]:
    """The file's name, what it shows, and the runs of every figure: one per setting."""
    stems: set[str] = set()
    for setting, group in groups([run for run in runs if not run.weights]):  # weights have no curves
        stem = name + ("@" + ",".join(group[0].changes) if group[0].changes else "")
        if stem in stems:  # the same on other data
            stem += f" on {setting.data}"
        stems.add(stem)
        yield stem, f"{', '.join(by_network(group))}; {setting.title}", group
