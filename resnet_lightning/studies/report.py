"""`report`: a study's tables and figures from the run folders that there are, finished or not."""

from pathlib import Path

from rich.console import Console

from resnet_lightning.files import write_text
from resnet_lightning.reporting.figures import figure1, figure6, save
from resnet_lightning.reporting.runs import group_runs, load_runs
from resnet_lightning.reporting.tables import figure_table, table6
from resnet_lightning.run_folder import RUNS, make_folder
from resnet_lightning.studies import find_study

REPORTS = Path("reports")


def report(name: str) -> None:
    """Prints a study's tables and writes them, and its figures, into the reports folder.

    Raises:
        BadInput: for an unknown study or a folder that cannot be written to.
    """
    study = find_study(name)
    groups = group_runs(load_runs(RUNS, study.experiments))
    make_folder(REPORTS)
    if name == "table6":
        tables = [table6(group) for group in groups]
        if not any(group.full_length for group in groups):
            tables.insert(0, table6(None))
    else:
        tables = [figure_table(group, name.capitalize()) for group in groups]
    # Wide tables are cut where the terminal ends, but must not be cut in a log file.
    console = Console()
    console = console if console.is_terminal else Console(width=200)
    for table in tables:
        table.show(console)
    if not tables:
        print(f"nothing has been run yet: make {name}")
        return
    write_text(REPORTS / f"{name}.md", f"# {study.title}\n\n" + "\n".join(table.markdown() for table in tables))
    write_text(REPORTS / f"{name}.csv", "".join(table.csv() for table in tables))
    written = [REPORTS / f"{name}.md", REPORTS / f"{name}.csv"]
    for group in groups:
        draw = figure1 if name == "figure1" else figure6
        stem = name + ("@" + ",".join(group.changes) if group.changes else "")
        same = [path for path in written if path.name == f"{stem}.png"]  # the same on other data
        written += save(draw(group), REPORTS, f"{stem} on {group.data}" if same else stem)
    print("written: " + ", ".join(str(path) for path in written))
