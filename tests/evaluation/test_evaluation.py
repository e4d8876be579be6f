"""Ten crops, all positions of all scales, averaged statistics and predictions, against slow versions (section 3.4)."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.transforms import v2

from resnet_lightning.cli import main
from resnet_lightning.data.views import Crops, Scales
from resnet_lightning.errors import BadInput
from resnet_lightning.networks import ResNet, imagenet_resnet, vgg16
from resnet_lightning.training.batch_norm_statistics import average_statistics
from resnet_lightning.training.view_scores import view_scores


@pytest.fixture(scope="module")
def network() -> ResNet:
    """A small network with statistics of its own, as if it were trained."""
    torch.manual_seed(0)
    network = imagenet_resnet(18, "B", num_classes=7).eval()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.0)
            nn.init.uniform_(module.running_mean, -0.1, 0.1)  # type: ignore[arg-type]
    return network


@torch.no_grad()
def test_ten_crops_are_the_mean_of_ten_probabilities(network: ResNet) -> None:
    images = torch.randn(3, 3, 80, 100)
    five = torch.stack([torch.stack(v2.FiveCrop(64)(image)) for image in images])
    scores, without = view_scores(network, Crops(five))
    assert without is None
    for image, found in zip(images, scores, strict=True):
        crops = v2.TenCrop(64)(image)
        expected = sum(network(crop[None]).softmax(1)[0] for crop in crops) / 10
        torch.testing.assert_close(found.exp(), expected, atol=1e-5, rtol=0)


@torch.no_grad()
@pytest.mark.parametrize("shapes", [((64, 64), (96, 130)), ((64, 97), (181, 130))])
def test_scales_are_the_mean_over_windows_cropped_by_hand(network: ResNet, shapes: tuple[tuple[int, int], ...]) -> None:
    scales = [torch.randn(2, 3, *shape) for shape in shapes]
    both, upright = (scores.exp() for scores in view_scores(network, Scales(scales, window=2)))  # type: ignore[union-attr]
    for number in range(2):
        means: dict[bool, list[Tensor]] = {False: [], True: []}
        for scale in scales:
            for mirrored in means:
                image = scale[number].flip(-1) if mirrored else scale[number]
                [maps] = network.features(image[None])
                answers = [
                    network.fc(maps[:, row : row + 2, column : column + 2].mean((1, 2))).softmax(0)
                    for row in range(maps.shape[1] - 1)
                    for column in range(maps.shape[2] - 1)
                ]
                means[mirrored].append(torch.stack(answers).mean(0))
        expected = torch.stack(means[False]).mean(0)
        torch.testing.assert_close(upright[number], expected, atol=1e-5, rtol=0)
        expected = torch.stack(means[False] + means[True]).mean(0)
        torch.testing.assert_close(both[number], expected, atol=1e-5, rtol=0)


@torch.no_grad()
def test_one_window_is_the_network_itself(network: ResNet) -> None:
    images = torch.randn(2, 3, 64, 64)
    _, upright = view_scores(network, Scales([images], window=2))
    assert upright is not None
    torch.testing.assert_close(upright.exp(), network(images).softmax(1), atol=1e-6, rtol=0)


def test_a_network_without_global_pooling_has_no_scales() -> None:
    with torch.device("meta"):
        network = vgg16(10)
    with pytest.raises(BadInput, match="VGG-16"):
        view_scores(network, Scales([torch.empty(1, 3, 224, 224)], 7))


def test_scores_stay_finite_where_probabilities_do_not() -> None:
    class Certain(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            return torch.tensor([[1e4, 0.0]]).expand(len(images), 2)

    scores, _ = view_scores(Certain(), Crops(torch.zeros(1, 5, 3, 8, 8)))
    assert F.cross_entropy(scores, torch.tensor([1])).isfinite()


@torch.no_grad()
def test_statistics_are_plain_averages_over_batches(network: ResNet) -> None:
    network = imagenet_resnet(18, "B", num_classes=7).eval()
    batches = [torch.randn(4, 3, 64, 64) for _ in range(3)]
    before = {name: value.clone() for name, value in network.named_parameters()}
    average_statistics(network, batches)
    outputs = [network.conv1(batch) for batch in batches]
    torch.testing.assert_close(network.bn1.running_mean, torch.stack([o.mean((0, 2, 3)) for o in outputs]).mean(0))
    torch.testing.assert_close(network.bn1.running_var, torch.stack([o.var((0, 2, 3)) for o in outputs]).mean(0))
    assert not network.training and network.bn1.momentum == 0.1
    assert all(torch.equal(value, before[name]) for name, value in network.named_parameters())


def test_predict_goes_on_where_it_was_killed(finished: Path, workplace: Path) -> None:
    shutil.copytree(finished, "r")
    arguments = ["predict", "--config=r/config.yaml", "--ckpt_path=r/checkpoints/iteration=22.ckpt"]
    path, about_path = Path("r/predictions-center.npy"), Path("r/predictions-center.json")
    main(arguments)
    whole = np.load(path)
    assert json.loads(about_path.read_text())["complete"]
    # As a killed process leaves it: some rows still to do, and others that must not be touched again.
    rows = np.load(path, mmap_mode="r+")
    rows["label"][200:] = -1
    rows["probabilities"][200:] = 0
    rows.flush()
    about_path.write_text(about_path.read_text().replace('"complete": true', '"complete": false'))
    main(arguments)
    assert (np.load(path) == whole).all()
    assert json.loads(about_path.read_text())["complete"]
    # Killed when all rows were there, but before it could say so.
    about_path.write_text(about_path.read_text().replace('"complete": true', '"complete": false'))
    main(arguments)
    assert json.loads(about_path.read_text())["complete"]
    # Another checkpoint's are not continued.
    about_path.write_text(
        about_path.read_text().replace('"complete": true', '"complete": false').replace('sha256": "', 'sha256": "0')
    )
    rows["probabilities"][:] = 0.5
    rows.flush()
    main(arguments)
    assert (np.load(path) == whole).all()
