"""`export`: a trained network for other programs, checked after it was written."""

import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jsonargparse
import torch
import torchvision
from safetensors.torch import load_file, save
from torch import Tensor

from resnet_lightning.errors import BadInput
from resnet_lightning.files import write_atomically
from resnet_lightning.networks import inspection
from resnet_lightning.runs.trained import Trained, kept_weights, load_run

ENDINGS = {"onnx": ".onnx", "torchscript": ".pt", "safetensors": ".safetensors", "torchvision": ".pth"}
TOLERANCE = 1e-4  # between scores, before the softmax
IMAGES = 4  # of a check


def main(arguments: Sequence[str]) -> None:
    """`resnet-lightning export`."""
    parser = jsonargparse.ArgumentParser(exit_on_error=False, allow_abbrev=False, prog="resnet-lightning export")
    parser.add_argument("run", help="folder of a run, or one of its checkpoints")
    parser.add_argument("--to", help=f"one of {', '.join(ENDINGS)}", required=True)
    parser.add_argument("--output", type=Path, help="the file; by default named after the network, here")
    parser.add_argument("--data", help="folder of the run's data, if its checkpoint lacks the mean image")
    parser.add_argument(
        "--normalized", action="store_true", help="take normalised images [B, 3, H, W] instead of pixels [B, H, W, 3]"
    )
    options = parser.parse_args(list(arguments))
    if options.to not in ENDINGS:
        raise BadInput(f"--to {options.to}: expected one of {', '.join(ENDINGS)}")
    trained = load_run(options.run, options.data)
    name = inspection.name(trained.network).replace(" ", "-")
    path = options.output or Path(name + ENDINGS[options.to])
    if not path.parent.is_dir():
        raise BadInput(f"--output {path}: the folder {path.parent} does not exist")
    print(f"{path}: {export(trained, options.to, path, options.normalized)}")


def export(trained: Trained, form: str, path: Path, normalized: bool = False) -> str:
    """Writes a network and compares what was written with it.

    Args:
        form: onnx, torchscript, safetensors or torchvision; the last two hold weights alone.
        normalized: the network without its preprocessing.

    Returns:
        what was written and how well it was checked, in words.

    Raises:
        BadInput: if a package is missing, or the network has no such form.
    """
    if form == "safetensors":
        return export_safetensors(trained, path)
    if form == "torchvision":
        return export_torchvision(trained, path)
    module = trained if trained.preprocessing and not normalized else trained.network
    images = example(trained, normalized)
    write: dict[str, Callable[[Any, Tensor, Path], Callable[[Tensor], Tensor]]]
    write = {"onnx": write_onnx, "torchscript": write_torchscript}
    again = write[form](module, images, path)
    difference = float((again(images) - module(images)).abs().max())
    if not difference <= TOLERANCE:
        path.unlink()
        raise BadInput(f"{form} gives scores that differ by {difference:.2g}: nothing was kept")
    taken = "pixels uint8" if images.dtype == torch.uint8 else "normalised images float32"
    return f"takes {taken} {['B', *images.shape[1:]]}; scores differ from PyTorch's by {difference:.1e} at most"


def example(trained: Trained, normalized: bool) -> Tensor:
    """Pixels [B, H, W, 3] as the exported network takes them, or normalised images [B, 3, H, W]."""
    if trained.preprocessing is None:
        raise BadInput("the size of this run's images is not known: name its data with --data")
    size = trained.preprocessing.size
    pixels = torch.randint(256, (IMAGES, size, size, 3), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    return trained.preprocessing.input(pixels) if normalized else pixels


def write_onnx(module: torch.nn.Module, images: Tensor, path: Path) -> Callable[[Tensor], Tensor]:
    try:
        import onnxruntime
        import onnxscript  # noqa: F401 - PyTorch's exporter needs it and says so in many lines
    except ImportError as error:
        raise BadInput(f"--to onnx needs another package ({error}): pip install -e '.[export]'") from error
    batch = {0: torch.export.Dim("batch", min=1)}
    program = torch.onnx.export(
        module,
        (images.contiguous(),),
        input_names=["images"],
        output_names=["scores"],
        dynamic_shapes=(batch,),
        dynamo=True,
        verbose=False,
    )
    assert program is not None
    program.save(str(path))
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return lambda given: torch.from_numpy(session.run(None, {"images": given.contiguous().numpy()})[0])


def write_torchscript(module: torch.nn.Module, images: Tensor, path: Path) -> Callable[[Tensor], Tensor]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecated, but what older programs read
        torch.jit.trace(module, images).save(str(path))
        again: Callable[[Tensor], Tensor] = torch.jit.load(str(path))
    return again


def export_safetensors(trained: Trained, path: Path) -> str:
    tensors, told = kept_weights(trained)
    write_atomically(path, lambda file: file.write(save(tensors, told)))
    again = load_file(str(path))
    assert all(torch.equal(again[name], value) for name, value in tensors.items())
    return f"{len(tensors)} tensors, equal to the run's"


def export_torchvision(trained: Trained, path: Path) -> str:
    """Weights that torchvision's network of the same depth loads strictly: those with shortcuts of option B."""
    depth, network = inspection.about(trained.network)["depth"], trained.network
    build = getattr(torchvision.models, f"resnet{depth}", None)
    state = network.state_dict()
    if build is not None:
        theirs = build(num_classes=len(state["fc.bias"])) if "fc.bias" in state else build()
        expected = {name: value.shape for name, value in theirs.state_dict().items()}
    if build is None or expected != {name: value.shape for name, value in state.items()}:
        raise BadInput(
            f"torchvision has no network with the weights of {inspection.name(network)}: "
            "expected an ImageNet network with shortcuts of option B"
        )
    write_atomically(path, lambda file: torch.save(state, file))
    theirs.load_state_dict(torch.load(path, weights_only=True), strict=True)
    return f"weights that torchvision.models.resnet{depth} loads strictly (input: what this run's preprocessing makes)"
