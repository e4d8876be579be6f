"""A finished run as a network for use, and the forms in which it is written for other programs."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from conftest import QUICK
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

import resnet_lightning as rl
from resnet_lightning.cli import main
from resnet_lightning.data import Digits
from resnet_lightning.networks import cifar_resnet, imagenet_resnet
from resnet_lightning.runs.trained import Trained


def digits() -> tuple[Tensor, Tensor]:
    """The test images of the finished run, uint8 [N, 8, 8, 3], and their labels."""
    data = Digits(image_size=8, padding=1)
    data.setup("fit")
    return data.sets["test"]


def test_three_lines_classify_a_digit(finished: Path, tmp_path: Path) -> None:
    images, labels = digits()
    trained = rl.load_run(finished)
    wrong = (trained(images).argmax(1) != labels).float().mean()
    assert 100 * float(wrong) == pytest.approx(trained.about["test_error"], abs=1e-4)
    Image.fromarray(images[0].numpy()).save(tmp_path / "digit.png")
    assert trained.classify(tmp_path / "digit.png") == str(int(trained(images[:1]).argmax()))
    probabilities = trained.probabilities(images[0])
    assert set(probabilities) == set("0123456789") and sum(probabilities.values()) == pytest.approx(1)
    large = Image.fromarray(images[0].numpy()).resize((80, 64))
    assert trained.classify(large) in probabilities


def test_a_run_is_found_by_any_of_its_parts(finished: Path) -> None:
    images = digits()[0][:10]
    scores = rl.load_run(finished)(images)
    for part in ("result.json", "checkpoints/iteration=22.ckpt"):
        assert torch.equal(rl.load_run(finished / part)(images), scores)


@pytest.mark.parametrize("form", ["onnx", "torchscript"])
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
def test_exported_networks_give_the_same_scores(
    form: str, finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images = digits()[0][:7]  # another number than it was exported with
    path = tmp_path / "exported"
    main(["export", str(finished), "--to", form, "--output", str(path)])
    assert "uint8" in capsys.readouterr().out
    if form == "onnx":
        session = pytest.importorskip("onnxruntime").InferenceSession(str(path))
        scores = torch.from_numpy(session.run(None, {"images": images.numpy()})[0])
    else:
        scores = torch.jit.load(str(path))(images)
    assert torch.allclose(scores, rl.load_run(finished)(images), atol=1e-4)


def test_exported_tensors_are_the_runs(finished: Path, tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    main(["export", str(finished), "--to", "safetensors", "--output", str(path)])
    trained = rl.load_run(finished)
    assert trained.preprocessing
    tensors = load_file(path)
    assert torch.equal(tensors.pop("preprocessing.mean"), trained.preprocessing.mean)
    tensors.pop("preprocessing.std")
    trained.network.load_state_dict(tensors)


def test_torchvision_loads_what_is_exported_for_it(tmp_path: Path) -> None:
    from resnet_lightning.evaluation.export import export

    network = imagenet_resnet(50, "B", num_classes=10, stride_in="3x3")
    export(Trained(network, None, {}), "torchvision", tmp_path / "resnet50.pth")
    with pytest.raises(ValueError, match="torchvision has no network"):
        export(Trained(cifar_resnet(8), None, {}), "torchvision", tmp_path / "none.pth")
    assert not (tmp_path / "none.pth").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere", "--to", "onnx"], "nowhere does not exist"),
        (["RUN", "--to", "keras"], "expected one of onnx"),
        (["RUN", "--to", "onnx", "--output", "nowhere/file.onnx"], "nowhere"),
        (["RUN", "--to", "torchvision"], "torchvision has no network"),
        (["RUN/checkpoints/iteration=1.ckpt", "--to", "onnx"], "does not exist"),
        (["."], "to"),
    ],
)
def test_export_refuses(arguments: list[str], said: str, finished: Path, refused: Callable[..., str]) -> None:
    assert said in refused("export", *(word.replace("RUN", str(finished)) for word in arguments))


# Weights from elsewhere -----------------------------------------------------------------------------------------------


def wrapped(state: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {f"{prefix}{name}": value for name, value in state.items()}


@pytest.mark.parametrize(
    "form",
    [
        "bare",
        "state_dict",
        "model_state_dict",
        "module.",
        "network.",
        "_orig_mod.",
        "network._orig_mod.",
        "safetensors",
    ],
)
def test_weights_of_any_usual_form_are_read(form: str, finished: Path, workplace: Path) -> None:
    state = rl.load_run(finished).network.state_dict()
    path = Path("weights.pt")
    if form == "kept":
        path = Path("weights.safetensors")
        main(["export", str(finished), "--to", "safetensors", "--output", str(path)])
    elif form == "safetensors":
        path = Path("weights.safetensors")
        save_file({name: value.contiguous() for name, value in state.items()}, path)
    elif form.endswith("."):
        torch.save({"state_dict": wrapped(state, form), "epoch": 3}, path)
    else:
        torch.save(state if form == "bare" else {form: state}, path)
    main(["test", *QUICK, f"--ckpt_path={path}"])
    [written] = Path("runs").glob("digits/*weights=weights*/seed0/test-center.json")
    expected = json.loads((finished / "result.json").read_text())["test_error"]
    assert json.loads(written.read_text())["error"] == pytest.approx(expected, abs=1e-4)


def test_what_is_missing_is_named(workplace: Path, refused: Callable[..., str]) -> None:
    state = cifar_resnet(8).state_dict()
    del state["layer2.0.bn1.weight"]
    torch.save({"state_dict": wrapped(state, "module.")}, "lacking.pt")
    assert "lacks layer2.0.bn1.weight" in refused("test", *QUICK, "--ckpt_path=lacking.pt")
    torch.save({"epoch": 3}, "none.pt")
    assert "holds no weights" in refused("test", *QUICK, "--ckpt_path=none.pt")
    torch.save(nn.Linear(3, 4).state_dict(), "other.pt")
    assert "ResNet-8" in refused("test", *QUICK, "--ckpt_path=other.pt")
    Path("text.safetensors").write_text("no weights")
    said = refused("test", *QUICK, "--ckpt_path=text.safetensors")
    assert "text.safetensors" in said and "delete" not in said
