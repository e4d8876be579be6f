"""The way of a batch on a GPU, on fake CUDA tensors: they have a shape, a type and a device, and no values.

It needs no GPU, and goes through what every training step and every evaluated batch does: the data set, augmentation,
normalisation, views, the network, the loss and the metrics. It finds a tensor on the wrong device, shapes that do not
fit, and whatever makes the CPU wait for the GPU: reading a value, a size that depends on values, and copies between the
two that are not marked as non-blocking.

It cannot see the backward pass, the optimizer, autocast (so no bfloat16), memory formats of weights, streams, memory
that does not suffice, speed, or whether a kernel computes the right values.
"""

import pkgutil
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from conftest import REPOSITORY, write_class_folders
from lightning.pytorch.utilities import move_data_to_device
from PIL import Image
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from resnet_lightning.callbacks.responses import Moments
from resnet_lightning.data import CIFAR10, Digits, ImageNet
from resnet_lightning.data.batches import Normalization
from resnet_lightning.schedules import Steps
from resnet_lightning.training.classifier import Classifier

pytestmark = pytest.mark.skipif(not torch.backends.cuda.is_built(), reason="torch was built without CUDA")
GPU = torch.device("cuda", 0)


class NeverWaits(TorchDispatchMode):
    """Refuses copies between CPU and GPU that one of them would have to wait for."""

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        outcome = function(*args, **(kwargs or {}))
        if function in (torch.ops.aten._to_copy.default, torch.ops.aten.copy_.default):
            source, *non_blocking = args[function is torch.ops.aten.copy_.default :]
            blocking = not any(non_blocking) and not (kwargs or {}).get("non_blocking")
            if blocking and source.device.type != outcome.device.type:
                raise RuntimeError(f"a copy from {source.device} to {outcome.device} waits for the device")
        return outcome


@pytest.fixture
def fake() -> FakeTensorMode:
    """Within, tensors are fake, and so are the real ones that are used."""
    return FakeTensorMode(allow_non_fake_inputs=True)


# One of each kind; what is drawn on the CPU, for stochastic depth and drop-path, has no value in fake tensors.
FAMILY = ("preactivation110", "wrn16_4_dropout", "resnext29_8x64d", "densenet40", "highway19", "nin", "squeezenet")


def experiments() -> dict[str, tuple[str, dict[str, Any]]]:
    """Every different network of the experiments by the first that names it: function and arguments."""
    found: dict[str, tuple[str, dict[str, Any]]] = {}
    for base in sorted((REPOSITORY / "experiments").glob("*/base.yaml")):
        if base.parent.name == "detection":  # no classifier
            continue
        common = yaml.safe_load(base.read_text(encoding="utf-8"))["model"]["network"]
        for path in sorted(set(base.parent.rglob("*.yaml")) - {base}):
            own = yaml.safe_load(path.read_text(encoding="utf-8")).get("model", {}).get("network")
            if own is None:  # settings that are laid over an experiment
                continue
            if path.parent.name in ("family", "ideas", "preactivation") and path.stem not in FAMILY:
                continue
            function = own.get("class_path", common["class_path"])
            arguments = common["init_args"] if function == common["class_path"] else {}
            arguments = {"batch_norm": True} | arguments | own.get("init_args", {})
            if arguments["batch_norm"]:  # the default, where there is a choice
                del arguments["batch_norm"]
            network = function.removeprefix("resnet_lightning.networks."), arguments
            if network not in found.values() and arguments.get("depth") != 1202:  # ten times the shapes of 110
                found[str(path.relative_to(REPOSITORY / "experiments").with_suffix(""))] = network
    return found


EXPERIMENTS = experiments()


def classifier(fake: FakeTensorMode, function: str, arguments: dict[str, Any], **options: Any) -> Classifier:
    """On the GPU, as a Trainer leaves it."""
    with fake, GPU:
        network = pkgutil.resolve_name(f"resnet_lightning.networks.{function}")(**arguments)
    # Fake weights cannot be given another memory format, and metrics copy their states, which fake ones refuse.
    model = Classifier(network, torch.optim.SGD, lambda _: None, top5=True, channels_last=False, **options)
    model.rate = Steps(100)  # configure_optimizers sets it
    with fake:
        for metrics in (model.train_metrics, model.test_metrics, model.unmirrored_metrics):
            metrics.to(GPU)
    return model


def batch(side: int) -> tuple[Tensor, Tensor, Tensor]:
    """Five images, their labels and their numbers."""
    with GPU:
        return torch.empty(5, 3, side, side), torch.zeros(5, dtype=torch.int64), torch.arange(5)


def on_gpu(data: Any) -> Any:
    """The data module as a Trainer with one GPU leaves it."""
    data.trainer = SimpleNamespace(strategy=SimpleNamespace(root_device=GPU), global_rank=0, world_size=1)
    return data


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """CIFAR-10's class folders, and four images of ImageNet's kind."""
    place = write_class_folders(tmp_path_factory.mktemp("cifar"), "png", train=2, test=1)
    random = np.random.default_rng(0)
    for part in ("train", "val"):
        for name in ("cat", "dog"):
            folder = place / "imagenet" / part / name
            folder.mkdir(parents=True)
            for number in range(2):
                Image.fromarray(random.integers(0, 256, (80, 70, 3), dtype=np.uint8)).save(folder / f"{number}.jpeg")
    return place


def large_images(data: ImageNet, batches: list[Any]) -> Iterator[Any]:
    """Batches of image files on the GPU, as Lightning brings them there."""
    for batch in batches:
        yield data.on_after_batch_transfer(move_data_to_device(batch, GPU), 0)


def check_step(model: Classifier, train: Any, *evaluated: Any) -> None:
    """A training step and evaluations, none of which may wait."""
    with NeverWaits():
        loss = model.training_step(train)
        model.train_metrics.update(*model.window[-1])
        assert (loss.device, loss.shape, loss.requires_grad) == (GPU, (), True)
        with torch.no_grad():
            model.eval()
            for batch in evaluated:
                model.test_step(batch)
                scores, labels, numbers = model.predict_step(batch)
                Moments().add("layer", scores)
                assert scores.device == labels.device == numbers.device == GPU and len(scores) == len(labels)


# Networks -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_every_network(fake: FakeTensorMode, experiment: str) -> None:
    function, arguments = EXPERIMENTS[experiment]
    model = classifier(fake, function, arguments)
    with fake:
        images, labels, numbers = batch(32 if experiment.startswith("cifar10") else 224)
        check_step(model, (images, labels), (images, labels, numbers))


def test_parts_of_a_batch_that_are_normalised_alone(fake: FakeTensorMode) -> None:
    model = classifier(fake, "cifar_resnet", {"depth": 8}, batch_norm_images=2)
    with fake:
        images, labels, _ = batch(32)
        check_step(model, (images, labels))


# Data ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("normalization", ["pixel_mean", "channel_mean_std"])
@pytest.mark.parametrize("pad", ["after_normalization", "before_normalization"])
@pytest.mark.parametrize("dataset", [CIFAR10, Digits])
def test_images_that_stay_on_the_device(
    fake: FakeTensorMode, images: Path, dataset: Any, pad: Any, normalization: Normalization
) -> None:
    where = {"root": str(images)} if dataset is CIFAR10 else {}
    data = on_gpu(dataset(**where, batch_size=6, validation_images=3, pad=pad, normalization=normalization))
    data.prepare_data()
    data.setup("fit")  # real images
    model = classifier(fake, "cifar_resnet", {"depth": 8})
    with fake:
        train, evaluated = iter(data.train_dataloader()), iter(data.test_dataloader())
        next(train)  # brings the images, and the order of the epoch, to the device
        with NeverWaits():
            batches = next(train), next(evaluated)
        check_step(model, *batches)


@pytest.mark.parametrize("normalization", ["pixel_mean", "channel_mean_std"])
def test_images_from_files(fake: FakeTensorMode, images: Path, normalization: Normalization) -> None:
    data = ImageNet(str(images / "imagenet"), 64, batch_size=2, normalization=normalization, workers=0)
    data.setup("fit")
    train = list(data.train_dataloader())  # real images
    views = []
    for evaluation in ("center", "ten_crop", "multi_scale"):
        data.evaluation = evaluation  # type: ignore[assignment]
        views += list(data.test_dataloader())
    data.on_after_batch_transfer(train[0], 0)  # measures the mean
    model = classifier(fake, "imagenet_resnet", {"depth": 18, "shortcut": "A"})
    with fake:
        next(large_images(data, train))  # brings the mean to the device
        with NeverWaits():
            batches = list(large_images(data, [train[1], *views]))
        check_step(model, *batches)


# What it would find -------------------------------------------------------------------------------------------------


BAD: dict[str, tuple[Callable[[Tensor], Any], str]] = {
    "item": (lambda scores: scores.sum().item(), "_local_scalar_dense"),
    "float": (lambda scores: float(scores.sum()), "_local_scalar_dense"),
    "condition": (lambda scores: 1 if scores.sum() > 0 else 2, "_local_scalar_dense"),
    "list": (lambda scores: scores.argmax(1).tolist(), "_local_scalar_dense"),
    "selection": (lambda scores: scores[scores > 0], "nonzero"),
    "to the CPU": (lambda scores: scores.detach().cpu(), "from cuda:0 to cpu waits"),
    "from the CPU": (lambda scores: scores * torch.tensor([2.0], device=scores.device), "from cpu to cuda:0 waits"),
    "another device": (lambda scores: scores + torch.zeros(10), "two devices, cuda:0 and cpu"),
    "another shape": (lambda scores: F.linear(scores, scores.new_zeros(3, 7)), "reduction dim|must match|shape"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_step_is_found(fake: FakeTensorMode, name: str) -> None:
    does, error = BAD[name]
    model = classifier(fake, "cifar_resnet", {"depth": 8})
    with fake:
        images, labels, _ = batch(32)
        check_step(model, (images, labels))

        def also(_: nn.Module, __: Any, scores: Tensor) -> None:
            does(scores)

        model.network.register_forward_hook(also)
        with pytest.raises(RuntimeError, match=error):
            check_step(model, (images, labels))
