"""The page of a study: whole, alone in its file, and safe whatever the runs are called."""

import json
import re
from base64 import b64decode
from html.parser import HTMLParser
from pathlib import Path

import pytest
from made_up_runs import load, write_run

from resnet_lightning.reporting.page import Picture, write_page
from resnet_lightning.reporting.table import Table
from resnet_lightning.runs.reading import Run
from resnet_lightning.studies.report import report
from resnet_lightning.studies.table6 import tables as table6

HOSTILE = "<script>alert(1)</script>&amp;\"'"
OUTLINE = "M 0.123456 1.987654 L 2 3"
SVG = f'<svg xmlns="http://www.w3.org/2000/svg"><path transform="scale(0.015625)" d="{OUTLINE}"/></svg>'
VOID = ("meta", "img")


class Page(HTMLParser):
    """Every element with its attributes and the text in it; refuses what is not closed where it was opened."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.open: list[int] = []
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.texts: list[str] = []
        self.feed(path.read_text())
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        self.texts.append("")
        if tag not in VOID:
            self.open.append(len(self.elements) - 1)

    def handle_endtag(self, tag: str) -> None:
        assert self.elements[self.open.pop()][0] == tag

    def handle_data(self, data: str) -> None:
        for element in self.open:
            self.texts[element] += data

    def of(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.elements if name == tag]

    def text(self, tag: str) -> list[str]:
        return [text for (name, _), text in zip(self.elements, self.texts, strict=True) if name == tag]


@pytest.fixture
def page(tmp_path: Path) -> Path:
    """Two settings, every state, hostile names, and a drawing."""
    runs = [write_run(tmp_path, "ResNet-20", seed=seed) for seed in (0, 1)]
    runs.append(write_run(tmp_path, "ResNet-32", state="diverged", device=HOSTILE))
    runs.append(write_run(tmp_path, "ResNet-44", state="unfinished", data=HOSTILE, changes=["lr=<b>"]))
    for number, folder in enumerate(runs[:3]):
        with (folder / "config.yaml").open("a") as config:
            config.write(f"# number {number}, {HOSTILE}</pre></details>\n")
    (runs[3] / "config.yaml").unlink()
    result = runs[0] / "result.json"
    result.write_text(json.dumps({**json.loads(result.read_text()), "device": "GPU", "devices": 2, "seconds": 3725.4}))
    (tmp_path / "curves.svg").write_text(SVG)
    return write(tmp_path, load(tmp_path))


def write(root: Path, runs: list[Run]) -> Path:
    hostile = Table(HOSTILE, ("Network", HOSTILE), ((HOSTILE, HOSTILE),), (HOSTILE,))
    pictures = [Picture(root / "curves.svg", HOSTILE, "")]
    return write_page(HOSTILE, "4.2", [*table6(runs), hostile], pictures, runs, root / "reports", "table6")


def test_whatever_names_hold_is_text(page: Path) -> None:
    parsed = Page(page)
    assert not parsed.of("script") and not parsed.of("b")
    assert parsed.text("h1") == parsed.text("title") == [HOSTILE]
    assert [image["alt"] for image in parsed.of("img")] == [HOSTILE]
    ends = [text.splitlines()[-1] for text in parsed.text("pre")]
    assert ends == [f"# number {number}, {HOSTILE}</pre></details>" for number in range(3)]
    assert all(HOSTILE in parsed.text(tag) for tag in ("td", "h2", "p"))


def test_nothing_is_outside_the_file(page: Path) -> None:
    parsed = Page(page)
    assert not {"link", "iframe", "object", "script", "base", "svg"} & {tag for tag, _ in parsed.elements}
    assert all(image["src"].startswith("data:image/svg+xml;base64,") for image in parsed.of("img"))
    assert not re.search(r"url\(|@import|src:", parsed.text("style")[0])
    assert not {"style", "srcset", "onclick"} & {name for _, attributes in parsed.elements for name in attributes}
    assert "default-src 'none'" in parsed.of("meta")[1]["content"]
    outside = [link["href"] for link in parsed.of("a") if not link["href"].startswith("#")]
    assert outside == ["https://arxiv.org/abs/1512.03385"]


def test_every_network_leads_to_its_runs_and_every_run_to_its_configuration(page: Path) -> None:
    parsed = Page(page)
    ids = [attributes["id"] for _, attributes in parsed.elements if "id" in attributes]
    links = dict(zip(parsed.text("a"), parsed.of("a"), strict=True))
    inside = {text: link["href"].removeprefix("#") for text, link in links.items() if link["href"].startswith("#")}
    # Two tables share notes, which stand once, below the first.
    assert [inside.pop(number) for number in ("1", "2")] == ["note-1", "note-2"]
    assert len(ids) == len(set(ids)) and set(inside.values()) <= set(ids)
    # The fourth run, of other data, has no configuration.
    assert inside == {
        **{"ResNet-20": "run-1", "ResNet-32": "run-3", "ResNet-44": "run-4"},
        **{"ResNet-20, seed 0": "config-1", "ResNet-20, seed 1": "config-2", "ResNet-32, seed 0": "config-3"},
    }
    rows = [text for text, row in zip(parsed.text("tr"), parsed.of("tr"), strict=True) if row.get("id")]
    assert [row.split("seed")[1] for row in rows] == [
        " 0finished1.009.0064,0001:02:052 × GPU",
        " 1finished1.009.0064,000––",
        f" 0diverged––40,000 of 64,000–{HOSTILE}",
        " 0unfinishedat 40,000: 4.00at 32,000: 13.0040,000 of 64,000––",
    ]


def test_a_drawing_is_rounded_where_nobody_sees_it_and_pages_are_the_same_each_time(page: Path) -> None:
    [image] = Page(page).of("img")
    drawing = b64decode(image["src"].partition(",")[2]).decode()
    assert drawing == SVG.replace(OUTLINE, "M 0.12 1.98 L 2 3")
    before, runs = page.read_bytes(), load(page.parent.parent)
    assert write(page.parent.parent, runs).read_bytes() == before


def test_a_study_without_runs_is_a_page_of_tables(workplace: Path) -> None:
    report("table1")
    parsed = Page(workplace / "reports/table1.html")
    assert len(parsed.of("table")) == len(parsed.of("h2")) == 1 and not parsed.of("img")
    assert "After section 3.3 of" in parsed.text("p")[0]


def test_a_figure_stands_with_the_table_of_its_runs_and_every_note_once(tmp_path: Path) -> None:
    write_run(tmp_path, "ResNet-20")
    write_run(tmp_path, "plain-20", iterations=6000, changes=["max_steps=6000"])
    (tmp_path / "curves.svg").write_text(SVG)
    runs = load(tmp_path)
    tables = table6(runs)
    others = [Table("no runs", ("Network",), (("a",),), ())]
    pictures = [Picture(tmp_path / "curves.svg", setting, setting) for setting in (tables[1].setting, "nothing's")]
    path = write_page("t", "4.2", [*tables, *others], pictures, runs, tmp_path / "reports", "table6")
    elements = [
        (tag, attributes.get("alt")) for tag, attributes in Page(path).elements if tag in ("h2", "img", "table")
    ]
    assert elements[:5] == [
        *[("h2", None), ("table", None)],
        *[("h2", None), ("img", tables[1].setting), ("table", None)],
    ]
    assert [alt for _, alt in elements if alt] == [tables[1].setting, "nothing's"]
    paragraphs = Page(path).text("p")
    for note in (*tables[0].notes, *tables[0].caveats, *tables[1].notes, *tables[1].caveats):
        assert sum(paragraph.endswith(note) for paragraph in paragraphs) == 1
