"""A study as one HTML file that can be mailed: figures, tables, and the runs with their configurations."""

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple
from xml.etree.ElementTree import Element

from resnet_lightning.errors import BadInput
from resnet_lightning.files import write_text
from resnet_lightning.reporting.cells import NOTHING, TESTING, evaluated, measured
from resnet_lightning.reporting.comparison import describe
from resnet_lightning.reporting.page_elements import as_text, grid, image, make, row
from resnet_lightning.reporting.page_style import STYLE
from resnet_lightning.reporting.settings import by_network, groups, name_of
from resnet_lightning.reporting.table import WORDS, Table
from resnet_lightning.runs.folder import read_json
from resnet_lightning.runs.reading import Run

PAPER = "https://arxiv.org/abs/1512.03385"
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"  # a browser then loads nothing from anywhere
WIDE = 8  # columns; a figure is beside a table that has no more


class Picture(NamedTuple):
    """A figure as an SVG file, what it shows, for those who cannot see it, and the setting of its runs, in words."""

    path: Path
    words: str
    setting: str


class Listed(NamedTuple):
    """A run at its place on the page: links find its row and its configuration (if it has one) by the number."""

    number: int
    setting: str
    run: Run
    config: str

    @property
    def name(self) -> str:
        return name_of(self.run) if self.run.weights else f"{name_of(self.run)}, seed {self.run.seed}"


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
    listed = _list(runs)
    paper = make("a", make("cite", "Deep Residual Learning for Image Recognition"), href=PAPER)
    beside = "published numbers stand beside measured ones where the two may be compared."
    content = [
        make("h1", title),
        make("p", f"After section {section} of ", paper, f" (He, Zhang, Ren and Sun, 2015): {beside}"),
        *_results(tables, figures, listed),
    ]
    if listed:
        content += [make("h2", "Runs"), _runs(listed)]
        content += [make("h2", "Configurations"), *(_configuration(place) for place in listed if place.config)]
    head = make(
        "head",
        make("meta", charset="utf-8"),
        make("meta", http_equiv="Content-Security-Policy", content=POLICY),
        make("meta", name="viewport", content="width=device-width, initial-scale=1"),
        make("title", title),
        make("style", STYLE),
    )
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.html"
    page = make("html", head, make("body", make("main", *content)), lang="en")
    write_text(path, f"<!DOCTYPE html>\n{as_text(page)}\n")
    return path


def _list(runs: Sequence[Run]) -> list[Listed]:
    """The runs by setting and network, as the tables have them."""
    found: list[Listed] = []
    for setting, group in groups(runs):
        for run in (run for own in by_network(group).values() for run in own):
            path = run.folder / "config.yaml"  # weights of others have none
            config = path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
            found.append(Listed(len(found) + 1, setting.title, run, config))
    return found


def _results(tables: Sequence[Table], figures: Sequence[Picture], listed: Sequence[Listed]) -> list[Element]:
    """A section for each table, with its figures; then figures without a table."""
    counts = Counter(note for table in tables for note in [*table.notes, *table.caveats])
    shared = {note: number for number, note in enumerate((note for note in counts if counts[note] > 1), start=1)}
    left, said = list(figures), set[str]()
    sections = []
    for table in tables:
        own = [picture for picture in left if picture.setting == table.setting]
        left = [picture for picture in left if picture not in own]
        sections.append(_section(table, own, _notes(table, shared, said), listed))
    return sections + [make("section", image(picture.path, picture.words)) for picture in left]


def _notes(table: Table, shared: Mapping[str, int], said: set[str]) -> Element:
    """What is said of a table; what several share is said once, at the first of them, with a number for the others."""
    paragraphs, links = [], []
    for note in [*table.notes, *table.caveats]:
        number = shared.get(note)
        if note in said:
            links.append(number)
        elif number:
            mark = make("span", f"{number}", class_="number")
            paragraphs.append(make("p", mark, f" {note}", class_="notes", id=f"note-{number}"))
            said.add(note)
        else:
            paragraphs.append(make("p", note, class_="notes"))
    if links:
        each = [make("a", f"{number}", href=f"#note-{number}") for number in sorted(filter(None, links))]
        separated = [part for link in each for part in (", ", link)][1:]
        paragraphs.append(make("p", "Notes above: ", *separated, class_="notes"))
    return make("div", *paragraphs)


def _section(table: Table, pictures: Sequence[Picture], notes: Element, listed: Sequence[Listed]) -> Element:
    """A table below its title: beside its figures, with what is said of it, or below them if it is wide."""
    content = [_grid(table, listed), notes]
    if pictures:
        figures = make("div", *(image(picture.path, picture.words) for picture in pictures), class_="figures")
        if len(table.columns) > WIDE:
            content = [make("div", figures, notes, class_="pair"), content[0]]
        else:
            content = [make("div", figures, make("div", *content), class_="pair")]
    return make("section", make("h2", table.title), *content)


def _grid(table: Table, listed: Sequence[Listed]) -> Element:
    """The table itself, whose networks are links to their first runs."""
    links = {name_of(place.run): f"#run-{place.number}" for place in reversed(listed) if place.setting == table.setting}
    rows = []
    for name, *others in table.rows:
        # ResNet-34 is ResNet-34 A in the tables that have B and C.
        link = links.get(name) or links.get(name.removesuffix(" A"))
        cells = [make("a", name, href=link) if link else name, *others]
        rows.append(row(table.columns, WORDS, cells))
    return grid(table.title, table.columns, WORDS, [make("tbody", *rows)])


def _runs(listed: Sequence[Listed]) -> Element:
    """One row per run, below a line for each setting."""
    bodies: dict[str, Element] = {}
    every = [_row(place) for place in listed]
    # Columns that say nothing of any run are left out.
    columns = [column for column in every[0] if any(cells[column] != NOTHING for cells in every)]
    words = ("Run", "State", "Device")
    for place, cells in zip(listed, every, strict=True):
        if place.setting not in bodies:
            heading = make(
                "th", make("span", place.setting), scope="rowgroup", class_="words", colspan=str(len(columns))
            )
            bodies[place.setting] = make("tbody", make("tr", heading))
        shown = [cells[column] for column in columns]
        bodies[place.setting].append(row(columns, words, shown, id=f"run-{place.number}"))
    caption = "Errors are those of the last iteration. Each run is a link to its configuration."
    return grid("Runs", columns, words, list(bodies.values()), caption)


def _row(place: Listed) -> dict[str, Element | str]:
    run, info = place.run, _info(place.run.folder)
    device, devices, seconds = info.get("device", NOTHING), info.get("devices", 1), info.get("seconds")
    trained = run.state in ("finished", "unfinished")
    iterations = f"{run.iteration:,}" + (f" of {run.iterations:,}" if run.iteration < run.iterations else "")
    return {
        "Run": make("a", place.name, href=f"#config-{place.number}") if place.config else place.name,
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
        "Iterations": NOTHING if run.weights else iterations,
        "Time (h:mm:ss)": _clock(round(seconds)) if isinstance(seconds, int | float) else NOTHING,
        "Device": str(device) if devices == 1 else f"{devices} × {device}",
    }


def _clock(seconds: int) -> str:
    return f"{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}"


def _configuration(place: Listed) -> Element:
    summary = make("summary", place.name, " ", make("code", str(place.run.folder)))
    # A link to what is inside opens it.
    return make("details", summary, make("pre", place.config, id=f"config-{place.number}", tabindex="0"))


def _info(folder: Path) -> dict[str, Any]:
    """What run.json and result.json say; what cannot be read of them was reported when the runs were loaded."""
    info: dict[str, Any] = {}
    for name in ("run.json", "result.json"):
        with suppress(BadInput, OSError):
            info |= read_json(folder / name) or {}
    return info
