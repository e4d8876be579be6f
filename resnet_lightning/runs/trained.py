"""A finished run as a network for use: in evaluation mode, with what it expects of a picture."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import safe_open
from torch import Tensor, nn

from resnet_lightning.data.preprocessing import Picture, Preprocessing
from resnet_lightning.errors import BadInput
from resnet_lightning.runs.checkpoint_io import AtomicCheckpointIO
from resnet_lightning.runs.checkpoints import newest_whole_checkpoint
from resnet_lightning.runs.command_line import prepare
from resnet_lightning.runs.folder import read_json
from resnet_lightning.training.classifier import Classifier
from resnet_lightning.training.weights import PREPROCESSING, Pretrained, take_weights

WEIGHTS = "weights.safetensors"  # beside a result: the network's tensors, and the mean image
MEAN, STD = f"{PREPROCESSING}mean", f"{PREPROCESSING}std"


class Trained(nn.Module):
    """Pictures to class scores; for use, not for training.

    Attributes:
        network: turns normalised images into scores.
        preprocessing: what it expects of a picture; None where the run's data module does not say.
        about: what result.json says, or run.json of an unfinished run: errors in percent, data, seed and the rest.
    """

    def __init__(self, network: nn.Module, preprocessing: Preprocessing | None, about: Mapping[str, Any]) -> None:
        super().__init__()
        self.network = network
        self.preprocessing = preprocessing
        self.about = dict(about)
        self.eval().requires_grad_(False)

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes, in the order of the scores."""
        return self._expected().classes

    def forward(self, pixels: Tensor) -> Tensor:
        """Class scores [B, classes] of pixels uint8 [B, size, size, 3]; of normalised images where no mean is known."""
        return self.network(self.preprocessing.input(pixels) if self.preprocessing else pixels)  # type: ignore[no-any-return]

    def probabilities(self, picture: Picture) -> dict[str, float]:
        """The probability of each class, the most probable first.

        Args:
            picture: a file, a Pillow image, or pixels uint8 [H, W, 3]; its centre is taken in the network's size.

        Raises:
            BadInput: for what is no picture.
        """
        device = next(self.network.parameters()).device
        scores = self(self._expected().pixels(picture)[None].to(device))[0].float()
        best = scores.softmax(0).sort(descending=True)
        return {self.classes[i]: float(p) for p, i in zip(best.values, best.indices.tolist(), strict=True)}

    def classify(self, picture: Picture) -> str:
        """The most probable class of a picture, as probabilities() takes it."""
        return next(iter(self.probabilities(picture)))

    def _expected(self) -> Preprocessing:
        if self.preprocessing is None:
            raise BadInput("this run does not say what its network expects of a picture: call .network with a batch")
        return self.preprocessing


def load_run(path: str | Path, data: str | Path | None = None) -> Trained:
    """The network of a run, as it was when it ended, or at its last checkpoint.

    Args:
        path: a run's folder (of runs/ or results/), its result.json, or one of its checkpoints.
        data: the folder of its data; only checkpoints made by versions before 0.2, which lack the mean image, need it.

    Raises:
        BadInput: if there is no such run, or its weights are missing, damaged, or of another network.
    """
    path = Path(path)
    folder, checkpoint = find_weights(path)
    if not (folder / "config.yaml").is_file():
        raise BadInput(f"{folder} has no config.yaml: name the folder of a run, or a checkpoint inside of one")
    place = [f"--data.root={data}"] if data else []
    run = prepare([f"--config={folder / 'config.yaml'}", *place, "--trainer.accelerator=cpu"], watched=False)
    if not isinstance(run.model, Classifier):
        raise BadInput(f"{folder} holds a detector: Detector.load_from_checkpoint makes it of a checkpoint")
    contents = AtomicCheckpointIO().load_checkpoint(checkpoint)
    preprocessing = preprocessing_of(contents, checkpoint)
    take_weights(contents, run.model.network)
    run.model.load_state_dict(contents["state_dict"])
    if preprocessing is None and data:
        run.data.prepare_data()
        run.data.setup("fit")
        preprocessing = run.data.preprocessing()
    about = read_json(folder / "result.json") or read_json(folder / "run.json") or {}
    return Trained(run.model.network, preprocessing, about)


def find_weights(path: Path) -> tuple[Path, Path]:
    """The folder of a run, and the file of its weights: the last checkpoint that is whole, or those that were kept."""
    if path.suffix in (".ckpt", ".safetensors"):
        return path.parent.parent if path.parent.name == "checkpoints" else path.parent, path
    folder = path.parent if path.name == "result.json" else path
    if not folder.is_dir():
        raise BadInput(f"{folder} does not exist: expected the folder of a trained run, or a file of weights")
    checkpoint = newest_whole_checkpoint(folder / "checkpoints", first=False)
    kept = folder / WEIGHTS
    if checkpoint is None and not kept.is_file():
        raise BadInput(f"{folder} has neither checkpoints nor {WEIGHTS}")
    return folder, checkpoint or kept


def read_weights(path: str) -> Pretrained:
    """The weights of a run, its name and what it expects of a picture.

    Args:
        path: a run's folder, or a file of weights: one of its checkpoints, torchvision's, or a .safetensors.

    Raises:
        BadInput: if there are none.
    """
    file = Path(path)
    if not file.is_file():
        file = find_weights(file)[1]
    contents = AtomicCheckpointIO().load_checkpoint(file)
    return Pretrained(contents["state_dict"], str(contents.get("network", "")), preprocessing_of(contents, file))


def preprocessing_of(contents: Mapping[str, Any], path: Path) -> Preprocessing | None:
    """What a checkpoint, or a file of kept weights, says of pictures; None if it says nothing."""
    if path.suffix == ".safetensors":
        with safe_open(str(path), "pt") as file:
            told = file.metadata() or {}
        if MEAN not in contents["state_dict"]:
            return None
        state = contents["state_dict"]
        classes = tuple(told["classes"].split("\n"))
        return Preprocessing(state[MEAN], state[STD], int(told["size"]), int(told["side"]), classes)
    for state in contents.values():
        if isinstance(state, dict) and "preprocessing" in state:
            return Preprocessing.of_state(state["preprocessing"])
    return None


def kept_weights(trained: Trained) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors and words of a weights.safetensors."""
    tensors = {name: value.contiguous() for name, value in trained.network.state_dict().items()}
    if (expected := trained.preprocessing) is None:
        return tensors, {}
    told = {"classes": "\n".join(expected.classes), "size": str(expected.size), "side": str(expected.side)}
    return tensors | {MEAN: expected.mean.contiguous(), STD: expected.std.contiguous()}, told
