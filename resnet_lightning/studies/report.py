"""`report`: a study's tables and figures from the run folders that there are, finished or not."""

from pathlib import Path

from rich.console import Console

from resnet_lightning.reporting import figures
from resnet_lightning.reporting.groups import groups
from resnet_lightning.reporting.runs import load_runs
from resnet_lightning.reporting.table import show_tables, write_tables
from resnet_lightning.reporting.tables import degradation_table, figure6_table, table6
from resnet_lightning.run_folder import RUNS, make_folder
from resnet_lightning.studies import find_study

REPORTS = Path("reports")
TABLES = {"table6": table6, "figure6": figure6_table}  # the others: degradation_table
FIGURES = {"table6": figures.figure6, "figure1": figures.figure1, "figure6": figures.figure6}


def report(name: str) -> None:
    """Prints a study's tables and writes them, and its figures, into the reports folder.

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
    for setting, group in groups(runs):
        stem = name + ("@" + ",".join(group[0].changes) if group[0].changes else "")
        if any(path.name == f"{stem}.png" for path in written):  # the same on other data
            stem += f" on {setting.data}"
        written += figures.save(FIGURES.get(name, figures.degradation)(group), REPORTS, stem)
    print("written: " + ", ".join(map(str, written)))
