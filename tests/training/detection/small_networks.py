"""What a user could write beside the experiments: a residual network that is small enough for tests."""

SOURCE = """
from functools import partial
from resnet_lightning.networks import ResNet
from resnet_lightning.networks.blocks import BasicBlock


def network(last: int = 64, num_classes: int = 10) -> ResNet:
    block = partial(BasicBlock, shortcut="A")
    return ResNet(f"small-{last}", 10, (1, 1, 1, 1), (8, 16, 32, last), block, "A", 8, True, num_classes)
"""
# A classification run of it, whose checkpoint a detector begins with.
CLASSIFICATION = (
    *("--config=experiments/digits/base.yaml", "--config=experiments/digits/resnet20.yaml"),
    *("--model.network=small.network", "--trainer.max_steps=4", "--data.image_size=32", "--trainer.callbacks=null"),
    "--run=classification",
)
DETECTION = (
    *("--config=experiments/detection/base.yaml", "--config=experiments/detection/voc07/resnet18.yaml"),
    *("--config=experiments/detection/small.yaml", "--model.network.backbone=small.network"),
    *("--model.pretrained=classification", "--data.root=.", "--data.workers=0", "--model.network.min_size=48"),
    *("--model.network.regions=8", "--model.network.proposals=10", "--model.network.anchor_sizes=[16,32]"),
    *("--trainer.max_steps=12", "--trainer.val_check_interval=6", "--trainer.log_every_n_steps=4"),
)
