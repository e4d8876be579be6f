"""A setting that is misspelt, or called as elsewhere, is answered with the name that exists."""

from collections.abc import Callable

import pytest
from conftest import QUICK

CIFAR = ("--config=experiments/cifar10/base.yaml", "--config=experiments/cifar10/table6/resnet20.yaml")
IMAGENET = ("--config=experiments/imagenet/base.yaml", "--config=experiments/imagenet/table2/resnet18.yaml")


@pytest.mark.parametrize(
    ("option", "right"),
    [
        ("--data.batchsize=64", "did you mean --data.batch_size?"),
        ("--data.init_args.batchsize=64", "did you mean --data.batch_size?"),
        ("--model.lr=0.1", "did you mean --model.optimizer.lr?"),
        ("--trainer.max_step=3", "--trainer.max_steps"),
        ("--seed=3", "did you mean --seed_everything?"),
        ("--model.network.depht=20", "did you mean --model.network.depth?"),
        ("--model.optimizer.momentun=0.5", "did you mean --model.optimizer.momentum?"),
        ("--model.schedule.warmpu=0.5", "did you mean --model.schedule.warmup?"),
        ("--data.num_workers=2", "data has batch_size, validation_images,"),
        ("--model.network.shortcut=D", "--model.network.shortcut D: expected one of A, B, C, none"),
        ("--data.normalization=mean", "--data.normalization mean: expected one of pixel_mean, channel_mean_std"),
        ("--trainer.max_steps=many", "--trainer.max_steps many: expected int"),
        ("--data=nowhere.Thing", "--data nowhere.Thing: No module named 'nowhere'"),
    ],
)
def test_the_nearest_name_is_told(workplace: object, refused: Callable[..., str], option: str, right: str) -> None:
    said = refused("fit", *QUICK, option)
    assert right in said and len(said) < 250


def test_names_follow_the_data(workplace: object, refused: Callable[..., str]) -> None:
    assert "did you mean --data.workers?" in refused("fit", *IMAGENET, "--data.num_workers=2")
    assert "data has root, download," in refused("fit", *CIFAR, "--data.num_workers=2")
