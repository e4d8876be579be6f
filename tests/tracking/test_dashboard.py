"""What runs record for Weights & Biases, without a server; and dashboards as code, checked against those records."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import wandb
from conftest import QUICK, REPOSITORY, fit, result

from resnet_lightning.cli import main
from resnet_lightning.reporting.colours import colours
from resnet_lightning.runs.metrics_file import read_metrics
from resnet_lightning.studies import find_study
from resnet_lightning.tracking import wandb_logger as tracking
from resnet_lightning.tracking.views import SYSTEM, study_views
from resnet_lightning.tracking.workspaces import ITERATION, report, workspace

KEY = 10 * "0123"  # of the right form
OFFLINE = {"entity": "", "project": "p"}


def records(folder: Path, kind: str) -> list[dict[str, Any]]:
    """What wandb's own reader finds in a run that was recorded offline."""
    [run] = folder.glob("wandb/offline-run-*")
    command = [sys.executable, "-m", "wandb", "leet", "inspect", "--json", str(run)]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    return [record[kind] for record in map(json.loads, lines) if record["type"] == kind]


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workplace with a plain and a residual network of the demo, recorded offline; read only."""
    place = tmp_path_factory.mktemp("recorded")
    (place / "experiments").symlink_to(REPOSITORY / "experiments")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WANDB_MODE", "offline")
        patch.chdir(place)
        wandb.teardown()  # wandb remembers the mode of the tests before
        for network in ("plain20", "resnet20"):
            main(["fit", QUICK[0], f"--config=experiments/digits/{network}.yaml", *QUICK[2:], "--trainer.max_steps=12"])
        wandb.teardown()
    return place


@pytest.fixture
def keyless(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """No key of whoever runs the tests, and nothing that wandb remembers of one in this process."""
    for name in [name for name in os.environ if name.startswith("WANDB")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    wandb.teardown()
    yield
    wandb.teardown()


def test_a_record_equals_the_run_folder(recorded: Path) -> None:
    [folder] = recorded.glob("runs/digits/resnet20@*/seed0")
    rows: dict[int, dict[str, str]] = {}
    for history in records(folder, "history"):
        item = history["item"]
        row = rows.setdefault(int(item.pop(ITERATION)), {})
        row.update({name: f"{value:.6g}" for name, value in item.items() if not name.startswith("_")})
    assert rows == read_metrics(folder / "metrics.csv") and list(rows)[-1] == 12
    run = records(folder, "run")[0]
    assert (run["job_type"], run["display_name"], run["tags"]) == ("train", "ResNet-8 seed 0", ["digits"])
    assert run["run_group"] == f"digits/resnet20,{folder.parent.name.partition('@')[2]}"
    command = [sys.executable, "-m", "wandb", "leet", "inspect", "--summary", "--json", str(folder / "wandb")]
    row = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    begun = json.loads((folder / "run.json").read_text())
    assert row["config"] | {"sessions": begun["sessions"]} == begun  # W&B keeps its own account of sessions
    ended = {name: value for name, value in result(folder).items() if name not in begun}
    assert {"state", "train_error", "test_error"} <= ended.keys() and ended.items() <= row["summary"].items()
    assert row["summary"]["test/error"] == pytest.approx(ended["test_error"], abs=1e-4)


@pytest.mark.parametrize("study", ["demo", "degradation", "figure6", "table2", "table6"])
def test_every_panel_shows_what_the_runs_record(recorded: Path, study: str, workplace: Path) -> None:
    for experiment in find_study(study).experiments:
        [source] = recorded.glob(f"runs/digits/{'plain' if 'plain' in experiment else 'resnet'}20@*")
        shutil.copytree(source, Path("runs", experiment))
    [view] = study_views(study)
    spec = workspace(view, find_study(study).title, OFFLINE)._to_model().spec.model_dump(mode="json", by_alias=True)
    table, *sections = spec["section"]["panelBankConfig"]["sections"]
    assert [panel["config"]["value"] for panel in table["panels"]] == [view.table] and "ResNet-8" in view.table
    plots = [plot["config"] for section in sections for plot in section["panels"]]
    metrics = {metric for plot in plots for metric in plot["metrics"]}
    columns = {column for run in view.runs for row in run.rows.values() for column in row}
    stats = {name for stat in records(view.runs[0].folder, "stats") for name in stat["item"]}
    ours = {metric for metric in metrics if not metric.startswith(SYSTEM)}
    assert {"test/error", "train/error", "train/loss", "lr", "images_per_second"} <= ours & columns
    assert set(view.empty) == ours - columns and "val/error" not in metrics
    assert "system/proc.memory.rssMB" in metrics and "proc.memory.rssMB" in stats
    assert {plot["xAxis"] for plot in plots} == {ITERATION, "_runtime"}
    [runs] = spec["section"]["runSets"]
    [ids] = [one["value"] for one in runs["filters"]["filters"]]
    assert {tracking.earlier_run(run.folder) for run in view.runs} == set(ids)
    assert colours(view.runs)["ResNet-8"] in spec["section"]["customRunColors"].values()


def test_the_report_has_the_tables_and_the_panels_of_the_workspaces(recorded: Path, workplace: Path) -> None:
    for setting, source in zip(("", "@depth=8"), sorted(recorded.glob("runs/digits/*")), strict=True):
        shutil.copytree(source, Path("runs", "digits", f"resnet20{setting}"))
    info = Path("runs", "digits", "resnet20", "seed0", "run.json")
    info.write_text(info.read_text().replace('"iterations": 12', '"iterations": 13'))
    views = study_views("demo")
    spec = report(views, find_study("demo").title, OFFLINE)._to_model().spec.model_dump(mode="json", by_alias=True)
    blocks = spec["blocks"]
    assert len(views) == 2
    assert [block["content"] for block in blocks if block["type"] == "markdown-block"] == [one.table for one in views]
    grids = [block["metadata"] for block in blocks if block["type"] == "panel-grid"]
    shown = [
        [metric for panel in grid["panelBankSectionConfig"]["panels"] for metric in panel["config"]["metrics"]]
        for grid in grids
    ]
    assert shown == [list(metrics) for view in views for metrics in view.sections.values()]
    assert all(grid["customRunColors"] for grid in grids)


def test_without_a_key_the_dashboard_says_what_it_would_be(
    keyless: None,
    recorded: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    place = shutil.copytree(recorded, tmp_path / "place", symlinks=True)
    monkeypatch.chdir(place)
    for path in place.glob("runs/digits/*/seed0/metrics.csv"):  # of a run made before gradients were measured
        path.write_text(path.read_text().replace("gradient/first_to_last", "something_else"))
    main(["dashboard", "demo", "--entity=we", "--project=p"])
    printed = capsys.readouterr().out
    assert re.findall("empty, .*: (.*)", printed) == ["gradient/first_to_last"]
    [command] = re.findall(r"  (wandb sync(?:.*\\\n)+.*)", printed)
    given = shlex.split(command.replace("\\\n", ""))
    folders = sorted(str(path) for path in Path().glob("runs/digits/*/seed0/wandb/offline-run-*"))
    assert given == ["wandb", "sync", "--entity", "we", "--project", "p", *folders] and len(folders) == 2
    assert "no key" in printed.splitlines()[-1]


@pytest.mark.parametrize("key", [KEY, "short"])
def test_a_wrong_key_holds_no_run(
    key: str,
    keyless: None,
    workplace: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("WANDB_API_KEY", key)
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    monkeypatch.setattr(tracking, "SECONDS_TO_CONNECT", 1.0)
    Path("r", "wandb", "run-20200101_000000-abc").mkdir(parents=True)  # it goes on with the same run, once begun online
    fit("--trainer.max_steps=2", "--run=r")
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("offline, since Weights & Biases cannot be used: ")
    assert [run["run_id"] for run in records(Path("r"), "run")] == ["abc"]
    assert result("r")["state"] == "finished" and records(Path("r"), "history")


def test_a_dashboard_without_a_server_is_refused(
    keyless: None, recorded: Path, monkeypatch: pytest.MonkeyPatch, refused: Callable[..., str]
) -> None:
    monkeypatch.chdir(recorded)
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    monkeypatch.setattr("resnet_lightning.tracking.dashboard.SECONDS_TO_CONNECT", 1.0)
    assert "nothing was created" in refused("dashboard", "demo")
    monkeypatch.setitem(sys.modules, "wandb_workspaces.workspaces", None)
    assert "pip install -e '.[dashboard]'" in refused("dashboard", "demo")
    assert "table1 trains nothing" in refused("dashboard", "table1")
