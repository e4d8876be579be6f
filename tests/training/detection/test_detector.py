"""Detectors through the command line: trained, killed, shared out, begun with what classification has learned."""

import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import REPOSITORY, lasting_workplace, result, rows, same, weights
from detection_trees import write_coco, write_year
from processes import Forked, run, wait_for
from small_networks import CLASSIFICATION, DETECTION, SOURCE

from resnet_lightning.cli import main
from resnet_lightning.networks.detection import FasterRCNN, pyramid, regions
from resnet_lightning.networks.detection.pyramid import level
from resnet_lightning.networks.detection.refinement import refined

LOSSES = ("loss_classifier", "loss_box_reg", "loss_objectness", "loss_rpn_box_reg")
SCRATCH = ("--model.pretrained=null", "--model.network.fixed_stages=0")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The workplace of a finished classification run and of a finished detector that began with it; read only."""
    with lasting_workplace(tmp_path_factory, "detection") as place:
        (place / "small.py").write_text(SOURCE)
        write_year(place / "VOC2007", {"trainval": 20, "test": 7})
        main(["fit", *CLASSIFICATION])
        main(["fit", *DETECTION, "--run=detector"])
    return place


@pytest.fixture
def place(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workplace with the same data and classification run."""
    for name in ("small.py", "VOC2007", "classification"):
        (tmp_path / name).symlink_to(finished / name)
    (tmp_path / "experiments").symlink_to(REPOSITORY / "experiments")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_finished_run(finished: Path) -> None:
    found, metrics = result(finished / "detector"), rows(finished / "detector")
    assert (found["state"], found["network"]) == ("finished", "small-64 Faster R-CNN")
    assert (found["train_images"], found["test_images"]) == (
        11,
        7,
    )  # 20 less those without objects, or with difficult ones alone
    assert "test_mAP" in found and "best_test_mAP" in found and "test_error" not in found
    for row in metrics.values():
        if "train/loss" in row:
            each = [float(row[f"train/{name}"]) for name in LOSSES]
            assert math.isclose(sum(each), float(row["train/loss"]), rel_tol=1e-4)
    classes = json.loads((finished / "detector" / "detections.json").read_text())["classes"]
    assert len(classes) == 20 and classes["cat"]["ap"] is None and classes["dog"]["ap"] is not None
    assert len(json.loads((finished / "detector" / "pictures.json").read_text())["pictures"]) == 7


def test_it_begins_with_the_weights_and_the_normalisation_of_classification(finished: Path) -> None:
    theirs = torch.load(finished / "classification" / "checkpoints" / "iteration=4.ckpt", weights_only=True)
    ours = weights(finished / "detector", 12)
    fixed = {
        name: value for name, value in theirs["state_dict"].items() if name.startswith(("network.bn1", "network.conv1"))
    }
    for name, value in fixed.items():
        if "num_batches" not in name:
            assert torch.equal(ours[name.replace("network.", "network.backbone.conv1.")], value)
    trained = "network.layer3.0.conv1.weight", "network.backbone.layer3.0.conv1.weight"
    assert not torch.equal(theirs["state_dict"][trained[0]], ours[trained[1]])


def test_a_killed_run_ends_as_if_nothing_had_happened(place: Path, finished: Path) -> None:
    arguments = [*DETECTION, "--run=detector", "--checkpoint_every=3"]
    process = Forked("fit", *arguments)
    wait_for(Path("detector", "checkpoints", "iteration=6.ckpt"), process)
    process.kill()
    assert not Path("detector", "result.json").exists()
    (place / "classification").unlink()  # is not needed any more
    main(["fit", *arguments])
    assert rows("detector") == rows(finished / "detector")
    assert same(weights("detector", 12), weights(finished / "detector", 12))


def test_two_processes_count_every_image_once(place: Path) -> None:
    run("fit", *DETECTION, "--trainer.strategy=ddp", "--trainer.devices=2", "--run=two", "--trainer.max_steps=4")
    assert result("two")["state"] == "finished" and result("two")["devices"] == 2
    alone = ["--config=two/config.yaml", "--ckpt_path=two/checkpoints/iteration=4.ckpt"]
    main(["test", *alone, "--trainer.devices=1", "--trainer.strategy=auto"])
    measured = json.loads(Path("two", "test-boxes.json").read_text())
    assert measured["images"] == 7 and measured["mAP"] == pytest.approx(result("two")["test_mAP"], abs=1e-3)


def test_boxes_are_refined_by_test_alone(
    place: Path, finished: Path, refused: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    images: list[int] = []

    def counted(heads: Any, features: Any, proposals: list[torch.Tensor], *rest: Any) -> Any:
        images.append(len(proposals))
        return refined(heads, features, proposals, *rest)

    monkeypatch.setattr(regions, "refined", counted)
    run = Path("runs/detection/coco/resnet18_coco@small/seed0")
    shutil.copytree(finished / "detector", run)
    before = (run / "detections.json").read_bytes()
    checkpoint = f"--ckpt_path={run / 'checkpoints' / 'iteration=12.ckpt'}"
    main(["test", f"--config={run / 'config.yaml'}", checkpoint, "--data.evaluation=refined"])
    measured = json.loads((run / "test-refined.json").read_text())
    assert measured["images"] == sum(images) == 7
    levels: list[float] = []
    monkeypatch.setattr(pyramid, "level", lambda *given: (levels.append(given[2]), level(*given))[1])
    main(["test", f"--config={run / 'config.yaml'}", checkpoint, "--data.evaluation=multi_scale"])
    assert json.loads((run / "test-multi_scale.json").read_text())["images"] == 7
    assert sum(images) == 14 and levels == [share for share in pyramid.SHARES if share != 1] * 7
    assert (run / "detections.json").read_bytes() == before
    for how in ("refined", "multi_scale"):
        line = refused("fit", *DETECTION, f"--data.evaluation={how}", "--run=r")
        assert f"data.evaluation {how}: leave it out here" in line


def test_table_9_has_a_row_for_each_improvement(place: Path) -> None:
    main(["report", "table9"])
    text = Path("reports/table9.md").read_text()
    assert "| ResNet-101 Faster R-CNN | – | – | 48.4 | – | 27.2 |" in text
    assert "| ResNet-101 Faster R-CNN | box refinement | – | 49.9 | – | 29.9 |" in text
    context = "| ResNet-101 Faster R-CNN with context | box refinement"
    assert f"{context} | – | 51.1 | – | 30.0 |" in text
    assert f"{context}, multi-scale testing | – | 53.8 | – | 32.5 |" in text


def test_each_row_of_table_9_is_of_its_own_test(place: Path, finished: Path) -> None:
    folder = Path("runs/detection/coco/resnet101@small/seed0")
    shutil.copytree(finished / "detector", folder)
    for how, value in (("refined", 11.0), ("multi_scale", 22.0)):
        contents = {"iteration": 12, "images": 7, "mAP": value, "mAP50": value + 1}
        (folder / f"test-{how}.json").write_text(json.dumps(contents), encoding="utf-8")
    main(["report", "table9"])
    rows = [line for line in Path("reports/table9.md").read_text().splitlines() if line.startswith("| small-64")]
    assert len(rows) == 3 and f"| {result(folder)['test_mAP']:.2f} |" in rows[0]
    assert "| box refinement | 12.00 | – | 11.00 | – |" in rows[1]
    assert "| box refinement, multi-scale testing | 23.00 | – | 22.00 | – |" in rows[2]


def test_from_scratch_it_is_said_and_statistics_are_measured(place: Path) -> None:
    main(["fit", *DETECTION, *SCRATCH, "--model.network.context=true", "--trainer.max_steps=2", "--run=scratch"])
    assert result("scratch")["network"] == "small-64 Faster R-CNN with context from scratch"
    assert weights("scratch", 2)["network.backbone.conv1.bn1.running_mean"].abs().max() > 0


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            ["--model.network.backbone.last=32"],
            "pretrained classification: the checkpoint holds small-64, not the",
        ),
        (["--model.pretrained=nowhere"], "model.pretrained nowhere: nowhere does not exist"),
        (["--model.pretrained=null"], "pretrained null: from scratch all has to be trained"),
        (["--model.network.num_classes=7"], "num_classes 7: the data has 20 classes"),
        (["--model.schedule=resnet_lightning.schedules.Plateau"], "Plateau looks at"),
    ],
)
def test_bad_input(place: Path, refused: Callable[..., str], options: list[str], said: str) -> None:
    line = refused("fit", *DETECTION, *options, "--run=bad")
    assert said in line, line
    assert not Path("bad", "config.yaml").exists()


def test_torchvisions_weights_fit(finished: Path) -> None:
    """Their names are those of our networks, whose strides a file does not tell."""
    from torchvision.models import resnet50

    from resnet_lightning.networks import imagenet_resnet
    from resnet_lightning.training.detection.initialisation import take_over
    from resnet_lightning.training.weights import Pretrained

    theirs = resnet50().state_dict()
    network = FasterRCNN(imagenet_resnet(50, "B", stride_in="3x3"))
    take_over(network, Pretrained(theirs, "", None))
    assert torch.equal(network.roi_heads.box_head.layer4[2].bn3.running_var, theirs["layer4.2.bn3.running_var"])
    assert torch.allclose(network.transform.image_mean, torch.tensor([0.485, 0.456, 0.406]))


def test_coco_is_measured_by_its_own_rules(place: Path) -> None:
    pytest.importorskip("faster_coco_eval")
    write_coco(place / "images", {"train2017": 10, "val2017": 5})
    coco = ("--config=experiments/detection/coco/resnet18_coco.yaml", *DETECTION[2:])
    data = ("--data.root=images", "--data.train_split=train2017", "--data.test_split=val2017", "--data.batch_size=2")
    main(["fit", DETECTION[0], *coco, *data, "--model.network.num_classes=4", "--trainer.max_steps=2", "--run=coco"])
    found = result("coco")
    assert found["state"] == "finished" and {"test_mAP", "test_mAP50"} <= found.keys()
    classes = json.loads(Path("coco", "detections.json").read_text())["classes"]
    assert set(classes) == {"dog", "person", "cat"}


def test_a_report_has_tables_of_detectors_and_classes_and_pictures(place: Path, finished: Path) -> None:
    shutil.copytree(finished / "detector", "runs/detection/voc07/resnet18@small/seed0")
    main(["report", "detection"])
    text = Path("reports/detection.md").read_text()
    assert "**Shortened runs on VOC 2007 test (07: 11 + 7 images): 12 iterations instead of 70,000" in text
    assert "small-64 Faster R-CNN" in text and "| dog |" in text
    assert len(list(Path("reports").glob("detection*.svg"))) == 3  # curves, precision by recall, pictures
    main(["report", "table7"])
    text = Path("reports/table7.md").read_text()
    assert "| VGG-16 Faster R-CNN | – | 73.2 |" in text and "| ResNet-101 Faster R-CNN | – | 76.4 |" in text


def test_a_study_begins_with_torchvisions_weights(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("resnet101-abc.pth", "vgg16-abc.pth"):
        Path(name).touch()
    main(["study", "table8", "--weights=.", "--print"])
    residual, vgg = capsys.readouterr().out.splitlines()
    assert "--model.pretrained=vgg16-abc.pth" in vgg and "stride_in" not in vgg
    assert "--model.pretrained=resnet101-abc.pth" in residual and residual.count("stride_in=3x3") == 1
    main(["study", "table9", "--weights=.", "--print"])
    both = capsys.readouterr().out.splitlines()
    assert ["resnet101_context" in line for line in both] == [False, True]
    assert all("--model.pretrained=resnet101-abc.pth" in line for line in both)


def test_what_only_classification_has_is_refused(place: Path, finished: Path, refused: Callable[..., str]) -> None:
    run = [f"--config={finished / 'detector' / 'config.yaml'}"]
    run += [f"--ckpt_path={finished / 'detector' / 'checkpoints' / 'iteration=12.ckpt'}"]
    assert "predict writes class probabilities" in refused("predict", *run)
    assert "lesions measure errors in percent" in refused("lesions", *run)
    assert "holds a detector" in refused("export", str(finished / "detector"), "--to=onnx")


def test_summary_counts_the_parts_of_a_detector(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["summary", *DETECTION[:-3]])
    rows = {line.split("  ")[0].strip(): line.split() for line in capsys.readouterr().out.splitlines() if "," in line}
    assert {"shared body", "proposals", "head of the regions", "sibling layers", "total"} <= rows.keys()
    assert rows["sibling layers"][2] == f"{21 * 5 * 65:,}"  # of 64 numbers and a bias
    main(["summary", *DETECTION[:-3], "--model.network.context=true"])
    assert f"{21 * 5 * 129:,}" in capsys.readouterr().out
