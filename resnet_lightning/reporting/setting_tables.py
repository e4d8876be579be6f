"""A table for each setting of a study's runs: the one loop over settings, networks and seeds that its tables share."""

from collections.abc import Callable, Mapping, Sequence

from resnet_lightning.reporting.settings import Setting, by_network, groups
from resnet_lightning.reporting.table import Table
from resnet_lightning.runs.folder import RESULTS
from resnet_lightning.runs.reading import Run

Networks = Mapping[str, Sequence[Run]]  # the seeds of each network
Rows = list[dict[str, str]]  # cells by column
Make = Callable[[Setting, Networks], tuple[Rows, Sequence[str]]]


def table_per_setting(label: str, runs: Sequence[Run], make: Make, unmeasured: Setting | None = None) -> list[Table]:
    """The tables of all settings of these runs, full-length ones first; weights of others have no training to show.

    Args:
        label: before the title of a full-length table, such as Table 6.
        make: rows and notes of one setting; without rows there is no table.
        unmeasured: whose table is shown if there are no runs, with nothing measured.
    """
    found = groups([run for run in runs if not run.weights])
    if not found and unmeasured:
        found = [(unmeasured, [])]
    tables = []
    for setting, group in found:
        rows, notes = make(setting, by_network(group))
        if rows:
            title = f"{label}. {setting.title}" if setting.full else setting.title
            tables.append(as_table(title, setting, rows, notes, caveats(setting, group, rows)))
    return tables


def as_table(title: str, setting: Setting, rows: Rows, notes: Sequence[str], said: Sequence[str] = ()) -> Table:
    """Rows that have all the same columns, as a table; empty notes are left out."""
    cells = tuple(tuple(row.values()) for row in rows)
    return Table(title, tuple(rows[0]), cells, tuple(filter(None, notes)), tuple(said), setting.title)


def names_of(setting: Setting, published: Mapping[str, object], networks: Networks) -> list[str]:
    """The paper's order, all of it or what was run of it; then the other networks."""
    return list(dict.fromkeys([*(name for name in published if setting.full or name in networks), *networks]))


def caveats(setting: Setting, group: Sequence[Run], rows: Rows) -> list[str]:
    """What every table of trained runs has to say below it."""
    last = "mAP is that of the last iteration, not the best one."
    if not any("mAP" in column for column in rows[0]):
        last = "Errors are those of the last iteration, not the best ones."
    said = [f"{last} ± is the sample standard deviation of the seeds."]
    if group:
        images = " or ".join(f"{number:,}" for number in sorted({run.train_images for run in group}))
        said.append(f"Trained on {images} images.")
    if kept := sum(run.kept for run in group):
        how_many = f"{kept} of {len(group)}" if kept < len(group) else "All"
        said.append(f"{how_many} runs are from {RESULTS}/, made earlier.")
    if any(cell.startswith("at ") for row in rows for cell in row.values()):
        said.append("“at …” is an earlier iteration: the run is not finished, or its last checkpoint is not tested.")
    if setting.papers and not setting.full and any(column.startswith("Published") for column in rows[0]):
        said.append("These are not the paper's runs: its numbers are shown for orientation only.")
    return said
