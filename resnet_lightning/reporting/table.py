"""A table of words: as Markdown, as CSV, and on the terminal."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import compress
from pathlib import Path
from typing import Literal

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from resnet_lightning.files import write_text

# Columns of words; all others hold numbers, which are right-aligned.
WORDS = (
    *("Network", "Experiment", "Class", "Data", "Measured", "Weights", "Members", "Verdict"),
    *("Choice", "Paper's", "Changed to", "By", "Differs in", "Test", "Bound by"),
)
SAID_BY_TITLE = ("Iterations", "Data")  # which Markdown and a narrow terminal leave out
WIDE = 110  # characters


@dataclass(frozen=True)
class Table:
    """Rows of cells under a title, in the order in which they are shown.

    Args:
        notes: paragraphs below it.
        caveats: sentences that tables of one kind share, in the last paragraph.
        setting: what its runs have in common, in words, by which figures of the same runs find it.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...]
    caveats: tuple[str, ...] = ()
    setting: str = ""

    @property
    def paragraphs(self) -> list[str]:
        """All that is said below it."""
        return [*self.notes, *[" ".join(self.caveats)] * bool(self.caveats)]


def write_tables(tables: Sequence[Table], folder: Path, name: str) -> list[Path]:
    """Writes all tables into name.md and name.csv in the folder, which is made, and returns the two paths.

    In the CSV the first column holds each row's table, so that no row can be read apart from what its title says.

    Raises:
        OSError: if the folder cannot be written to.
    """
    folder.mkdir(parents=True, exist_ok=True)
    markdown, separated = folder / f"{name}.md", folder / f"{name}.csv"
    write_text(markdown, "\n".join(to_markdown(table) for table in tables))
    write_text(separated, to_csv(tables))
    return [markdown, separated]


def to_markdown(table: Table) -> str:
    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n"

    shown = [column not in SAID_BY_TITLE for column in table.columns]
    rule = ["---" if column in WORDS else "---:" for column in table.columns]
    body = "".join(line(list(compress(cells, shown))) for cells in (table.columns, rule, *table.rows))
    return f"**{table.title}**\n\n{body}" + "".join(f"\n{note}\n" for note in table.paragraphs)


def to_csv(tables: Sequence[Table]) -> str:
    columns = dict.fromkeys(["Table", *(column for table in tables for column in table.columns)])
    text = io.StringIO()
    writer = csv.DictWriter(text, list(columns), lineterminator="\n")
    writer.writeheader()
    for table in tables:
        for row in table.rows:
            writer.writerow({"Table": table.title, **dict(zip(table.columns, row, strict=True))})
    return text.getvalue()


def show_tables(tables: Sequence[Table], console: Console) -> None:
    """Prints the tables."""
    for table in tables:
        # As Text: a change such as drops=[0.5,0.75] is no markup.
        grid = RichTable(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
        shown = [column not in SAID_BY_TITLE or console.width >= WIDE for column in table.columns]
        for column in compress(table.columns, shown):
            side: Literal["left", "right"] = "left" if column in WORDS else "right"
            grid.add_column(Text(column), justify=side, vertical="bottom", overflow="fold", no_wrap=column in WORDS[:2])
        for row in table.rows:
            grid.add_row(*map(Text, compress(row, shown)))
        console.print(Text(table.title, style="bold"))
        console.print(grid)
        for note in table.paragraphs:
            console.print(Text(note, style="dim"))
        console.print()


def print_tables(tables: Sequence[Table]) -> None:
    """Prints them on standard output: wide ones are cut where a terminal ends, and never in a file."""
    console = Console()
    show_tables(tables, console if console.is_terminal else Console(width=200))
