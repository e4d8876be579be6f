"""Tables 1 to 5 and Figure 4 from made-up run folders: the numbers checked by hand, and what may not stand together."""

import json
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from conftest import PAPER
from made_up_imagenet_runs import OTHERS, SUBSET, evaluate, load, predict, row, write_run
from matplotlib.figure import Figure

from resnet_lightning.networks import imagenet_resnet
from resnet_lightning.reporting.figures import family_curves as figure4
from resnet_lightning.reporting.figures import save
from resnet_lightning.reporting.settings import groups
from resnet_lightning.studies.figure4 import tables as figure4_table
from resnet_lightning.studies.table1 import count
from resnet_lightning.studies.table1 import tables as table1
from resnet_lightning.studies.table2 import tables as table2
from resnet_lightning.studies.table3 import tables as table3
from resnet_lightning.studies.table4 import tables as table4
from resnet_lightning.studies.table5 import tables as table5

COUNTS = PAPER["counts_imagenet"]


def test_counted_parameters_and_multiply_adds() -> None:
    for family, option in (("plain", "none"), ("resnet", "A"), ("resnet", "B"), ("resnet", "C")):
        for depth in (18, 34):
            known = COUNTS[family][depth] if family == "plain" else COUNTS[family][depth][option]
            counted = count(partial(imagenet_resnet, depth, option))
            assert (counted["parameters"], counted["macs"]) == (known["params"], known["macs"])
            assert list(counted["sizes"].values()) == list(PAPER["table1_architectures"]["output_sizes"].values())
    for depth in (50, 101):
        for stride_in, macs in (("1x1", "macs_v1"), ("3x3", "macs_v15")):
            known = COUNTS["resnet"][depth]["B"]
            counted = count(partial(imagenet_resnet, depth, "B", stride_in=stride_in))
            assert (counted["parameters"], counted["macs"]) == (known["params"], known[macs])


def test_table1_needs_no_runs() -> None:
    [table] = table1()
    assert row(table, "ResNet-152")["Multiply-adds (1e9)"] == "11.282"
    assert {name: row(table, name)["Published FLOPs (1e9)"] for name in ("VGG-19", "plain-18", "ResNet-152")} == {
        "VGG-19": "19.6",
        "plain-18": "1.8",
        "ResNet-152": "11.3",
    }
    assert row(table, "VGG-16")["Multiply-adds (1e9)"] == f"{COUNTS['vgg'][16]['macs'] / 1e9:.3f}"
    cells = row(table, "ResNet-50")
    assert list(cells.values())[1:7] == ["50", "112", "56", "28", "14", "7"]
    assert list(cells.values())[-4:] == ["25,557,032", "3.8", "3.858", "4.089"]


def test_no_runs_give_the_papers_tables_with_nothing_measured() -> None:
    tables = [table for make in (table2, table3, table4, table5, figure4_table) for table in make([])]
    assert [len(table.rows) for table in tables] == [4, 10, 10, 6, 4]
    assert all(table.title.endswith(". ImageNet, full length: 600,000 iterations of 256") for table in tables)
    for table in tables:
        numbers = {name: {cells[table.columns.index(name)] for cells in table.rows} for name in table.columns[1:]}
        assert all(cells == {"–"} for name, cells in numbers.items() if not name.startswith("Published"))
    assert row(tables[2], "VGG (ILSVRC14)")["Published top-5 error %"] == "8.43†"


def test_ten_crop_errors_beside_the_papers(tmp_path: Path) -> None:
    write_run(tmp_path, "plain-18", train=31.0, ten=(28.0, 9.0))
    write_run(tmp_path, "plain-34", train=33.5, ten=(28.5, 10.0))
    write_run(tmp_path, "ResNet-18", train=30.0)
    for seed, error in enumerate((25.0, 25.4)):
        write_run(tmp_path, "ResNet-34", train=25.0, val=28.0, seed=seed, ten=(error, 7.7 + error - 25))
    write_run(tmp_path, "ResNet-34", train=25.0, val=28.6, seed=2)
    write_run(tmp_path, "VGG-16", ten=(28.17, 9.3))
    write_run(tmp_path, "ResNet-50", state="unfinished", ten=(22.0, 6.0))
    early = write_run(tmp_path, "ResNet-101")
    evaluate(early, "ten_crop", 30.0, 10.0, iteration=300_000)
    [table] = table2(load(tmp_path, "table2"))
    # mean 50.4 / 2, deviations 0.2: the root of 0.08 / 1; centre crops 28.0, 28.0, 28.6: the root of 0.24 / 2
    assert list(row(table, "ResNet-34").values())[1:6] == [
        *("25.03", "25.20 ± 0.28 (2 of 3 seeds)", "+0.17", "28.20 ± 0.35", "25.00 ± 0.00"),
    ]
    assert list(row(table, "plain-18").values())[2:4] == ["28.00", "+0.06"]
    assert list(row(table, "ResNet-18").values())[1:5] == ["27.88", "–", "–", "31.00"]
    assert table.notes[0].startswith("Degradation: plain-34 has 2.50 points more training error than plain-18; with")
    assert "+0.60 points (plain) and -2.85 (ResNet)" in table.notes[1] and "50,000 images" in table.notes[2]
    [table] = table3(load(tmp_path))
    assert [cells[0] for cells in table.rows] == list(PAPER["table3_10crop_val"]["rows"])
    assert list(row(table, "ResNet-34 A").values())[4:7] == ["7.76", "7.90 ± 0.28 (2 of 3 seeds)", "+0.14"]
    assert list(row(table, "VGG-16").values())[1:7] == ["28.07", "28.17", "+0.10", "9.33", "9.30", "-0.03"]
    # The best numbers of a run that is not over, and an early checkpoint of one that is, are no results.
    assert list(row(table, "ResNet-50").values())[1:4] == ["22.85", "at 600,000: 22.00", "–"]
    assert list(row(table, "ResNet-101").values())[2:4] == ["at 300,000: 30.00", "–"]


def test_several_scales_with_and_without_flips(tmp_path: Path) -> None:
    more = {"error_without_flips": 21.0, "top5_error_without_flips": 5.5, "damaged_images": 3, "bn_batches": 200}
    evaluate(write_run(tmp_path, "ResNet-50"), "multi_scale", 20.8, 5.2, **more)
    evaluate(write_run(tmp_path, "ResNet-152"), "multi_scale", 19.5, 4.5)
    [table] = table4(load(tmp_path, "table4"))
    assert list(row(table, "ResNet-50").values())[1:9] == [
        "20.74",
        "20.80",
        "+0.06",
        "5.25",
        "5.20",
        "-0.05",
        "21.00",
        "5.50",
    ]
    assert list(row(table, "ResNet-152").values())[7:9] == ["–", "–"]
    assert "3 damaged" in table.notes[1] and "anew over 0 or 200 batches" in table.notes[1]


def test_a_part_of_imagenet_stands_beside_nothing_published(tmp_path: Path) -> None:
    for depth, train in ((18, 20.0), (34, 26.0)):
        write_run(tmp_path, f"plain-{depth}", train=train, ten=(25.0, 3.0), **SUBSET)
        write_run(tmp_path, f"ResNet-{depth}", train=20.0, ten=(25.0, 3.0), **SUBSET)
    predict(write_run(tmp_path, "ResNet-50", ten=(25.0, 3.0), **SUBSET), [[0.6, 0.4]], [0])
    runs = load(tmp_path) + load(tmp_path, "table2")
    for table in (*table2(runs), *table3(runs), *table4(runs), *table5(runs), *figure4_table(runs)):
        assert table.title.removeprefix("Ensemble on ") == f"{SUBSET['data']}: 400 iterations; changed: small"
        assert not any(word in column for column in table.columns for word in ("Published", "Difference"))
        assert not any("Published" in note or "orientation" in note for note in table.notes)
    assert "plain-34 has 6.00 points more training error" in table2(runs)[0].notes[0]


def test_shortened_and_smaller_runs_stand_apart_with_the_papers_for_orientation(tmp_path: Path) -> None:
    write_run(tmp_path, "ResNet-50", ten=(30.0, 10.0), iterations=60_000, changes=["max_steps=60000"])
    write_run(tmp_path, "ResNet-50", ten=(40.0, 20.0), changes=["image_size=64"], data="ImageNet at 64×64")
    tables = table3(load(tmp_path))
    assert [table.title for table in tables] == [
        "Shortened runs on ImageNet: 60,000 iterations instead of 600,000",
        "Changed runs on ImageNet at 64×64: 600,000 iterations; changed: image_size=64",
    ]
    for table in tables:
        assert [cells[0] for cells in table.rows] == ["ResNet-50"] and "orientation only" in table.paragraphs[-1]
        assert row(table, "ResNet-50")["Difference top-1"] == "–"


def test_weights_of_others_never_stand_with_our_runs(tmp_path: Path) -> None:
    write_run(tmp_path, "ResNet-50", ten=(23.0, 6.8))
    folder = write_run(tmp_path, "ResNet-50 v1.5", ten=(22.1, 6.2), **OTHERS)
    evaluate(folder, "center", 23.87, 7.14)
    runs = load(tmp_path)
    ours, others = table3(runs)
    assert row(ours, "ResNet-50")["10-crop top-1 error %"] == "23.00"
    assert not any("v1.5" in cell or "22.10" in cell for cells in ours.rows for cell in cells)
    assert others.title == "ImageNet: weights of others, evaluated here, not trained here"
    marked = "weights: resnet50-0676ba61.pth, not trained here"
    assert others.rows == (("ResNet-50 v1.5", marked, "25.56M", "22.10", "6.20", "23.87", "7.14"),)
    assert not any(column.startswith("Published") for column in others.columns)
    assert [setting.of_others for setting, _ in groups(runs)] == [False, True]
    predict(folder, [[0.9, 0.1], [0.4, 0.6]], [1, 1])
    predict(tmp_path / "imagenet/table3/resnet50/seed0", [[0.4, 0.6], [0.4, 0.6]], [1, 1])
    ours, others = table5(load(tmp_path))
    assert row(ours, "ResNet (ILSVRC15)")["Members"] == "ResNet-50 (seed 0)"
    assert row(ours, "ResNet (ILSVRC15)")["Measured top-1 error %"] == "0.00"
    assert row(others, "Ensemble")["Measured top-1 error %"] == "50.00" and "not trained here" in others.rows[0][-1]


def test_table5_names_its_members_and_says_who_is_left_out(tmp_path: Path) -> None:
    six = np.eye(6) * 0.5
    predict(write_run(tmp_path, "ResNet-50"), six + 0.01, [0, 1, 2, 3, 4, 5])
    predict(write_run(tmp_path, "ResNet-152"), six, [0, 1, 2, 3, 4, 5])
    predict(write_run(tmp_path, "ResNet-152", seed=1), six, [0, 1, 2, 3, 4, -1], complete=False)
    predict(write_run(tmp_path, "ResNet-101", state="unfinished"), six, [0, 1, 2, 3, 4, 5])
    early = predict(write_run(tmp_path, "ResNet-34 B"), six, [0, 1, 2, 3, 4, 5]) / "predictions-multi_scale.json"
    early.write_text(early.read_text().replace("600000", "300000"))
    write_run(tmp_path, "ResNet-34 C")
    [table] = table5(load(tmp_path, "table5"))
    cells = row(table, "ResNet (ILSVRC15)")
    assert cells["Published top-5 error % (test set)"] == "3.57" and cells["Measured top-5 error %"] == "0.00"
    assert (cells["Networks"], cells["Images"]) == ("2", "6")
    assert cells["Members"] == "ResNet-50 (seed 0), ResNet-152 (seed 0)"
    assert "on the test set" in table.notes[0] and "no difference" in table.notes[0]
    left_out = "\n".join(note for note in table.notes if note.startswith("Left out"))
    assert left_out.count("\n") == 3
    for reason in (
        "5 of 6 images",
        "ResNet-101 (seed 0) is unfinished",
        "iteration=300000.ckpt",
        "resnet34c/seed0 has",
    ):
        assert reason in left_out


def ends(figure: Figure) -> list[list[str]]:
    return [[text.get_text() for text in axes.texts] for axes in figure.axes]


def test_figure4_has_the_papers_axes_and_says_validation(tmp_path: Path) -> None:
    for network in ("plain-18", "plain-34", "ResNet-18"):
        write_run(tmp_path, network)
    write_run(tmp_path, "ResNet-34", state="unfinished")
    write_run(tmp_path, "plain-18", seed=1, **SUBSET)
    (_, runs), (_, subset) = groups(load(tmp_path, "figure4"))
    figure = figure4(runs)
    assert [sorted(names) for names in ends(figure)] == [
        ["plain-18", "plain-34"],
        ["ResNet-18", "ResNet-34, unfinished"],
    ]
    assert [axes.get_title() for axes in figure.axes] == ["plain", "ResNet"]
    assert {(*axes.get_ylim(), *axes.get_xlim()) for axes in figure.axes} == {(20, 60, 0, 600_000)}
    assert "bold: validation error of centre crops" in figure.texts[-1].get_text()
    [left, right] = [{line.get_color() for line in axes.lines} for axes in figure.axes]
    assert left == right and len(left) == 2
    assert figure4(subset).axes[0].get_ylim()[0] == 0
    png, _ = save(figure, tmp_path / "reports", "figure4")
    assert png.stat().st_size > 10_000
    [table, _] = figure4_table(load(tmp_path, "figure4"))
    assert list(row(table, "plain-34").values())[1:6] == ["≈ 32.6", "≈ 32.5", "31.00", "30.00", "1"]
    assert row(table, "ResNet-34")["Centre-crop error %"] == "at 300,000: 35.00"


def test_a_run_with_a_test_set_reports_it_and_not_the_validation_set(tmp_path: Path) -> None:
    folder = write_run(tmp_path, "ResNet-50", val=31.0)
    [run] = load(tmp_path)
    assert (run.test_error, run.evaluated_on, run.last("test/error")) == (31.0, "validation", 31.0)
    result = json.loads((folder / "result.json").read_text())
    (folder / "result.json").write_text(json.dumps(result | {"test_error": 29.0}))
    (folder / "metrics.csv").write_text("iteration,val/error,test/error\n100,50,40\n200,31,29\n")
    [run] = load(tmp_path)
    assert (run.test_error, run.evaluated_on, run.curve("test/error")) == (29.0, "test", ([100, 200], [40.0, 29.0]))


def test_an_evaluation_that_is_damaged_or_of_other_data_is_said_and_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = '{"error": 25.0, "checkpoint": "iteration=600000.ckpt", "data": "imagenette"}'
    for seed, text in enumerate(('{"error": ', '{"error": "25"}', "[]", other)):
        (write_run(tmp_path, "ResNet-50", seed=seed) / "test-ten_crop.json").write_text(text)
    [table] = table3(load(tmp_path))
    assert row(table, "ResNet-50")["10-crop top-1 error %"] == "–"
    lines = sorted(capsys.readouterr().err.splitlines())
    assert len(lines) == 4 and all("test-ten_crop.json is damaged" in line for line in lines[:3])
    assert "imagenette, not of the run's data, ImageNet" in lines[3]
