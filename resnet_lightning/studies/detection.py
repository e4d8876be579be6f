"""Small detectors for a CPU: ResNet-18 and a narrow VGG-11 in the places of Table 7's networks (section 4.3)."""

from resnet_lightning.studies import Study
from resnet_lightning.studies.table7 import FIGURES, tables

COCO = ("coco/vgg11_coco", "coco/resnet18_coco")

STUDY = Study(
    title="Detection on a CPU: Faster R-CNN with ResNet-18 and VGG-11",
    section="4.3",
    experiments=tuple(f"detection/{name}" for name in ("voc07/vgg11", "voc07/resnet18", *COCO)),
    evaluation="",
    command="",
    tables=tables,
    figures=FIGURES,
)
