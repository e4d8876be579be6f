"""What is kept of runs in results/, that README's tables are made of it, and the verdict against scipy's t-tests."""

import json
import os
import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import yaml
from conftest import REPOSITORY
from made_up_runs import write_run
from scipy import stats

from resnet_lightning.cli import main
from resnet_lightning.data import CIFAR10
from resnet_lightning.files import sha256
from resnet_lightning.reporting.table import to_markdown
from resnet_lightning.reporting.verdict import compare
from resnet_lightning.runs.checkpoints import checksum_file
from resnet_lightning.runs.folder import RESULTS
from resnet_lightning.runs.metrics_file import read_metrics
from resnet_lightning.runs.reading import load_runs, paper
from resnet_lightning.runs.trained import load_run
from resnet_lightning.studies import find_study
from resnet_lightning.studies.keep import EACH, TOGETHER, thinned


def test_readme_and_docs_show_what_the_report_prints() -> None:
    """Between <!-- report NAME --> and <!-- end --> stands a table of reports/NAME.md but for its notes."""
    pages = [REPOSITORY / "README.md", *(REPOSITORY / "docs").glob("*.md")]
    text = "".join(page.read_text(encoding="utf-8") for page in pages)
    blocks = re.findall(r"<!-- report (\w+) -->\n(.*?)<!-- end -->", text, re.DOTALL)
    assert blocks
    for name, block in blocks:
        study = find_study(name)
        runs = load_runs(study.experiments, REPOSITORY / RESULTS)
        tables = [to_markdown(replace(table, notes=(), caveats=())) for table in study.tables(runs)]
        assert block in tables, f"none of these is in README or docs:\n\n{chr(10).join(tables)}"


def test_kept_results_are_small_and_say_nothing_of_the_machines_folders() -> None:
    for folder in (REPOSITORY / RESULTS).rglob("seed*"):
        assert {"config.yaml", "metrics.csv", "result.json"} <= {path.name for path in folder.iterdir()}
        assert len(read_metrics(folder / "metrics.csv")) <= 300
        for path in (path for path in folder.iterdir() if path.suffix != ".safetensors"):
            text = path.read_text(encoding="utf-8")
            assert len(text) < 200_000 and not re.search(r"/(tmp|home|root|work)/", text), path


def test_a_report_of_results_is_that_of_the_runs(workplace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for network in ("ResNet-20", "ResNet-56", "plain-20", "plain-56"):
        folder = write_run(Path("runs"), network, train=float(network[-2:]) if "plain" in network else 1.0)
        config = yaml.safe_load((folder / "config.yaml").read_text())
        config["data"]["init_args"]["root"], config["run"] = "/somewhere", "/elsewhere"
        (folder / "config.yaml").write_text(yaml.safe_dump(config))
        (folder / "checkpoints").mkdir()
    write_run(Path("runs"), "ResNet-20", seed=1, state="unfinished")
    main(["report", "degradation"])
    before = Path("reports/degradation.md").read_text()
    main(["keep", "degradation"])
    assert len(list(Path("results").rglob("result.json"))) == 4
    assert {path.name for path in Path("results").rglob("*.*")} == {"config.yaml", "metrics.csv", "result.json"}
    assert "where" not in "".join(path.read_text() for path in Path("results").rglob("config.yaml"))
    main(["report", "degradation"])
    assert Path("reports/degradation.md").read_text() == before  # a run that is there twice counts once
    Path("runs").rename("elsewhere")
    main(["report", "degradation"])
    after = Path("reports/degradation.md").read_text()
    assert after == before.replace(" (+1 unfinished)", "").replace(
        "50,000 images.", "50,000 images. All runs are from results/, made earlier."
    )
    write_run(Path("runs"), "plain-20", iterations=6000, changes=["max_steps=6000"])
    write_run(Path("results"), "plain-20", iterations=3000, changes=["max_steps=3000"])
    main(["report", "degradation"])
    shown = Path("reports/degradation.md").read_text()
    assert "6,000 iterations" in shown and "full length" in shown and "3,000" not in shown  # which nobody has run here
    capsys.readouterr()
    with pytest.raises(SystemExit) as status:
        main(["keep", "table6"])
    assert status.value.code == 2 and "no run of table6 in runs is finished" in capsys.readouterr().err


KEPT = sorted((REPOSITORY / RESULTS).rglob("weights.safetensors"))


def test_kept_weights_are_small() -> None:
    sizes = [path.stat().st_size for path in KEPT]
    assert sizes and max(sizes) <= EACH and sum(sizes) <= TOGETHER


@pytest.mark.parametrize("path", KEPT, ids=lambda path: path.parts[-3])
def test_kept_weights_are_those_of_the_result(path: Path) -> None:
    """Checksum and names always; the error too where CIFAR10 names the folder of the images."""
    assert checksum_file(path).read_text().split() == [sha256(path), path.name]
    result = json.loads((path.parent / "result.json").read_text(encoding="utf-8"))
    trained = load_run(path.parent)
    assert sum(weights.numel() for weights in trained.network.parameters()) == result["parameters"]
    assert (len(trained.classes), trained.about["test_error"]) == (10, result["test_error"])
    if "CIFAR10" not in os.environ:
        return
    data = CIFAR10(os.environ["CIFAR10"])
    data.prepare_data()
    data.setup("test")
    if data.title != result["data"]:
        pytest.skip(f"{data.title} are not the images of {result['data']}")
    mistakes = 0
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=result["precision"] == "bf16-mixed"):
        for images, labels in zip(*(part.split(500) for part in data.sets["test"]), strict=True):
            mistakes += int((trained(images).argmax(1) != labels).sum())
    # Processors round differently: a few of 10,000 images.
    assert mistakes / 100 == pytest.approx(result["test_error"], abs=0.05)


def test_torch_hub_finds_networks_and_weights() -> None:
    found = torch.hub.load(str(REPOSITORY), "resnet20", source="local", pretrained=True)
    kept = load_run(REPOSITORY / RESULTS / "cifar10/table6/resnet20/seed0")
    assert torch.equal(found.network.fc.weight, kept.network.fc.weight)
    assert torch.hub.load(str(REPOSITORY), "plain20", source="local").depth == 20


def test_thinned_metrics_keep_every_evaluation() -> None:
    rows = {
        number: {"train/error": "1"} | ({"test/error": "2"} if number % 1000 == 0 else {}) for number in range(64_001)
    }
    few = thinned(rows)
    assert 250 < len(few) <= 300 and {0, *range(1000, 64_001, 1000)} <= few.keys()
    assert thinned(few) == few


@pytest.mark.parametrize(
    ("depth", "ours", "verdict"),
    [
        (20, [8.5, 8.7, 9.2], "undecided"),
        (20, [8.7, 8.75, 8.9, 8.6], "equivalent"),
        (56, [7.8, 7.9, 7.85], "different"),
        (110, [6.4, 6.7, 6.6, 6.5], "equivalent"),
        (20, [8.5, 8.7], ""),
    ],
)
def test_verdict(depth: int, ours: list[float], verdict: str) -> None:
    entry = paper()["table6_cifar10"]["resnet"][depth]
    found = compare(ours, entry.get("mean", entry["error"]), entry)
    assert found is not None and found.verdict == verdict
    if len(ours) < 3:
        assert found.interval is None and str(found) == "-0.15"
        return
    expected = stats.ttest_1samp(ours, entry["error"]).confidence_interval(0.90)
    low, high = expected.low - entry["error"], expected.high - entry["error"]
    if depth == 110:
        theirs = (entry["mean"], entry["std"], entry["runs"])
        # Five numbers with exactly the paper's mean and deviation.
        five = stats.zscore(range(5), ddof=1) * theirs[1] + theirs[0]
        low, high = stats.ttest_ind(ours, five, equal_var=False).confidence_interval(0.90)
    assert found.interval == pytest.approx((low, high), abs=1e-9)
