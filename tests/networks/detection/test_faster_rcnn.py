"""The detectors against their counts, torchvision's losses, and what the paper says of their halves (appendix A)."""

from functools import partial
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torchvision.models.detection.roi_heads import fastrcnn_loss
from torchvision.ops import box_iou

from resnet_lightning.errors import BadInput
from resnet_lightning.networks import cifar_resnet, imagenet_resnet, vgg16
from resnet_lightning.networks.detection import FasterRCNN, pyramid, refinement
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


def tried(**settings: Any) -> tuple[FasterRCNN, torch.Tensor]:
    """A small detector with measured statistics, ready to test, and two images."""
    network = FasterRCNN(
        imagenet_resnet(18, "A"), 4, min_size=64, max_size=96, proposals=30, score_threshold=0.2, **settings
    )
    images = torch.rand(2, 3, 64, 80)
    with measuring(network), torch.no_grad():
        network([*images], [{"boxes": torch.tensor([[5.0, 5, 40, 40]]), "labels": torch.tensor([1])}] * 2)
    return network.eval(), images


REGIONS = [torch.tensor([[0.0, 0, 60, 40], [10, 10, 50, 60]]), torch.tensor([[30.0, 20, 36, 25]])]
SHAPES = [(64, 80)] * 2
UNEQUAL = [(64, 80), (80, 64)]  # heights and widths after resizing


def test_one_round_of_refinement_has_torchvisions_scores_and_two_have_others() -> None:
    network, images = tried()
    heads = network.roi_heads
    with torch.no_grad():
        given = ({"0": network.backbone(images)}, REGIONS, SHAPES)
        expected, _ = super(type(heads), heads).forward(*given)
        vectors = partial(heads.vectors, given[0], SHAPES)
        once = [refinement._detections(heads, *own) for own in refinement._answers(heads, vectors, *given[1:])]
        heads.refines = True
        twice, _ = heads(*given)
    for ours, theirs in zip(once, expected, strict=True):
        assert torch.equal(ours["scores"], theirs["scores"]) and torch.equal(ours["labels"], theirs["labels"])
    assert not torch.equal(twice[0]["scores"], expected[0]["scores"])


def test_context_is_the_vector_of_the_whole_image_beside_each_regions() -> None:
    network, images = tried(context=True)
    assert network.name == "ResNet-18 Faster R-CNN with context"
    heads = network.roi_heads
    with torch.no_grad():
        features = {"0": network.backbone(images)}
        found = heads.vectors(features, SHAPES, REGIONS)
        for place, (image, region) in enumerate([(0, 0), (0, 1), (1, 0)]):
            for half, box in zip(
                found[place].chunk(2), (REGIONS[image][region], torch.tensor([0.0, 0, 80, 64])), strict=True
            ):
                alone = {"0": features["0"][image, None]}
                pooled = heads.box_roi_pool(alone, [box[None]], SHAPES[:1])
                assert torch.allclose(half, heads.box_head(pooled)[0], atol=1e-5)
        assert heads.vectors(features, SHAPES, [torch.empty(0, 4)] * 2).shape == (0, 1024)
        assert len(network([*images])) == 2


@pytest.mark.parametrize("pooling", ["pool", "align"])
def test_a_region_is_seen_at_the_two_scales_around_its_best(pooling: str) -> None:
    """Of unequal images, which are resized and padded; best at 24 pixels."""
    network, _ = tried(pooling=pooling, context=True)
    heads, images = network.roi_heads, [torch.rand(3, 128, 160), torch.rand(3, 160, 128)]
    sides = [[100.0, 60, 30], [20, 15, 0]]  # the last region is empty
    regions = [torch.tensor([[1.0, 2, 1 + side, 2 + side] for side in own]) for own in sides]
    lower = [pyramid.lower_level(boxes, 24.0).tolist() for boxes in regions]
    assert lower == [[0, 0, 1], [2, 3, 3]]
    sizes = [round(64 * share) for share in (1 / 3, 2 / 3, 1, 4 / 3, 5 / 3)]
    with torch.no_grad():
        levels = [pyramid.level(network, images, share, UNEQUAL) for share in pyramid.SHARES]
        found = pyramid.vectors_at_two_scales(heads, levels, 24.0, regions).split([3, 3])
        for level, size in zip(levels, sizes, strict=True):
            assert level.shapes == [(size, size * 5 // 4), (size * 5 // 4, size)]
        for image, (own, places, (height, width)) in enumerate(zip(regions, lower, UNEQUAL, strict=True)):
            for number, place in enumerate(places):
                both = []
                for level in levels[place : place + 2]:
                    high, wide = level.shapes[image]
                    box = own[number] * torch.tensor([wide / width, high / height] * 2)
                    alone = {"0": level.features["0"][image, None]}
                    both.append(heads.vectors(alone, [(high, wide)], [box[None]])[0])
                assert torch.allclose(found[image][number], both[0].maximum(both[1]), atol=1e-4)


def test_scales_that_are_all_the_usual_one_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    network, images = tried()
    network.roi_heads.refines = True
    with torch.no_grad():
        expected = network([*images])
        network.several_scales = True
        other = network([*images])
        monkeypatch.setattr(pyramid, "SHARES", (1.0,) * 5)
        found = network([*images])
    for ours, theirs, several in zip(found, expected, other, strict=True):
        assert all(torch.allclose(ours[name], theirs[name], atol=1e-4) for name in ("boxes", "scores", "labels"))
        assert not torch.equal(several["scores"], theirs["scores"])


@pytest.mark.parametrize("several", [False, True])
def test_an_image_without_proposals_has_no_detections(several: bool) -> None:
    network, images = tried(context=True, smallest_proposal=1000.0)
    network.roi_heads.refines, network.several_scales = True, several
    with torch.no_grad():
        [found] = network([images[0]])
    assert found["boxes"].shape == (0, 4) and not len(found["scores"])


def test_boxes_that_vote_keep_their_pixels_in_mixed_precision() -> None:
    box = torch.tensor([[500.3, 301.7, 901.2, 703.9]])
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.allclose(voted(torch.tensor([0]), box, torch.tensor([0.7]), torch.tensor([1])), box)


def test_what_follows_the_last_block_of_pre_activation_is_in_the_head() -> None:
    network = imagenet_resnet(18, "A")
    network.last = nn.ReLU()
    assert [name for name, _ in split(network).head.named_children()] == ["layer4", "last", "avgpool", "flatten"]


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
