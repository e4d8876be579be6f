"""The experiments, tables and figures of the networks before and after ResNet, and of pre-activation."""

import json
import shutil
from pathlib import Path

import pytest
import torch
import yaml
from conftest import PAPER, REPOSITORY

from resnet_lightning.cli import main
from resnet_lightning.networks import inspection
from resnet_lightning.networks.counting import Part, count_parts
from resnet_lightning.runs.command_line import prepare
from resnet_lightning.runs.reading import load_runs
from resnet_lightning.schedules import Schedule
from resnet_lightning.studies import find_study
from resnet_lightning.studies.family import entries

FOLDER = Path("experiments/cifar10")
ROWS = {row["experiment"]: (name, row) for name, row in PAPER["family"]["rows"].items()}
OTHERS = sorted(path.stem for path in (REPOSITORY / FOLDER / "preactivation").glob("*.yaml"))
IDEAS = sorted(path.stem for path in (REPOSITORY / FOLDER / "ideas").glob("*.yaml"))
WHERE = {"family": ROWS, "preactivation": OTHERS, "ideas": IDEAS}
BASE = f"--config={FOLDER}/base.yaml"


def test_no_experiment_is_left_out() -> None:
    assert sorted(ROWS) == sorted(path.stem for path in (REPOSITORY / FOLDER / "family").glob("*.yaml"))
    told = find_study("preactivation").experiments
    assert {f"cifar10/preactivation/{name}" for name in OTHERS} <= set(told)
    assert {f"cifar10/ideas/{name}" for name in IDEAS} == set(find_study("ideas").experiments)


@pytest.mark.filterwarnings("ignore::DeprecationWarning:lightning")  # main() does the same
@pytest.mark.parametrize("place", [f"{folder}/{stem}" for folder, stems in WHERE.items() for stem in stems])
def test_an_experiment_is_what_its_row_says(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(REPOSITORY)
    path, (folder, stem) = FOLDER / f"{place}.yaml", place.split("/")
    header = "".join(line[1:] for line in path.read_text(encoding="utf-8").splitlines(True) if line.startswith("#"))
    with torch.device("meta"):
        built = prepare([BASE, f"--config={path}"], watched=False)
    network = built.model.network
    name = inspection.name(network)
    assert f"--config {FOLDER}/base.yaml --config {path}" in header
    if folder == "family":
        expected, row = ROWS[stem]
        parameters = sum(parameter.numel() for parameter in network.parameters())
        assert (name, network.depth, parameters) == (expected, row["layers"], row["parameters"])
        if network.depth < 500:  # deeper ones take half a minute
            with torch.no_grad():
                assert sum(count_parts(network.eval(), (1, 3, 32, 32)).values(), Part()).macs == row["macs"]
        if "params" in row and row.get("verified") != "secondary" and name != "pre-activation-1001":
            # The paper writes 10.2M where 10.3M are counted.
            decimals = len(row["params"].partition(".")[2]) - 1
            assert abs(parameters / 1e6 - float(row["params"][:-1])) <= 0.6 * 10**-decimals
        error = row.get("mean", row.get("error"))
    else:
        published = PAPER["preactivation"]["table1"] | PAPER["preactivation"]["table2"] | {"ResNet-20": 8.75}
        error = published.get(name)
    said = (
        "no published error" if error is None else "“fail”" if error == "fail" else f"published test error {error:.2f} "
    )
    assert said in " ".join(header.split())


@pytest.mark.filterwarnings("ignore::DeprecationWarning:lightning")
@pytest.mark.parametrize("stem", ["wrn28_10", "squeezenet", "fractalnet21", "densenet40", "stochastic110"])
def test_the_same_protocol_is_the_first_papers(stem: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(REPOSITORY)
    overlay = f"--config={FOLDER}/same_protocol.yaml"
    with torch.device("meta"):
        built = prepare([BASE, f"--config={FOLDER}/family/{stem}.yaml", overlay], watched=False)
        first = prepare([BASE, f"--config={FOLDER}/table6/resnet20.yaml"], watched=False)
    assert (built.experiment, built.changes) == (f"cifar10/family/{stem}", ["same_protocol"])
    one, other = (yaml.safe_load(run.text) for run in (built, first))
    assert one["data"] == other["data"] and one["model"]["optimizer"] == other["model"]["optimizer"]
    assert one["trainer"] == other["trainer"]
    rates: list[Schedule] = [run.model.schedule(64_000) for run in (built, first)]
    assert [rates[0](400 + n * 1000) for n in range(63)] == [rates[1](400 + n * 1000) for n in range(63)]
    assert rates[0](399) == pytest.approx(0.1)


def write_run(name: str, experiment: str, error: float, *changes: str, seed: int = 0) -> None:
    row = entries()[name]
    folder = Path("runs", "@".join([experiment, *[",".join(changes)] * bool(changes)]), f"seed{seed}")
    folder.mkdir(parents=True)
    info = {
        **{"experiment": experiment, "seed": seed, "network": name, "depth": row["layers"], "shortcut": "A"},
        **{"family": name.partition("-")[0], "parameters": row["parameters"], "iterations": 64_000},
        **{"changes": list(changes), "as_shipped": not changes, "data": "CIFAR-10", "train_images": 50_000},
        **{"state": "finished", "iteration": 64_000, "seconds": 32_000, "device": "an accelerator"},
        **{"train_error": 1.0, "test_error": error},
    }
    for file in ("run.json", "result.json"):
        (folder / file).write_text(json.dumps(info))
    config = {"model": {"network": {"class_path": "resnet_lightning.networks.wide.wide_resnet", "init_args": {}}}}
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    (folder / "metrics.csv").write_text(f"iteration,train/error,test/error\n64000,1.0,{error}\n")


def cells(path: Path, name: str) -> list[str]:
    [line] = [line for line in path.read_text(encoding="utf-8").splitlines() if line.startswith(f"| {name} |")]
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_the_report_of_the_family(workplace: Path) -> None:
    main(["report", "family"])  # without a run
    report = Path("reports/family.md")
    assert cells(report, "WRN-28-10")[1:] == [
        *("2016", "fewer layers, more channels", "28", "36.48M", "5,243", "4.00", "–", "–", "–")
    ]
    assert cells(report, "Highway-19")[6] == "7.72 ± 0.16" and cells(report, "SqueezeNet")[6] == "–"
    for seed, error in ((0, 4.4), (1, 4.6)):
        write_run("WRN-16-8", "cifar10/family/wrn16_8", error, seed=seed)
    write_run("WRN-16-8", "cifar10/family/wrn16_8", 6.0, "same_protocol")
    main(["report", "family"])
    assert cells(report, "WRN-16-8")[6:] == ["4.27", "4.50 ± 0.14 (2 seeds)", "6.00", "2"]
    assert len(list(Path("reports").glob("family*.svg"))) == 1
    shutil.rmtree("runs")
    # Shortened, both in one table, and a narrower one that no paper has.
    write_run("WRN-16-8", "cifar10/family/wrn16_8", 30.0, "max_steps=3000", "same_protocol")
    write_run("WRN-16-4", "cifar10/family/wrn16_4", 31.0, "max_steps=3000")
    for file in Path("runs").rglob("wrn16_4*/*/*.json"):
        file.write_text(file.read_text().replace("WRN-16-4", "WRN-10-2"))
    [config] = Path("runs").rglob("wrn16_4*/*/config.yaml")
    config.write_text(config.read_text().replace("{}", "{depth: 10, width: 2}"))
    main(["report", "family"])
    text = report.read_text(encoding="utf-8")
    assert text.count("\n| ") == 4 and "orientation only" in text  # heads, rule and the two networks
    assert cells(report, "WRN-10-2")[1:8] == ["–", "–", "16", "0.30M", "44", "–", "31.00"]


def test_the_report_of_pre_activation(workplace: Path) -> None:
    write_run("pre-activation-164", "cifar10/family/preactivation164", 5.5)
    write_run("original-164", "cifar10/family/original164", 6.0)
    assert len(load_runs(find_study("preactivation").experiments, Path("runs"))) == 2
    main(["report", "preactivation"])
    report = Path("reports/preactivation.md")
    assert cells(report, "pre-activation-164") == ["pre-activation-164", "5.46", "1.00", "5.50", "1"]
    assert cells(report, "original-110 scaled")[1:4] == ["fail", "–", "–"]
    assert list(Path("reports").glob("preactivation*.svg"))
