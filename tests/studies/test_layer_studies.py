"""What is said of responses, gradients and lesions of made-up runs."""

import json
import math
from pathlib import Path

import pytest
from made_up_runs import row, write_run

from resnet_lightning.runs.reading import load_runs
from resnet_lightning.studies.figure7 import draw as figure7
from resnet_lightning.studies.figure7 import order_sentence
from resnet_lightning.studies.figure7 import tables as figure7_table
from resnet_lightning.studies.gradients import draw_heat as gradient_heat
from resnet_lightning.studies.gradients import draw_lines as gradient_lines
from resnet_lightning.studies.gradients import tables as gradient_table
from resnet_lightning.studies.gradients import verdict
from resnet_lightning.studies.lesions import draw as lesion_figure
from resnet_lightning.studies.lesions import tables as lesion_table

ALL = [f"cifar10/{family}{depth}" for family in ("figure6/plain", "table6/resnet") for depth in (20, 56, 110)]


def write_layers(folder: Path, file: str, rows: dict[int, list[float]]) -> None:
    names = [f"conv{number}" for number in range(len(next(iter(rows.values()))))]
    lines = [",".join(map(str, (iteration, *values))) for iteration, values in rows.items()]
    (folder / file).write_text("\n".join([",".join(["iteration", *names]), *lines]) + "\n")


def test_figure_7_compares_medians_and_says_whether_the_order_holds(tmp_path: Path) -> None:
    for network, last in {
        "plain-20": [2.5, 1.5, 2.0],
        "ResNet-20": [3.0, 1.0, 1.5],
        "ResNet-56": [3, 0.9, 1.2],
    }.items():
        for seed in (0, 1):
            folder = write_run(tmp_path, network, seed=seed)
            write_layers(folder, "responses.csv", {32_000: [1, 1, 1], 64_000: [value + seed for value in last]})
    write_run(tmp_path, "plain-56")  # made before responses were recorded
    runs = load_runs(ALL, tmp_path)
    [table] = figure7_table(runs)
    cells = row(table, "ResNet-20")
    assert (cells["Measured median"], cells["Published median"], cells["First layer"]) == ("2.00", "≈ 1.55", "3.50")
    assert row(table, "plain-56")["Measured median"] == row(table, "ResNet-110")["Measured median"] == "–"
    assert "less than plain networks (2.00 beside 2.50 at 20 layers)" in table.notes[0]
    assert "deeper ResNets respond less (2.00 at 20, 1.70 at 56)" in table.notes[0]
    assert (figure := figure7(runs)) and len(figure.axes[0].lines) == 3
    assert figure7([run for run in runs if run.network == "plain-56"]) is None


def test_what_is_cut_off_is_left_out_and_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write_run(tmp_path, "ResNet-20")
    for file in ("responses.csv", "gradients.csv"):
        write_layers(folder, file, {0: [1, 2, 3], 64_000: [1, 2, 30]})
        (folder / file).write_text((folder / file).read_text()[:-3])
    (folder / "lesions.json").write_text('{"complete": true, "error": 9.0, "blocks": {}}')
    runs = load_runs(ALL, tmp_path)
    assert row(figure7_table(runs)[0], "ResNet-20")["Measured median"] == "–"
    assert gradient_table(runs) == [] and lesion_table(runs) == []
    assert not any(draw(runs) for draw in (figure7, gradient_lines, gradient_heat, lesion_figure))
    said = capsys.readouterr().err.splitlines()
    assert [line.split("ResNet-20")[0].split("/")[-1].split(" ")[0] for line in said] == [
        *("responses.csv", "gradients.csv", "lesions.json")
    ]


def test_an_order_that_does_not_hold_is_said() -> None:
    said = order_sentence({"plain-20": 1.0, "plain-56": 2.0, "ResNet-20": 1.5, "ResNet-56": 1.6})
    assert "in some cases only" in said and "deeper ResNets respond not less" in said
    assert order_sentence({"plain-20": 1.0}) == ""


def test_gradients_at_initialisation_decide_what_is_said(tmp_path: Path) -> None:
    for network, first in {"plain-20": 4.0, "plain-56": 4000.0, "ResNet-20": 2.0, "ResNet-56": 8.0}.items():
        write_layers(write_run(tmp_path, network), "gradients.csv", {0: [first, 1, 2.0], 64_000: [0.5, 1, 1.0]})
    folder = write_run(tmp_path, "ResNet-110", state="diverged")
    write_layers(folder, "gradients.csv", {0: [1e30, math.inf, math.nan]})
    runs = load_runs(ALL, tmp_path)
    [table] = gradient_table(runs)
    cells = row(table, "plain-56")
    assert (cells["First / last at 0"], cells["First / last later"], cells["Largest first / last"]) == (
        "2e+03",
        "0.5",
        "2e+03",
    )
    assert row(table, "ResNet-110")["Ended"] == "diverged at 40,000"
    assert "no gradient of a plain network vanishes" in table.notes[0]
    assert "that of plain-56 explodes instead, and shortcuts bring 2e+03 down to 4" in table.notes[0]
    assert (lines := gradient_lines(runs)) and len(lines.axes) == 2
    assert (heat := gradient_heat(runs)) and len(heat.axes) == 7  # 2 × 3 panels and the scale
    assert verdict({"plain-20": math.nan}, {}) == []
    [said] = verdict({"plain-20": 1.0, "plain-56": 900.0}, {"plain-20": 0.5, "plain-56": 1e-4})
    assert "the gradient of plain-56 vanishes" in said and "plain-20 keeps it" in said
    assert verdict({}, {}) == []


def test_lesions_are_averaged_over_seeds(tmp_path: Path) -> None:
    for network, errors in {"plain-20": (60.0, 90.0), "ResNet-20": (10.0, 12.0), "ResNet-56": (9.2, 9.1)}.items():
        for seed in (0, 1):
            found = {
                f"layer1.{place}": {"size": 0.5 * len(network) / 8 + seed * 0.1, "deleted": error + seed}
                for place, error in enumerate(errors)
            }
            found["layer1.0"]["swapped"] = 20.0 + seed
            contents = {"complete": True, "error": 9.0, "blocks": found}
            (write_run(tmp_path, network, seed=seed) / "lesions.json").write_text(json.dumps(contents))
    runs = load_runs(ALL, tmp_path)
    [table] = lesion_table(runs)
    cells = row(table, "ResNet-20")
    assert (cells["Block deleted: median %"], cells["worst %"], cells["within 5 points"]) == (
        "11.50",
        "12.50",
        "2 of 2",
    )
    assert cells["Neighbours swapped: median %"] == "20.50"
    assert row(table, "plain-20")["within 5 points"] == "0 of 2"
    assert (figure := lesion_figure(runs)) and len(figure.axes) == 4
