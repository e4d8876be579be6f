"""`report`: a study's tables and figures from the run folders that there are, finished or not."""

from collections.abc import Callable, Sequence
from pathlib import Path

from rich.console import Console

from resnet_lightning.reporting import figures
from resnet_lightning.reporting.architectures import table1
from resnet_lightning.reporting.ensembles import table5
from resnet_lightning.reporting.groups import by_network, groups
from resnet_lightning.reporting.imagenet import figure4_table, table2, table3, table4
from resnet_lightning.reporting.page import write_page
from resnet_lightning.reporting.runs import Run, load_runs
from resnet_lightning.reporting.table import Table, show_tables, write_tables
from resnet_lightning.reporting.tables import degradation_table, figure6_table, table6
from resnet_lightning.run_folder import RUNS, make_folder
from resnet_lightning.studies import find_study

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
}
FIGURES = {  # the others: degradation
    "table2": figures.figure4,
    "table6": figures.figure6,
    "figure1": figures.figure1,
    "figure4": figures.figure4,
    "figure6": figures.figure6,
}
SECTIONS = {"table1": "3.3", **dict.fromkeys(("table2", "table3", "table4", "table5", "figure4"), "4.1")}  # others: 4.2
WITHOUT_FIGURE = ("table1", "table3", "table4", "table5")


def report(name: str) -> None:
    """Prints a study's tables and writes them, its figures and a page of both into the reports folder.

    Raises:
        BadInput: for an unknown study or a folder that cannot be written to.
    """
    study = find_study(name)
    runs = load_runs(RUNS, study.experiments)
    make_folder(REPORTS)
    tables = TABLES.get(name, degradation_table)(runs)
    if not tables:
        print(f"nothing has been run yet: make {name}")
        return
    # Wide tables are cut where the terminal ends, but must not be cut in a log file.
    console = Console()
    show_tables(tables, console if console.is_terminal else Console(width=200))
    written = write_tables(tables, REPORTS, name)
    drawn = [] if name in WITHOUT_FIGURE else [run for run in runs if not run.weights]  # weights have no curves
    pictures = []
    for setting, group in groups(drawn):
        stem = name + ("@" + ",".join(group[0].changes) if group[0].changes else "")
        if any(path.name == f"{stem}.png" for path in written):  # the same on other data
            stem += f" on {setting.data}"
        png, svg = figures.save(FIGURES.get(name, figures.degradation)(group), REPORTS, stem)
        pictures.append((svg, f"Curves of errors by iteration: {', '.join(by_network(group))}; {setting.title}"))
        written += [png, svg]
    written.append(write_page(study.title, SECTIONS.get(name, "4.2"), tables, pictures, runs, REPORTS, name))
    print("written: " + ", ".join(map(str, written)))
