"""Small detectors for a CPU: ResNet-18 and a narrow VGG-11 in the places of Table 7's networks (section 4.3)."""

from resnet_lightning.studies import Study
from resnet_lightning.studies.table7 import FIGURES, tables

STUDY = Study(
    title="Detection on a CPU: Faster R-CNN with ResNet-18 and VGG-11",
    section="4.3",
    experiments=("detection/voc07/vgg11", "detection/voc07/resnet18", "detection/coco/resnet18_coco"),
    evaluation="",
    command="",
    tables=tables,
    figures=FIGURES,
)
