"""The experiments that several studies share, by their paths below experiments/."""

PLAIN = {depth: f"cifar10/figure6/plain{depth}" for depth in (20, 32, 44, 56, 110)}
RESNETS = {depth: f"cifar10/table6/resnet{depth}" for depth in (20, 32, 44, 56, 110, 1202)}
TWENTY_AND_FIFTY_SIX = (PLAIN[56], RESNETS[56], PLAIN[20], RESNETS[20])
TABLE2 = tuple(f"imagenet/table2/{network}" for network in ("plain34", "resnet34", "plain18", "resnet18"))
OPTIONS_B_AND_C = ("imagenet/table3/resnet34b", "imagenet/table3/resnet34c")
BOTTLENECKS = tuple(f"imagenet/table3/resnet{depth}" for depth in (50, 101, 152))

# The classification networks that detectors begin with, as torchvision's files are named.
BACKBONES = {f"detection/{data}/{name}": name for data in ("voc07", "coco") for name in ("resnet101", "vgg16")}
BACKBONES["detection/coco/resnet101_context"] = "resnet101"
# Networks for which torchvision has trained weights, and the names that its files begin with.
TORCHVISION = {
    "imagenet/table3/vgg16": "vgg16",
    "imagenet/table3/resnet34b": "resnet34",
    **{experiment: experiment.rpartition("/")[2] for experiment in BOTTLENECKS},
}
