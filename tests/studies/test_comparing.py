"""Comparisons: real runs through the command line, verdicts on made-up ones, and what cannot be compared."""

import csv
import json
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from statistics import mean
from typing import Any

import pytest
import torch
from conftest import PAPER, QUICK, result, write_class_folders
from made_up_runs import load, write_run
from torch.utils.data import DataLoader, TensorDataset

from resnet_lightning.cli import main
from resnet_lightning.data.repeatable import Repeatable
from resnet_lightning.errors import BadInput
from resnet_lightning.reporting.differences import paired
from resnet_lightning.reporting.labels import labelled
from resnet_lightning.reporting.table import Table
from resnet_lightning.runs.command_line import prepare
from resnet_lightning.studies.comparing.table import tables

PLAIN, RESIDUAL = "cifar10/figure6/plain20", "cifar10/table6/resnet20"


def write_pairs(root: Path, plain: list[float], residual: list[float], **info: Any) -> None:
    """Finished runs of plain-20 and ResNet-20, with seeds from 0 on and such test errors (percent)."""
    for name, errors in (("plain-20", plain), ("ResNet-20", residual)):
        for seed, error in enumerate(errors):
            write_run(root, name, test=error, seed=seed, **info)


def compared(root: Path, **settings: dict[str, Any]) -> Table:
    said = {"plain20": {"model.network.init_args.shortcut": "none"}, "resnet20": {}}
    [table] = tables("?", said | settings, dict.fromkeys(said, 1), labelled(load(root)))
    return table


@pytest.mark.long
def test_a_comparison_trains_what_is_missing_and_reports(tiny: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = [f"experiments/digits/{name}.yaml" for name in ("plain20", "resnet20")]
    command = ["compare", *files, "--steps=4", "--with=tiny.yaml", "--seeds", "0", "1", "--jobs=2"]
    main(command)
    folders = sorted(Path("runs").glob("digits/*@max_steps=4,tiny/seed*/result.json"))
    assert len(folders) == 4
    printed = capsys.readouterr().out
    assert "What resnet20 changes: model.network.shortcut A (not none)." in printed and "Warning" not in printed
    [stem] = {path.stem for path in Path("reports").iterdir()}
    assert stem == "compare-plain20-resnet20@max_steps=4,tiny"
    with Path("reports", f"{stem}.csv").open(encoding="utf-8") as file:
        plain, residual = csv.DictReader(file)
    assert plain["Parameters"] == "75,290" and plain["Seeds"] == residual["Seeds"] == "2"
    errors = [
        [result(path.parent)["test_error"] for path in folders if name in str(path)] for name in ("plain", "resnet")
    ]
    assert residual["Difference, paired"].startswith(f"{mean(errors[1]) - mean(errors[0]):+.2f}")


@pytest.mark.filterwarnings("ignore::DeprecationWarning:lightning")
def test_networks_with_one_seed_see_the_same_batches(workplace: Path) -> None:
    """However many numbers a network draws, for its weights or while it trains: what pairs of runs rest upon."""
    seen = []
    for depth, drawn in ((8, 0), (14, 5)):
        run = prepare([*QUICK, f"--model.network.depth={depth}", "--seed_everything=3"])
        run.data.setup("fit")
        others = TensorDataset(torch.arange(64))
        own: list[list[torch.Tensor]] = []
        for loader in (run.data.train_dataloader(), Repeatable(DataLoader(others, 8, shuffle=True), 3)):
            for batch in islice(loader, 4):
                own.append([part.clone() for part in batch])
                torch.rand(drawn)
        seen.append(own)
    assert all(torch.equal(*parts) for one, other in zip(*seen, strict=True) for parts in zip(one, other, strict=True))


def test_a_known_difference_is_found_and_a_chance_one_is_not(
    workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_pairs(Path("runs"), [9.78, 9.91, 9.6, 9.85, 9.7], [8.51, 8.3, 8.75, 8.6, 8.4])
    main(["compare", PLAIN, RESIDUAL])
    printed = " ".join(capsys.readouterr().out.split())
    assert "resnet20 is better: its test error is 1.26 points lower than that of plain20 (95 % interval" in printed
    assert "p < 0.001, 5 pairs of seeds)" in printed and "points in four of five comparisons" in printed
    macs = PAPER["counts_cifar"]["nets"][20]["macs"]
    assert f"| {macs:,} |" in Path("reports/compare-plain20-resnet20.md").read_text(encoding="utf-8").splitlines()[5]
    for seed, error in enumerate([9.7, 9.8, 9.7, 9.95, 9.6]):  # the same network with other luck
        path = Path("runs", RESIDUAL, f"seed{seed}", "result.json")
        path.write_text(json.dumps(json.loads(path.read_text()) | {"test_error": error}))
    table = compared(Path("runs"))
    assert table.notes[0].startswith("No difference between resnet20 and plain20 is seen: ")


def test_runs_that_differ_in_more_than_their_files_say(tmp_path: Path) -> None:
    here = {"device": "CPU", "precision": "bf16-mixed", "threads": 1, "versions": {"torch": "2.14.1"}}
    write_pairs(tmp_path, [9.7, 9.8], [], **here)
    write_pairs(tmp_path, [], [8.5, 8.7], **here | {"precision": "32-true", "versions": {"torch": "2.13.0"}})
    said = "precision (plain20 bf16-mixed; resnet20 32-true)"
    assert any(said in note and "torch" in note and "threads" not in note for note in compared(tmp_path).notes)
    precisely = {"trainer.precision": "32-true"}  # the file says so
    notes = compared(tmp_path, resnet20=precisely).notes
    assert [note.partition(" files say: ")[2].partition(" (")[0] for note in notes if "Warning" in note] == [
        "version of torch"
    ]


def test_several_experiments_are_corrected_for(tmp_path: Path) -> None:
    errors = {"plain-20": [9.7, 9.8, 9.9], "ResNet-20": [9.3, 9.6, 9.4], "ResNet-32": [7.5, 7.7, 7.6]}
    for name, own in errors.items():
        for seed, error in enumerate(own):
            write_run(tmp_path, name, test=error, seed=seed)
    settings: dict[str, dict[str, Any]] = {"plain20": {}, "resnet20": {}, "resnet32": {}}
    [table] = tables("?", settings, dict.fromkeys(settings), labelled(load(tmp_path)))
    p = [row[table.columns.index("p")] for row in table.rows]
    alone = [paired(dict(enumerate(errors["plain-20"])), dict(enumerate(own))).p for own in list(errors.values())[1:]]
    assert p == ["–", f"{alone[0]:.3f}", f"{2 * alone[1]:.3f}"] and any("Holm" in said for said in table.caveats)


def test_what_cannot_be_compared(tmp_path: Path) -> None:
    write_pairs(tmp_path / "seeds", [9.7], [8.5])
    with pytest.raises(BadInput, match="plain20 0; resnet20 0; one seed is common to both, expected two at least"):
        compared(tmp_path / "seeds")
    write_run(tmp_path / "none", "plain-20", seed=0)
    write_run(tmp_path / "none", "ResNet-20", seed=1)
    with pytest.raises(BadInput, match="plain20 0; resnet20 1; no seeds are common"):
        compared(tmp_path / "none")
    write_pairs(tmp_path / "data", [9.7, 9.8], [])
    write_pairs(tmp_path / "data", [], [8.5, 8.6], data="CIFAR-10")
    with pytest.raises(BadInput, match=r"plain20 is trained on CIFAR-10 \(JPEG\), resnet20 on CIFAR-10: .*expected"):
        compared(tmp_path / "data")


def test_what_is_refused_before_anything_is_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refused: Callable[..., str]
) -> None:
    monkeypatch.chdir(tmp_path)  # with the package's experiments
    root = write_class_folders(tmp_path / "cifar", "png")
    network = "model: {network: {init_args: {depth: 20}}}\n"
    for name, more in {"same": "", "small": f"data: {{init_args: {{root: {root}, batch_size: 2}}}}\n"}.items():
        path = Path(f"experiments/cifar10/mine/{name}.yaml")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(network + more)
    assert "table6/resnet20 is given twice" in refused("compare", PLAIN, RESIDUAL, RESIDUAL)
    assert "table6/resnet20 is given alone" in refused("compare", RESIDUAL)
    Path("five.yaml").write_text("trainer: 5\n")
    assert "five.yaml has trainer 5: expected" in refused("compare", PLAIN, RESIDUAL, "--with", "five.yaml")
    assert "SEEDS=3: one seed does not show" in refused("compare", PLAIN, RESIDUAL, "--seeds", "3")
    assert "there is no such experiment; expected a file below experiments/" in refused("compare", "x.yaml", RESIDUAL)
    said = refused("compare", RESIDUAL, "experiments/cifar10/mine/same.yaml")
    assert "resnet20 and same are the same experiment: every setting is equal" in said
    said = refused("compare", "digits/resnet20", "cifar10/mine/small")
    assert "resnet20 is trained on digits at 16×16, small on CIFAR-10, only 260 + 50 images: " in said
    assert not Path("runs").exists() and not Path("reports").exists()
