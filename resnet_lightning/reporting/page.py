"""A study as one HTML file that can be mailed: figures, tables, and the runs with their configurations.

page.html is the Jinja template of it. Makers of dashboards and notebooks write pages that need JavaScript or a server.
"""

import re
from base64 import b64encode
from collections import Counter
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

from resnet_lightning.files import write_text
from resnet_lightning.reporting.cells import NOTHING, TESTING, evaluated, measured, measured_last
from resnet_lightning.reporting.comparison import describe
from resnet_lightning.reporting.settings import by_network, groups, name_of
from resnet_lightning.reporting.table import WORDS, Table
from resnet_lightning.runs.reading import Run, read_json_or_nothing


class Picture(NamedTuple):
    """A figure as an SVG file, what it shows, for those who cannot see it, and the setting of its runs, in words."""

    path: Path
    words: str
    setting: str

    @property
    def source(self) -> str:
        """The file as an address, for an image of its own: the names inside of several drawings would clash."""
        # Curves of thousands of points are half as large to a hundredth of a point, which nobody sees.
        drawing = re.sub(
            r'(?<= d=")[^"]+', lambda outline: re.sub(r"(\.\d\d)\d+", r"\1", outline[0]), self.path.read_text("utf-8")
        )
        return "data:image/svg+xml;base64," + b64encode(drawing.encode()).decode()


class Part(NamedTuple):
    """A table of the page with its figures.

    Args:
        rows: its cells by column, each row with the place of its network's first run, if it has one.
        notes: what is said of it for the first time, with a number if other tables need it too.
        above: the numbers of notes that another table has said.
    """

    table: Table
    pictures: list[Picture]
    rows: list[tuple[dict[str, str], str | None]]
    notes: list[tuple[int | None, str]]
    above: list[int]


class Listed(NamedTuple):
    """A run at its place on the page: links find its row and its configuration (if it has one) by the number."""

    number: int
    name: str
    network: str
    folder: Path
    config: str
    row: dict[str, str]


def write_page(
    title: str,
    section: str,
    tables: Sequence[Table],
    figures: Sequence[Picture],
    runs: Sequence[Run],
    folder: Path,
    name: str,
) -> Path:
    """Writes name.html into the folder, which is made, and returns its path.

    Args:
        section: of the paper, which the study follows.
        figures: each is shown with the first table of its setting.

    Raises:
        OSError: if a figure or a configuration cannot be read, or the folder cannot be written to.
    """
    from jinja2 import Template

    listed = _list(runs)
    rows = [run.row for own in listed.values() for run in own]
    template = (files("resnet_lightning.reporting") / "page.html").read_text(encoding="utf-8")
    page = Template(template, autoescape=True, trim_blocks=True, keep_trailing_newline=True).render(
        title=title,
        section=section,
        parts=_parts(tables, figures, listed),
        others=[picture for picture in figures if picture.setting not in {table.setting for table in tables}],
        runs=listed,
        # Columns that say nothing of any run are left out.
        columns=[column for column in (rows or [{}])[0] if any(row[column] != NOTHING for row in rows)],
        words=(*WORDS, "Run", "State", "Device"),
    )
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.html"
    write_text(path, page)
    return path


def _list(runs: Sequence[Run]) -> dict[str, list[Listed]]:
    """The runs by setting and network, as the tables have them."""
    found: dict[str, list[Listed]] = {}
    number = 0
    for setting, group in groups(runs):
        for run in (run for own in by_network(group).values() for run in own):
            number += 1
            path = run.folder / "config.yaml"  # weights of others have none
            config = path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
            name = name_of(run) if run.weights else f"{told_apart(run, group)}, seed {run.seed}"
            listed = Listed(number, name, name_of(run), run.folder, config, {"Run": name, **_cells(run)})
            found.setdefault(setting.title, []).append(listed)
    return found


def told_apart(run: Run, group: Sequence[Run]) -> str:
    """A run's network, with its experiment if others of these runs have such a network too."""
    several = {other.experiment for other in group if name_of(other) == name_of(run)}
    return name_of(run) + (f" ({Path(run.experiment).name})" if len(several) > 1 else "")


def _parts(tables: Sequence[Table], figures: Sequence[Picture], listed: Mapping[str, Sequence[Listed]]) -> list[Part]:
    """The tables; each has the figures and the notes that no table before it has."""
    counts = Counter(note for table in tables for note in [*table.notes, *table.caveats])
    shared = {note: number for number, note in enumerate((note for note in counts if counts[note] > 1), start=1)}
    shown: set[str] = set()
    said: set[str] = set()
    parts = []
    for table in tables:
        pictures = [picture for picture in figures if picture.setting == table.setting and table.setting not in shown]
        every = [*table.notes, *table.caveats]
        notes = [(shared.get(note), note) for note in every if note not in said]
        above = sorted(shared[note] for note in every if note in said)
        parts.append(Part(table, pictures, _rows(table, listed.get(table.setting, ())), notes, above))
        shown.add(table.setting)
        said.update(every)
    return parts


def _rows(table: Table, listed: Sequence[Listed]) -> list[tuple[dict[str, str], str | None]]:
    places = {run.network: f"run-{run.number}" for run in reversed(listed)}
    rows = []
    for cells in table.rows:
        # ResNet-34 is ResNet-34 A in the tables that have B and C.
        place = places.get(cells[0]) or places.get(cells[0].removesuffix(" A"))
        rows.append((dict(zip(table.columns, cells, strict=True)), place))
    return rows


def _cells(run: Run) -> dict[str, str]:
    """What the list of runs says of one, by column."""
    info = read_json_or_nothing(run.folder / "run.json") | read_json_or_nothing(run.folder / "result.json")
    device, devices, seconds = info.get("device", NOTHING), info.get("devices", 1), info.get("seconds")
    trained = run.state in ("finished", "unfinished")
    iterations = f"{run.iteration:,}" + (f" of {run.iterations:,}" if run.iteration < run.iterations else "")
    return {
        "State": describe(run) if run.weights else run.state,
        "Training error %": measured([run], "train") if trained else NOTHING,
        **{
            f"{of.capitalize()} error %": measured([run], "test") if trained and run.evaluated_on == of else NOTHING
            for of in ("test", "validation")
        },
        **{
            f"{words} error %": evaluated([run], testing, "error") if testing in run.evaluations else NOTHING
            for testing, words in TESTING.items()
        },
        "mAP %": measured_last([run], "test/mAP") if trained else NOTHING,
        "Iterations": NOTHING if run.weights else iterations,
        "Time (h:mm:ss)": _clock(round(seconds)) if isinstance(seconds, int | float) else NOTHING,
        "Device": str(device) if devices == 1 else f"{devices} × {device}",
    }


def _clock(seconds: int) -> str:
    return f"{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}"
