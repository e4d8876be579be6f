"""What a detector begins with: the weights of classification (section 4.3), or chance."""

from itertools import islice
from typing import Any

import torch

from resnet_lightning.data.colour import CHANNEL_MEAN, CHANNEL_STD
from resnet_lightning.errors import BadInput
from resnet_lightning.networks.detection import FasterRCNN
from resnet_lightning.networks.detection.fixed import measuring
from resnet_lightning.training.weights import PREPROCESSING, Pretrained, named_as, refuse_other_shapes

IMAGES = 8  # over which fixed statistics of a network that nobody has trained are measured


def take_over(network: FasterRCNN, found: Pretrained) -> None:
    """Gives a detector the weights, the fixed statistics and the normalisation of a classification network.

    Raises:
        BadInput: if they are those of another network, such as one of another depth.
    """
    state = network.state_dict()
    own = {name: state[ours] for name, ours in network.taken_over.items()}
    weights = named_as({name: v for name, v in found.weights.items() if not name.startswith(PREPROCESSING)}, own)
    counters = {name for name in weights if name.endswith("num_batches_tracked")}
    weights = {name: value for name, value in weights.items() if name not in network.left_out | counters}
    refuse_other_shapes(weights, own, network.backbone_name, found.network)
    if found.network not in ("", network.backbone_name):
        # A plain network has the weights of a residual one of option A, and v1.5 those of the paper's.
        raise BadInput(f"the checkpoint holds {found.network}, not the configured {network.backbone_name}")
    network.load_state_dict({network.taken_over[name]: value for name, value in weights.items()}, strict=False)
    if found.preprocessing is None:
        network.normalise_by(CHANNEL_MEAN, CHANNEL_STD)
        return
    mean = found.preprocessing.mean
    network.normalise_by(mean.mean((0, 1)) if mean.dim() == 3 else mean, found.preprocessing.std)


def calibrate(network: FasterRCNN, data: Any) -> None:
    """Measures the fixed statistics of a network that nobody has trained on some training images.

    Left as they are made, mean 0 and variance 1, nothing would be normalised, and activations would explode.

    Raises:
        BadInput: if stages that nobody has trained would stay fixed.
    """
    if not all(parameter.requires_grad for parameter in network.parameters()):
        raise BadInput("pretrained null: from scratch all has to be trained, --model.network.init_args.fixed_stages=0")
    batches = list(islice(data.train_dataloader(), -(-IMAGES // data.batch_size)))
    images, targets = ([part for batch in batches for part in batch[place]] for place in (0, 1))
    training = network.training
    with torch.random.fork_rng(devices=[]), torch.no_grad(), measuring(network):
        network.train()(images, targets)
    network.train(training)
