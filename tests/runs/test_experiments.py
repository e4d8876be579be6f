"""The shipped experiments: every file is what its name, its header and the paper say."""

import re
from pathlib import Path

import pytest
from conftest import PAPER, REPOSITORY

from resnet_lightning.runs.command_line import prepare
from resnet_lightning.runs.experiments import shipped_settings

EXPERIMENTS = REPOSITORY / "experiments"

ALL = sorted(
    path.relative_to(REPOSITORY)
    for path in EXPERIMENTS.rglob("*.yaml")
    # Those of other papers: tests/studies/test_family_study.py; of other protocols: tests/studies/test_protocols.py.
    if path.stem != "base" and path.parent.name not in ("clusters", "family", "ideas", "preactivation", "protocols")
    if "detection" not in path.parts and path.name != "vgg11.yaml"
)
DETECTION = [path.relative_to(REPOSITORY) for path in sorted((EXPERIMENTS / "detection").rglob("*/*.yaml"))]


@pytest.mark.filterwarnings("ignore::DeprecationWarning:lightning")  # main() does the same
@pytest.mark.parametrize("path", ALL, ids=str)
def test_every_experiment_is_what_its_name_says(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(REPOSITORY)
    header = "".join(line for line in path.read_text().splitlines(keepends=True) if line.startswith("#"))
    assert str(path) in header
    base = EXPERIMENTS.name / Path(path.parts[1]) / "base.yaml"
    match = re.fullmatch(r"(plain|resnet|vgg)(\d+)([bc]?)(_without_bn)?", path.stem)
    leaf = {"imagenet": "table2/resnet18.yaml", "cifar10": "table6/resnet20.yaml"}.get(path.parts[1])
    # An overlay may be for more GPUs than there are.
    overlay = [f"--config={base.parent}/{leaf}", "--trainer.accelerator=cpu"]
    built = prepare([f"--config={base}", *overlay * (not match), f"--config={path}"])
    if not match:
        return
    family, depth, option = match[1], int(match[2]), match[3].upper()
    assert f"--config {base} --config {path}" in header
    assert built.model.network.depth == depth
    assert built.model.network.name.endswith(" without BN") == bool(match[4])
    if path.parts[1] == "imagenet":
        name = f"{ {'plain': 'plain', 'resnet': 'ResNet', 'vgg': 'VGG'}[family] }-{depth}" + f" {option}" * bool(option)
        assert built.model.network.name == name
        assert built.config.trainer.max_steps == 600_000 and built.data.batch_size == 256
        rates = [built.model.schedule(600_000)(iteration) for iteration in (0, 149_999, 150_000, 299_999, 300_000)]
        assert rates == pytest.approx([1, 1, 0.1, 0.1, 0.01])
        published = PAPER["table3_10crop_val"]["rows"]
        numbers = published.get(f"{name} A" if name == "ResNet-34" else name, [])
        if "table2" in path.parts:
            numbers = [PAPER["table2_plain_vs_resnet"][family][depth]]
        assert numbers and all(f"{number:.2f} " in header for number in numbers)
        return
    assert built.model.network.shortcut == ("none" if family == "plain" else "A")
    if path.parts[1] == "cifar10":
        assert (built.data.batch_size, built.data.validation_images) == (128, 0)
        assert built.config.trainer.max_steps == 64_000
        schedule = built.model.schedule(64_000)
        warm = schedule(0) < 1
        assert warm == (depth >= 110)
        optimizer = built.model.optimizer([{"params": built.model.parameters()}]).defaults
        assert (optimizer["lr"], optimizer["momentum"], optimizer["weight_decay"]) == (0.1, 0.9, 1e-4)
        assert not optimizer["nesterov"]
    if "table6" in path.parts:
        published = PAPER["table6_cifar10"]["resnet"][depth]
        assert f"{published.get('mean', published['error'])} " in header
    elif "figure6" in path.parts and depth != 110:
        assert f"about {PAPER['figures']['fig6']['read_off']['end_test'][f'plain-{depth}']} %" in header


@pytest.mark.filterwarnings("ignore::DeprecationWarning:lightning")  # main() does the same
@pytest.mark.parametrize("path", DETECTION, ids=str)
def test_every_experiment_of_detection_is_what_its_name_says(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(REPOSITORY)
    header = "".join(line for line in path.read_text().splitlines(keepends=True) if line.startswith("#"))
    match = re.match(r"(resnet|vgg)(\d+)", path.stem)
    assert match and str(path) in header
    built = prepare([f"--config={path.parents[1]}/base.yaml", f"--config={path}"])
    name = f"{ {'resnet': 'ResNet', 'vgg': 'VGG'}[match[1]] }-{match[2]}"
    assert built.model.network.name.startswith(name) and built.model.network.depth == int(match[2])
    published = {
        "voc07": [PAPER["table7_voc_baseline"]["VOC07 test (07+12)"]],
        "coco": [PAPER["table8_coco_baseline"][measure] for measure in ("mAP@.5", "mAP@[.5,.95]")],
    }[path.parent.name]
    if built.model.network.name.endswith("with context"):
        improved = PAPER["table9_coco_improvements"]["rows"]["+context"]
        published = [{name: improved[0]}, {name: improved[1]}]
    assert all(f"{of[name]} % mAP" in header for of in published if name in of)
    whole, drop = {"voc07": (70_000, 50_000), "coco": (320_000, 240_000)}[path.parent.name]
    assert built.config.trainer.max_steps == whole
    schedule = built.model.schedule(whole)
    assert [schedule(drop - 1), schedule(drop)] == pytest.approx([1, 0.1])


@pytest.mark.filterwarnings("ignore::DeprecationWarning:lightning")
@pytest.mark.parametrize(
    ("experiment", "overlays"),
    [
        ("voc07/resnet18", ["modern"]),
        ("voc07/resnet18", ["small", "sixteen"]),
        ("coco/vgg11_coco", ["small_coco", "sixteen"]),
    ],
)
def test_overlays_of_detection_fit(experiment: str, overlays: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(REPOSITORY)
    files = ("base", experiment, *overlays)
    assert prepare([f"--config=experiments/detection/{name}.yaml" for name in files]).changes == overlays


def test_the_detector_with_context_differs_by_that_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(REPOSITORY)
    plain, context = (shipped_settings(f"detection/coco/{name}") for name in ("resnet101", "resnet101_context"))
    assert context == plain | {"model.network.init_args.context": True}
