"""A setting that is misspelt, or called as elsewhere, is answered with the name that exists."""

from collections.abc import Callable
from pathlib import Path

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
        ("--data=Thing", "--data Thing: expected a full name"),
        ("--trainer.callbacks+=Thing", "--trainer.callbacks Thing: expected a full name"),
        ("--model=Thing", "--model Thing: expected a full name"),
        ("--model.optimizer=Thing", "--model.optimizer Thing: expected a full name"),
        ("--model.optimizer=torch.optim.Thing", "--model.optimizer torch.optim.Thing: module 'torch.optim' has no"),
        ("--model.optimizer.lr=high", "--model.optimizer.lr high: expected float"),
        ("--data.seed=3", "--seed_everything"),
        ("experiments/digits/plain20.yaml", "by --config experiments/digits/plain20.yaml"),
    ],
)
def test_the_nearest_name_is_told(workplace: object, refused: Callable[..., str], option: str, right: str) -> None:
    said = refused("fit", *QUICK, option)
    assert right in said and len(said) < 250


def test_names_follow_the_data(workplace: object, refused: Callable[..., str]) -> None:
    assert "did you mean --data.workers?" in refused("fit", *IMAGENET, "--data.num_workers=2")
    assert "data has root, download," in refused("fit", *CIFAR, "--data.num_workers=2")


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("modle: {network: {init_args: {depth: 20}}}", "--modle.network.depth (in own.yaml): there is no such setting"),
        ("trainer: {max_step: 20}", "--trainer.max_step (in own.yaml): there is no such setting; did you mean"),
        ("model: {network: {init_args: {depth: deep}}}", "--model.network.depth deep (in own.yaml): expected int"),
        ("model: {network: {class_path: nowhere.Net}}", "--model.network nowhere.Net (in own.yaml): No module"),
        ("[1, 2]", "own.yaml holds no settings"),
        ("# nothing yet", "own.yaml holds no settings"),
    ],
)
def test_the_file_is_told(workplace: object, refused: Callable[..., str], text: str, right: str) -> None:
    Path("own.yaml").write_text(text, encoding="utf-8")
    assert right in refused("fit", *QUICK, "--config=own.yaml")


def test_files_that_are_not_given(workplace: object, refused: Callable[..., str]) -> None:
    assert "base.yaml comes first" in refused("fit", "--config=experiments/digits/resnet20.yaml")
    assert "name the files of an experiment" in refused("fit")
    assert refused("fit", "--config=none.yaml").startswith("resnet-lightning: none.yaml does not exist")


def test_other_commands_say_it_in_the_same_words(workplace: object, refused: Callable[..., str]) -> None:
    assert "--steps 2.5: expected int" in refused("study", "demo", "--steps=2.5")
    assert "--nonsense: there is no such setting" in refused("keep", "--nonsense")
