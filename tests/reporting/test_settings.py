"""Which data set and length a row is, and what it may therefore stand beside."""

from pathlib import Path
from typing import Any

import pytest
from made_up_runs import load, row, write_config, write_run

from resnet_lightning.reporting.colours import colours
from resnet_lightning.reporting.figures import by_family, family_curves
from resnet_lightning.reporting.settings import groups, setting_of
from resnet_lightning.studies.degradation import tables as degradation
from resnet_lightning.studies.table6 import tables as table6

SHORT: dict[str, Any] = {"iterations": 6000, "changes": ["max_steps=6000"]}


@pytest.mark.parametrize(
    ("data", "papers", "full"),
    [
        ("CIFAR-10", "CIFAR-10", True),
        ("CIFAR-10 (JPEG)", "CIFAR-10", True),
        ("CIFAR-10 at 16×16", "CIFAR-10", False),
        ("CIFAR-10 (JPEG), only 1,000 + 200 images", "CIFAR-10", False),
        ("CIFAR-100", "", False),
        ("CIFAR-10.1", "", False),
        ("CIFAR-10-C at 16×16", "", False),
        ("ImageNet", "", False),  # an experiment of CIFAR-10 is not the paper's there
    ],
)
def test_only_the_papers_data_is_set_beside_its_numbers(tmp_path: Path, data: str, papers: str, full: bool) -> None:
    write_run(tmp_path, "ResNet-20", test=33.0, data=data)
    runs = load(tmp_path)
    assert [(setting_of(run).papers, setting_of(run).full) for run in runs] == [(papers, full)]
    [table] = table6(runs)
    assert (row(table, "ResNet-20")["Published error %"] == "8.75") == bool(papers)
    assert ("Table 6" in table.title, row(table, "ResNet-20")["Difference"] != "–") == (full, full)


def test_a_full_length_is_known_by_the_configuration(tmp_path: Path) -> None:
    for seed, changes in enumerate(
        ({}, {"callbacks": [{"class_path": "mine.NoGradients"}]}, {"gradient_clip_val": 1.0}, {"max_steps": 9})
    ):
        write_config(write_run(tmp_path, "ResNet-20", seed=seed), "cifar10/table6/resnet20", **changes)
    write_run(tmp_path, "ResNet-20", seed=4, as_shipped=False)
    (tmp_path / "cifar10/table6/resnet20/seed5").mkdir()
    damaged = write_run(tmp_path, "ResNet-20", seed=6) / "config.yaml"
    damaged.write_text("trainer: [")
    # What an experiment's files do not name is in a run's name, and not looked for in its configuration.
    assert {run.seed for run in load(tmp_path) if setting_of(run).full} == {0, 2}
    titles = [setting.title for setting, _ in groups(load(tmp_path))]
    assert titles == [
        "CIFAR-10 (JPEG), full length: 64,000 iterations of 128",
        "Runs that are not the paper's on CIFAR-10 (JPEG): 64,000 iterations",
    ]


def test_another_family_stands_beside_no_published_error(tmp_path: Path) -> None:
    write_run(tmp_path, "ResNet-20", test=8.8)
    write_run(tmp_path, "DenseNet-20", test=5.0, seed=2)
    write_run(tmp_path, "ResNet-20", test=7.7, seed=1, family="Wide ResNet")
    full, others = table6(load(tmp_path))
    assert full.title.startswith("Table 6. CIFAR-10 (JPEG), full length") and row(full, "ResNet-20")["Seeds"] == "1"
    assert others.title == "Runs that are not the paper's on CIFAR-10 (JPEG): 64,000 iterations"
    assert [cells[0] for cells in others.rows] == ["DenseNet-20", "ResNet-20 (Wide ResNet)"]
    for name in ("DenseNet-20", "ResNet-20 (Wide ResNet)"):
        assert (row(others, name)["Published error %"], row(others, name)["Difference"]) == ("–", "–")


def test_short_runs_of_all_families_stand_together_and_are_told_apart(tmp_path: Path) -> None:
    for seed, network in enumerate(("plain-20", "ResNet-20", "DenseNet-20", "ResNeXt-20")):
        write_run(tmp_path, network, seed=seed, **SHORT)
    runs = load(tmp_path)
    [table] = degradation(runs)
    assert [cells[0] for cells in table.rows] == ["plain-20", "ResNet-20", "DenseNet-20", "ResNeXt-20"]
    shades = colours(runs)
    assert shades["plain-20"] == shades["ResNet-20"] == "#E69F00" and len({*shades.values()}) == 3
    assert [axes.get_title() for axes in family_curves(runs).axes] == ["plain", "ResNet", "DenseNet", "ResNeXt"]
    assert [len(own) for own in by_family(runs).values()] == [1, 1, 1, 1]
