"""The detectors against their counts, torchvision's losses, and what the paper says of their halves (appendix A)."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torchvision.models.detection.roi_heads import fastrcnn_loss
from torchvision.ops import box_iou

from resnet_lightning.errors import BadInput
from resnet_lightning.networks import cifar_resnet, imagenet_resnet, vgg16
from resnet_lightning.networks.detection import FasterRCNN, refinement
from resnet_lightning.networks.detection.fixed import is_untouched, measuring
from resnet_lightning.networks.detection.refinement import voted
from resnet_lightning.networks.detection.regions import region_losses
from resnet_lightning.networks.detection.split import split


def parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


# Measured on torchvision's parts put together by hand; a class more has a score and four numbers of a box.
@pytest.mark.parametrize("classes", [21, 81])
@pytest.mark.parametrize(
    ("name", "parts", "width", "trained"),
    [
        ("ResNet-101", (27_452_608, 9_484_333, 14_942_208, 215_145), 2048, 51_871_894),
        ("VGG-16", (14_714_688, 2_382_893, 119_545_856, 430_185), 4096, 136_813_462),
    ],
)
def test_counts(name: str, parts: tuple[int, int, int, int], width: int, trained: int, classes: int) -> None:
    with torch.device("meta"):
        network = FasterRCNN(imagenet_resnet(101, "B") if name == "ResNet-101" else vgg16(), classes)
    more = (classes - 21) * 5 * (width + 1)
    body, rpn, head, last = parts
    heads = network.roi_heads
    found = [parameters(part) for part in (network.backbone, network.rpn, heads.box_head, heads.box_predictor)]
    assert found == [body, rpn, head, last + more]
    assert parameters(network) == sum(parts) + more
    assert sum(p.numel() for p in network.parameters() if p.requires_grad) == trained + more
    assert network.name == f"{name} Faster R-CNN"


def test_the_shared_body_has_the_papers_91_convolutions() -> None:
    with torch.device("meta"):
        body = split(imagenet_resnet(101, "B")).body
    shortcuts = {key for key, _ in body.named_modules() if "downsample" in key}
    assert sum(isinstance(m, nn.Conv2d) and key not in shortcuts for key, m in body.named_modules()) == 91


@pytest.mark.parametrize("pooling", ["pool", "align"])
def test_features_have_a_sixteenth_of_the_size_and_regions_one_vector_each(pooling: str) -> None:
    network = FasterRCNN(imagenet_resnet(18, "A"), 5, pooling=pooling)  # type: ignore[arg-type]
    features = network.backbone(torch.zeros(1, 3, 64, 96))
    assert features.shape == (1, 256, 4, 6)
    pooled = network.roi_heads.box_roi_pool({"0": features}, [torch.tensor([[0.0, 0, 40, 60]])], [(64, 96)])
    assert pooled.shape == (1, 256, 14, 14)
    assert network.roi_heads.box_head(pooled).shape == (1, 512)


def test_losses_are_torchvisions_but_for_the_beta() -> None:
    scores, moved = torch.randn(50, 4), torch.randn(50, 16)
    labels, moves = torch.randint(0, 4, (50,)), torch.randn(50, 4)
    ours = region_losses(scores, moved, labels, moves)
    theirs, _ = fastrcnn_loss(scores, moved, [labels], [moves])
    assert torch.equal(ours["loss_classifier"], theirs)
    own = [moved[i, 4 * int(label) : 4 * int(label) + 4] - moves[i] for i, label in enumerate(labels) if label > 0]
    expected = sum(float(F.smooth_l1_loss(each, torch.zeros(4), reduction="sum")) for each in own) / 50
    assert ours["loss_box_reg"].item() == pytest.approx(expected)


def test_measured_statistics_normalise() -> None:
    """Those that are made do not; nothing of it is trained."""
    network = FasterRCNN(imagenet_resnet(18, "A"), 3, min_size=48, max_size=64, regions=4)
    images = [torch.rand(3, 48, 60), torch.rand(3, 60, 48)]
    targets = [{"boxes": torch.tensor([[5.0, 5, 40, 40]]), "labels": torch.tensor([1])}] * 2
    assert is_untouched(network)
    with measuring(network), torch.no_grad():
        network(images, targets)
    assert not is_untouched(network)
    layer = network.backbone.layer3[-1]
    found: list[torch.Tensor] = []
    layer.bn2.register_forward_hook(lambda *call: found.append(call[2].clone()))  # before it is added to
    with torch.no_grad():
        network(images, targets)
    variance, mean = torch.var_mean(found[0], (0, 2, 3))
    assert mean.abs().max() < 1e-4 and (variance - 1).abs().max() < 1e-2
    assert not any("bn" in key for key, _ in network.named_parameters())


def test_voting_is_a_weighted_mean_of_near_boxes_of_the_class() -> None:
    corners = torch.rand(40, 2) * 20
    boxes = torch.cat([corners, corners + 20 + torch.rand(40, 2) * 10], 1)
    scores, labels = torch.rand(40) + 0.1, torch.randint(1, 3, (40,))
    kept = torch.tensor([3, 17, 30])
    for place, box in zip(kept.tolist(), voted(kept, boxes, scores, labels), strict=True):
        total, weight = torch.zeros(4), 0.0
        for other in range(40):
            overlap = box_iou(boxes[place, None], boxes[other, None]).item()
            if labels[other] == labels[place] and overlap >= 0.5:
                total, weight = total + scores[other] * boxes[other], weight + float(scores[other])
        assert torch.allclose(box, total / weight)


def test_one_round_of_refinement_has_torchvisions_scores_and_two_have_others() -> None:
    network = FasterRCNN(imagenet_resnet(18, "A"), 4, min_size=64, max_size=96, proposals=30, score_threshold=0.2)
    heads, images = network.roi_heads, torch.rand(2, 3, 64, 80)
    with measuring(network), torch.no_grad():
        network([*images], [{"boxes": torch.tensor([[5.0, 5, 40, 40]]), "labels": torch.tensor([1])}] * 2)
        network.eval()
        given = (
            {"0": network.backbone(images)},
            [torch.tensor([[0.0, 0, 60, 40], [10, 10, 50, 60]])] * 2,
            [(64, 80)] * 2,
        )
        expected, _ = heads(*given)
        once = [refinement._detections(heads, *own) for own in refinement._answers(heads, *given)]
        heads.refines = True
        twice, _ = heads(*given)
    for ours, theirs, both in zip(once, expected, twice, strict=True):
        assert torch.equal(ours["scores"], theirs["scores"]) and torch.equal(ours["labels"], theirs["labels"])
        assert not torch.equal(both["scores"], theirs["scores"])


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: FasterRCNN(cifar_resnet(20)), "backbone ResNet-20: expected one of"),
        (lambda: FasterRCNN(imagenet_resnet(18, "A"), 1), "num_classes 1"),
        (lambda: FasterRCNN(imagenet_resnet(18, "A"), fixed_stages=5), "fixed_stages 5: expected 0 to 4"),
        (lambda: FasterRCNN(imagenet_resnet(18, "A"), min_size=700, max_size=600), "min_size 700, max_size 600"),
        (lambda: FasterRCNN(imagenet_resnet(18, "A"), anchor_sizes=(0, 32)), r"anchor_sizes \[0, 32\]: expected sides"),
        (lambda: FasterRCNN(imagenet_resnet(18, "A"), regions=0), "regions 0: expected a number of boxes"),
    ],
)
def test_bad_input(make: object, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        make()  # type: ignore[operator]
