"""Reports on made-up run folders: what may stand beside what, the numbers checked by hand, and runs cut short."""

import csv
import xml.etree.ElementTree as ElementTree
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from made_up_runs import load, row, write_run
from matplotlib.figure import Figure
from matplotlib.text import Annotation, Text
from PIL import Image
from rich.console import Console

from resnet_lightning.reporting.cells import measured
from resnet_lightning.reporting.curves import spread
from resnet_lightning.reporting.degradation import degradation_sentence
from resnet_lightning.reporting.figures import family_curves, save
from resnet_lightning.reporting.settings import by_network, groups
from resnet_lightning.reporting.table import show_tables, write_tables
from resnet_lightning.studies.degradation import tables as degradation_table
from resnet_lightning.studies.figure1 import draw as figure1
from resnet_lightning.studies.figure6 import draw as figure6
from resnet_lightning.studies.figure6 import tables as figure6_table
from resnet_lightning.studies.table6 import tables as table6

SHORT: dict[str, Any] = {"iterations": 6000, "changes": ["max_steps=6000"]}


def names(figure: Figure) -> list[list[str]]:
    """The names at the curves' ends, by panel."""
    return [[text.get_text() for text in axes.texts if isinstance(text, Annotation)] for axes in figure.axes]


def test_no_runs_give_the_papers_table_with_nothing_measured() -> None:
    [table] = table6([])
    assert [cells[0] for cells in table.rows[:6]] == ["Maxout", "NIN", "DSN", "FitNet", "Highway", "Highway"]
    assert [cells[0] for cells in table.rows[6:]] == [f"ResNet-{depth}" for depth in (20, 32, 44, 56, 110, 1202)]
    assert {cells[table.columns.index("Measured error %")] for cells in table.rows} == {"–"}
    assert degradation_table([]) == []


def test_mean_and_sample_deviation_over_seeds_at_the_last_iteration(tmp_path: Path) -> None:
    for seed, error in enumerate((8.5, 8.7, 9.2)):
        write_run(tmp_path, "ResNet-20", test=error, seed=seed)
    [table] = table6(load(tmp_path))
    cells = row(table, "ResNet-20")
    # mean 26.4 / 3; deviations -0.3, -0.1, 0.4: the root of 0.26 / 2
    assert (cells["Measured error %"], cells["Best test error %"], cells["Seeds"]) == (
        "8.80 ± 0.36",
        "8.80 ± 0.36",
        "3",
    )
    assert (cells["Difference"], cells["Verdict"]) == ("+0.05 [-0.56, +0.66]", "undecided")
    assert (cells["Published error %"], cells["Parameters"]) == ("8.75", "0.27M")


def test_resnet_110_is_compared_with_the_mean_of_the_papers_five(tmp_path: Path) -> None:
    write_run(tmp_path, "ResNet-110", test=6.43)
    [table] = table6(load(tmp_path))
    cells = row(table, "ResNet-110")
    assert (cells["Published error %"], cells["Difference"]) == ("6.61 ± 0.16", "-0.18")
    assert "Its best: Highway 7.54, ResNet-110 6.43." in table.notes[1]


def test_what_may_not_be_compared_stands_in_tables_of_its_own(tmp_path: Path) -> None:
    write_run(tmp_path, "ResNet-20", test=9.01)
    write_run(tmp_path, "ResNet-20", test=9.02, seed=1, data="CIFAR-10")
    write_run(tmp_path, "ResNet-20", test=9.03, **SHORT)
    write_run(tmp_path, "ResNet-20", test=9.04, changes=["small"], data="CIFAR-10 (JPEG) at 16×16")
    write_run(tmp_path, "ResNet-20", test=9.05, seed=2, data="CIFAR-10, only 1,000 + 200 images")
    runs = load(tmp_path)
    tables = {table.title: row(table, "ResNet-20") for table in table6(runs)}
    assert {title: cells["Measured error %"] for title, cells in tables.items()} == {
        "Table 6. CIFAR-10, full length: 64,000 iterations of 128": "9.02",
        "Table 6. CIFAR-10 (JPEG), full length: 64,000 iterations of 128": "9.01",
        "Shortened runs on CIFAR-10 (JPEG): 6,000 iterations instead of 64,000": "9.03",
        "Changed runs on CIFAR-10 (JPEG) at 16×16: 64,000 iterations; changed: small": "9.04",
        "Changed runs on CIFAR-10, only 1,000 + 200 images: 64,000 iterations": "9.05",
    }
    assert [cells["Difference"] for cells in tables.values()] == ["+0.27", "+0.26", "–", "–", "–"]
    for make in (figure1, figure6, family_curves):
        with pytest.raises(ValueError, match="5 settings cannot share a figure"):
            make(runs)


def test_unfinished_and_diverged_runs_are_said_and_not_counted(tmp_path: Path) -> None:
    write_run(tmp_path, "ResNet-20", test=8.5)
    write_run(tmp_path, "ResNet-20", test=30.0, seed=1, state="unfinished")
    write_run(tmp_path, "ResNet-20", seed=2, state="diverged")
    write_run(tmp_path, "ResNet-32", train=20.0, test=30.0, state="unfinished")
    write_run(tmp_path, "ResNet-44", state="diverged")
    runs = load(tmp_path)
    [table] = table6(runs)
    shown = {name: row(table, f"ResNet-{name}")["Measured error %"] for name in (20, 32, 44, 56)}
    # The unfinished one stops at iteration 40,000 and was last tested at 32,000.
    assert shown == {20: "8.50 (+1 diverged, +1 unfinished)", 32: "at 32,000: 34.00", 44: "diverged", 56: "–"}
    assert row(table, "ResNet-32")["Training error %"] == "at 40,000: 23.00"
    assert row(table, "ResNet-32")["Difference"] == "–"
    assert degradation_sentence(by_network(runs)) == ""
    [unfinished] = [run for run in runs if run.depth == 32]
    assert (unfinished.iteration, unfinished.last("test/error"), unfinished.last("lr")) == (40_000, 34.0, None)


def test_half_written_and_damaged_folders(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (write_run(tmp_path, "ResNet-20", state="unfinished") / "metrics.csv").unlink()
    header = write_run(tmp_path, "ResNet-32", state="unfinished") / "metrics.csv"
    header.write_text("iteration,train/error\n")
    (tmp_path / "cifar10/table6/resnet110/seed0").mkdir(parents=True)
    assert [measured([run], "test") for run in load(tmp_path)] == ["at 0: –", "at 0: –"]
    assert names(figure6(load(tmp_path))) == []
    assert capsys.readouterr().err == ""
    damaged = {
        write_run(tmp_path, "ResNet-44") / "run.json": '{"experiment": ',
        write_run(tmp_path, "ResNet-56") / "run.json": '{"seed": 0}',
        write_run(tmp_path, "plain-56") / "result.json": "[]",
    }
    for path, text in damaged.items():
        path.write_text(text)
    found = [(run.network, run.state) for run in load(tmp_path)]
    assert found == [(network, "unfinished") for network in ("plain-56", "ResNet-20", "ResNet-32")]
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 3 and all(any(str(path) in line for line in lines) for path in damaged)


NONE_SEEN = (
    "No degradation is seen in these runs: the training error of plain-56 is 4.40 points below that of plain-20; of "
    "ResNet-56, 0.20 points above that of ResNet-20."
)
SEEN = (
    "Degradation: plain-56 has 4.40 points more training error than plain-20; with shortcuts the same step in depth "
    "costs 1.10 points: they remove 75 % of the gap."
)


@pytest.mark.parametrize(
    ("plain", "residual", "said"),
    [
        ((1.4, 5.8), (0.7, 1.8), SEEN),
        ((1.4, 5.8), (0.7, 0.1), "gains 0.60 points: they remove the whole gap."),
        ((1.4, 5.8), (0.7, 0.7), "costs nothing: they remove the whole gap."),
        ((1.4, 2.4), (0.7, 2.7), "costs 2.00 points: they remove none of the gap."),
        ((5.8, 1.4), (0.7, 0.9), NONE_SEEN),
    ],
)
def test_what_is_said_of_degradation(
    tmp_path: Path, plain: tuple[float, float], residual: tuple[float, float], said: str
) -> None:
    for name, errors in (("plain", plain), ("ResNet", residual)):
        for depth, error in zip((20, 56), errors, strict=True):
            write_run(tmp_path, f"{name}-{depth}", train=error, **SHORT)
    write_run(tmp_path, "plain-110", train=60.0, **SHORT)  # no ResNet-110 to set beside it
    [table] = degradation_table(load(tmp_path))
    assert table.notes[0].endswith(said)
    assert [cells[0] for cells in table.rows] == ["plain-20", "plain-56", "plain-110", "ResNet-20", "ResNet-56"]
    assert [row(table, name)["Published test error %"] for name in ("plain-56", "ResNet-56")] == ["≈ 13.2", "6.97"]


def test_other_data_is_not_set_beside_the_papers(tmp_path: Path) -> None:
    write_run(tmp_path, "ResNet-20", data="digits at 16×16", iterations=300)
    runs = load(tmp_path)
    for table in (*table6(runs), *degradation_table(runs), *figure6_table(runs)):
        assert table.title == "digits at 16×16: 300 iterations"
        assert "8.7" not in "".join(table.rows[0]) and "Published" not in "".join(table.notes)


def test_markdown_csv_and_terminal_hold_every_row(tmp_path: Path) -> None:
    write_run(tmp_path, "ResNet-20", test=8.5)
    write_run(tmp_path, "plain-20", **SHORT | {"changes": ["drops=[0.5,0.75]"]})
    tables = table6(load(tmp_path))
    markdown, separated = write_tables(tables, tmp_path / "reports", "table6")
    with separated.open(newline="") as file:
        rows = list(csv.DictReader(file))
    expected = [[table.title, *cells] for table in tables for cells in table.rows]
    assert [list(cells.values()) for cells in rows] == expected
    lines = [line for line in markdown.read_text().splitlines() if line.startswith("|")]
    assert len(lines) == len(rows) + 2 * len(tables) and {line.count("|") for line in lines} == {11}
    console = Console(width=150, record=True, file=(tmp_path / "terminal").open("w"))
    show_tables(tables, console)
    console.file.close()
    text = console.export_text()
    assert "drops=[0.5,0.75]" in text and text.index("Table 6. CIFAR-10 (JPEG)") < text.index("ResNet-1202")
    assert sorted(path.name for path in (tmp_path / "reports").iterdir()) == ["table6.csv", "table6.md"]


def test_figures_name_every_curve_and_are_written(tmp_path: Path) -> None:
    for network in ("plain-20", "plain-56", "ResNet-20", "ResNet-110", "ResNet-1202"):
        for seed in (0, 1):
            write_run(tmp_path, network, test=9 + 0.01 * seed, seed=seed)
    write_run(tmp_path, "plain-110", train=60.0, test=61.0)
    write_run(tmp_path, "plain-32", test=12.0, state="unfinished")
    [(_, runs)] = groups(load(tmp_path))
    figure = figure6(runs)
    assert [sorted(panel) for panel in names(figure)] == [
        ["plain-20", "plain-32, unfinished", "plain-56"],
        ["ResNet-110", "ResNet-20"],
        ["ResNet-110", "ResNet-1202"],
    ]
    assert "ends above 20 %: plain-110" in figure.texts[-1].get_text()
    assert "CIFAR-10 (JPEG), full length" in figure.get_suptitle() and "1 to 2 seeds" in figure.get_suptitle()
    assert [axes.get_ylabel() for axes in figure1(runs).axes] == ["training error (%)", "test error (%)"]
    assert [axes.get_title() for axes in family_curves(runs).axes] == ["plain", "ResNet"]
    png, svg = save(figure, tmp_path / "reports", "figure6")
    with Image.open(png) as image:
        assert image.size == (1820, 560)
    assert ElementTree.parse(svg).getroot().tag.endswith("svg") and "plain-56" in svg.read_text()


def test_names_at_the_ends_do_not_overlap(tmp_path: Path) -> None:
    for number, depth in enumerate((20, 32, 44, 56, 110)):
        write_run(tmp_path, f"ResNet-{depth}", test=7 + 0.01 * number)
    figure = figure6(load(tmp_path))
    figure.draw_without_rendering()
    # Of the text alone: the whole extent of an annotation has its line in it.
    extents = [Text.get_window_extent(text) for text in figure.axes[0].texts]
    boxes = sorted(extents, key=lambda box: box.y0)
    assert len(boxes) == 5 and all(lower.y1 <= upper.y0 for lower, upper in pairwise(boxes))
    assert max(box.x1 for box in boxes) <= figure.bbox.x1
    assert spread([1.0, 1.5, 5.0], 1.0, 0.0, 10.0) == [0.75, 1.75, 5.0]
    assert spread([0.0, 0.1, 9.9, 10.0], 1.0, 0.0, 10.0) == [0.0, 1.0, 9.0, 10.0]
