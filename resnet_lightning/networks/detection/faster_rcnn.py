"""Faster R-CNN (Ren et al., 2015) around a classification network (section 4.3 and appendix A).

Made of torchvision's parts. What differs from the paper is in docs/detection.md.
"""

from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.generalized_rcnn import GeneralizedRCNN
from torchvision.models.detection.rpn import RegionProposalNetwork
from torchvision.models.detection.transform import GeneralizedRCNNTransform

from resnet_lightning.errors import BadInput
from resnet_lightning.networks import inspection
from resnet_lightning.networks.detection.fixed import fix_batch_norm, fix_stages
from resnet_lightning.networks.detection.pyramid import detect_at_scales
from resnet_lightning.networks.detection.regions import (
    STRIDE,
    Proposing,
    RegionPool,
    Regions,
    SiblingLayers,
)
from resnet_lightning.networks.detection.split import split

RATIOS = (0.5, 1.0, 2.0)  # height by width of the anchors
CHANNEL_MEAN, CHANNEL_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet, until others are taken


class FasterRCNN(GeneralizedRCNN):  # type: ignore[misc]
    """A list of images float32 [3, H, W] in [0, 1], of any size, to losses (training) or boxes, labels and scores.

    The images are resized and normalised inside. Labels are from 1 on; 0 is the background.

    Args:
        backbone: residual network of table 1, or a VGG; its last layer is not used.
        num_classes: with the background: 21 for VOC.
        fixed_stages: stages that are not trained: 2 are conv1 and conv2_x of a residual network, conv1_x and conv2_x
            of VGG. Batch normalisation is fixed everywhere.
        min_size, max_size: of the image's sides in pixels, after resizing.
        anchor_sizes: sides of the square anchors in pixels; each has also shapes of 1:2 and 2:1.
        pooling: of regions: RoI pooling as in the paper, or RoIAlign.
        proposals: of an image when tested; 2,000 are sampled from in training.
        regions: sampled of each image in training, a quarter of them foreground.
        score_threshold: detections of a lower score are left out.
        overlap: intersection over union above which the lower of two detections of a class is left out.
        detections: kept of an image at most.
        smallest_proposal: sides of proposals in pixels, below which they are left out.
        context: whether regions are classified and moved by the whole image too (appendix B).

    Where `several_scales` is set, regions are seen at two of five scales when tested (appendix B).
    """

    several_scales = False

    def __init__(
        self,
        backbone: nn.Module,
        num_classes: int = 21,
        fixed_stages: int = 2,
        min_size: int = 600,
        max_size: int = 1000,
        anchor_sizes: Sequence[int] = (128, 256, 512),
        pooling: Literal["pool", "align"] = "pool",
        proposals: int = 300,
        regions: int = 128,
        score_threshold: float = 0.05,
        overlap: float = 0.3,
        detections: int = 100,
        smallest_proposal: float = 16.0,
        context: bool = False,
    ) -> None:
        if num_classes < 2:
            raise BadInput(f"num_classes {num_classes}: expected the background and at least one class")
        if not 1 <= min_size <= max_size:
            raise BadInput(f"min_size {min_size}, max_size {max_size}: expected pixels, the first not above the second")
        if not anchor_sizes or min(anchor_sizes) < 1:
            raise BadInput(f"anchor_sizes {list(anchor_sizes)}: expected sides in pixels, such as [128, 256, 512]")
        for name, number in (("proposals", proposals), ("regions", regions), ("detections", detections)):
            if number < 1:
                raise BadInput(f"{name} {number}: expected a number of boxes in an image, at least 1")
        fix_batch_norm(backbone)
        body, channels, head, side, width = split(backbone)
        anchors = AnchorGenerator((tuple(anchor_sizes),), (RATIOS,))
        rpn = RegionProposalNetwork(
            anchors,
            Proposing(channels, anchors.num_anchors_per_location()[0]),
            fg_iou_thresh=0.7,
            bg_iou_thresh=0.3,
            batch_size_per_image=256,
            positive_fraction=0.5,
            pre_nms_top_n={"training": 12000, "testing": 6000},
            post_nms_top_n={"training": 2000, "testing": proposals},
            nms_thresh=0.7,
        )
        rpn.min_size = smallest_proposal
        heads = Regions(
            RegionPool(side, aligned=pooling == "align"),
            head,
            SiblingLayers(width * (1 + context), num_classes),
            fg_iou_thresh=0.5,
            bg_iou_thresh=0.5,
            batch_size_per_image=regions,
            positive_fraction=0.25,
            bbox_reg_weights=(10.0, 10.0, 5.0, 5.0),  # one by the standard deviations .1 and .2
            score_thresh=score_threshold,
            nms_thresh=overlap,
            detections_per_img=detections,
        )
        heads.context = context
        transform = GeneralizedRCNNTransform(min_size, max_size, [], [], size_divisible=STRIDE)
        super().__init__(body, rpn, heads, transform)
        fix_stages(body, fixed_stages)
        self.normalise_by(torch.tensor(CHANNEL_MEAN), torch.tensor(CHANNEL_STD))
        self.num_classes, self.side = num_classes, side
        self.backbone_name = inspection.name(backbone)
        self.name = f"{self.backbone_name} Faster R-CNN{' with context' * context}"
        about = inspection.about(backbone)
        self.family, self.depth, self.shortcut = about["family"], about["depth"], about["shortcut"]
        own = {id(tensor): name for name, tensor in self.state_dict(keep_vars=True).items()}
        theirs = {name: own.get(id(tensor)) for name, tensor in backbone.state_dict(keep_vars=True).items()}
        # The names of the classification network's tensors, and of the same ones here; and those of its last layer.
        self.taken_over = {name: ours for name, ours in theirs.items() if ours}
        self.left_out = frozenset(theirs.keys() - self.taken_over.keys())

    def forward(self, images: list[Tensor], targets: list[dict[str, Tensor]] | None = None) -> Any:
        if self.several_scales and not self.training:
            return detect_at_scales(self, images)
        return super().forward(images, targets)

    def normalise_by(self, mean: Tensor, std: Tensor) -> None:
        """Channels' mean and standard deviation [3], as the backbone was trained; they travel with the weights."""
        for name, values in (("image_mean", mean), ("image_std", std)):
            delattr(self.transform, name)  # a list, as torchvision makes it
            self.transform.register_buffer(name, values.clone().float())
