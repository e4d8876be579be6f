"""Batches, their order and their augmentation against slow, obvious references."""

from itertools import chain
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import write_class_folders
from torch import Tensor

from resnet_lightning.data import CIFAR10, Digits
from resnet_lightning.data.batches import EvaluationBatches, Images, Normalization, PaddingOrder, TrainingBatches
from resnet_lightning.data.datamodule import mean_and_std
from resnet_lightning.errors import BadInput

CPU = torch.device("cpu")


def numbered(count: int, padding: int = 1) -> Images:
    """Images whose labels are their numbers."""
    images = torch.randint(256, (count, 4, 4, 3), dtype=torch.uint8)
    return Images(images, torch.arange(count), torch.zeros(3), torch.ones(3), padding, "after_normalization", CPU)


def slow_view(
    image: np.ndarray, mean: np.ndarray, std: np.ndarray, p: int, dy: int, dx: int, flip: int, order: PaddingOrder
) -> np.ndarray:
    """One image the long way round, in float64."""

    def pad_and_crop(image: np.ndarray) -> np.ndarray:
        height, width, channels = image.shape
        padded = np.zeros((height + 2 * p, width + 2 * p, channels))
        padded[p : p + height, p : p + width] = image
        crop = padded[dy : dy + height, dx : dx + width]
        return crop[:, ::-1] if flip else crop

    if order == "after_normalization":
        return pad_and_crop((image / 255 - mean) / std)
    return (pad_and_crop(image) / 255 - mean) / std


@pytest.mark.parametrize("order", ["after_normalization", "before_normalization"])
@pytest.mark.parametrize("normalization", ["pixel_mean", "channel_mean_std"])
def test_a_batch_is_what_a_loop_over_its_images_gives(normalization: Normalization, order: PaddingOrder) -> None:
    p, (height, width) = 2, (3, 5)
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(256, (7, height, width, 3), dtype=torch.uint8, generator=generator)
    labels = torch.randint(10, (7,), generator=generator)
    exact = pixels.double().numpy() / 255
    if normalization == "pixel_mean":
        mean, std = exact.mean(0), np.ones(3)
    else:
        mean, std = exact.mean((0, 1, 2)), exact.std((0, 1, 2))
    images = Images(pixels, labels, *mean_and_std(pixels, normalization), p, order, CPU)
    views = torch.arange(2 * (2 * p + 1) ** 2)
    chosen = views % 7
    batch, batch_labels = images.batch(chosen, views)
    assert batch.dtype == torch.float32 and batch.shape == (len(views), 3, height, width)
    assert torch.equal(batch_labels, labels[chosen])
    for image, view, result in zip(chosen.tolist(), views.tolist(), batch, strict=True):
        (dy, dx), flip = divmod(view // 2, 2 * p + 1), view % 2
        expected = slow_view(pixels[image].numpy(), mean, std, p, dy, dx, flip, order)
        np.testing.assert_allclose(result.permute(1, 2, 0), expected, atol=1e-5)
    whole, *_ = next(iter(EvaluationBatches(images, 7)))
    for image in range(7):
        expected = slow_view(pixels[image].numpy(), mean, std, p, p, p, 0, order)
        np.testing.assert_allclose(whole[image].permute(1, 2, 0), expected, atol=1e-5)


@pytest.mark.parametrize("normalization", ["pixel_mean", "channel_mean_std"])
def test_mirrored_padding_shows_pixels_of_the_normalised_image_again(normalization: Normalization) -> None:
    pixels = torch.randint(256, (1, 4, 5, 3), dtype=torch.uint8)
    mean, std = mean_and_std(torch.cat((pixels, 255 - pixels // 2)), normalization)
    plain = ((pixels[0] / 255 - mean) / std).numpy()
    images = Images(pixels, torch.zeros(1), mean, std, 2, "before_normalization", CPU, "reflection")
    rows, columns = [2, 1, 0, 1, 2, 3, 2, 1], [2, 1, 0, 1, 2, 3, 4, 3, 2]  # the border is there once
    for view in range(50):
        (dy, dx), flip = divmod(view // 2, 5), view % 2
        crop = plain[rows[dy : dy + 4]][:, columns[dx : dx + 5]]
        [found], _ = images.batch(torch.tensor([0]), torch.tensor([view]))
        np.testing.assert_allclose(found.permute(1, 2, 0), crop[:, ::-1] if flip else crop, atol=1e-5)


def test_means_are_those_of_float64() -> None:
    images = torch.randint(250, 256, (70_000, 4, 4, 3), dtype=torch.uint8)
    exact = images.numpy().astype(np.float64) / 255
    mean, std = mean_and_std(images, "pixel_mean")
    np.testing.assert_allclose(mean, exact.mean(0), rtol=1e-7)
    assert torch.equal(std, torch.ones(3))
    mean, std = mean_and_std(images, "channel_mean_std")
    np.testing.assert_allclose(mean, exact.mean((0, 1, 2)), rtol=1e-7)
    np.testing.assert_allclose(std, exact.std((0, 1, 2)), rtol=1e-6)


def test_the_digits_are_not_mirrored_and_the_photographs_are(png_folders: Path) -> None:
    digits, photographs = Digits(), CIFAR10(str(png_folders), batch_size=26)
    for data in (digits, photographs):
        data.setup("fit")
    assert not (digits.train_dataloader().epoch(0)[1] % 2).any()
    assert 80 < int((photographs.train_dataloader().epoch(0)[1] % 2).sum()) < 180


def epochs_of(batches: TrainingBatches, count: int) -> list[tuple[Tensor, Tensor]]:
    return list(chain.from_iterable(iter(batches) for _ in range(count)))


def identical(one: list[tuple[Tensor, Tensor]], other: list[tuple[Tensor, Tensor]]) -> bool:
    pairs = zip(one, other, strict=True)
    return all(torch.equal(x, y) and torch.equal(k, m) for (x, k), (y, m) in pairs)


def test_batches_depend_on_seed_and_epoch_only() -> None:
    images = numbered(26)
    first = epochs_of(TrainingBatches(images, 4, seed=3, flip=True), 2)
    torch.manual_seed(1)
    again = TrainingBatches(images, 4, seed=3, flip=True)
    assert len(first) == 2 * len(again) == 12
    assert identical(first, epochs_of(again, 2))
    for epoch in (first[:6], first[6:]):
        assert all(len(labels) == 4 for _, labels in epoch)
        assert len({int(label) for _, labels in epoch for label in labels}) == 24  # no image twice
    assert sorted(again.epoch(0)[0].tolist()) == list(range(26))
    other = epochs_of(TrainingBatches(images, 4, seed=4, flip=True), 2)
    orders = [[labels.tolist() for _, labels in part] for part in (first[:6], first[6:], other[:6], other[6:])]
    assert all(one != two for number, one in enumerate(orders) for two in orders[:number])


@pytest.mark.parametrize("stop", range(14))
def test_a_saved_position_goes_on_exactly(stop: int) -> None:
    images = numbered(26)
    undisturbed = epochs_of(TrainingBatches(images, 4, seed=0, flip=True), 4)
    stopped = TrainingBatches(images, 4, seed=0, flip=True)
    for _, _ in zip(range(stop), chain.from_iterable(iter(stopped) for _ in range(4)), strict=False):
        state = stopped.state_dict()
    resumed = TrainingBatches(images, 4, seed=0, flip=True)
    if stop:
        resumed.load_state_dict(state)
    rest = epochs_of(resumed, 4 - stop // 6)
    assert identical(rest, undisturbed[stop:])


def test_a_kept_last_batch_has_what_is_left() -> None:
    images = numbered(26)
    dropped, kept = (TrainingBatches(images, 4, seed=0, flip=True, drop_last=drop) for drop in (True, False))
    assert (len(dropped), len(kept)) == (6, 7)
    for epoch in range(2):
        without, whole = list(dropped), list(kept)
        assert identical(whole[:6], without)  # the epoch is the same but for its end
        assert [len(labels) for _, labels in whole] == [4] * 6 + [2]
        assert sorted(int(label) for _, labels in whole for label in labels) == list(range(26)), epoch
    assert len(TrainingBatches(numbered(24), 4, 0, True, drop_last=False)) == 6  # nothing is left


@pytest.mark.parametrize("stop", [6, 7, 8])
def test_a_position_at_a_kept_last_batch_goes_on_exactly(stop: int) -> None:
    undisturbed = epochs_of(TrainingBatches(images := numbered(26), 4, 0, True, drop_last=False), 2)
    resumed = TrainingBatches(images, 4, 0, True, drop_last=False)
    resumed.load_state_dict({"batches": stop})
    assert identical(epochs_of(resumed, 2 - stop // 7), undisturbed[stop:])


def test_devices_share_a_kept_last_batch_evenly_or_not_at_all() -> None:
    images = numbered(26)
    whole = list(TrainingBatches(images, 8, 0, True, drop_last=False))
    ranks = [list(TrainingBatches(images, 8, 0, True, rank, 2, drop_last=False)) for rank in range(2)]
    for (_, labels), (_, first), (_, second) in zip(whole, *ranks, strict=True):
        assert len(first) == len(second) and torch.equal(torch.cat((first, second)), labels)
    with pytest.raises(BadInput, match="batch_size 2: it is shared by 4 devices"):
        TrainingBatches(images, 8, 0, True, 0, 4, drop_last=False)


@pytest.mark.parametrize("world_size", [2, 4])
def test_processes_share_every_training_batch(world_size: int) -> None:
    images = numbered(26)
    whole = epochs_of(TrainingBatches(images, 8, seed=0, flip=True), 2)
    ranks = [epochs_of(TrainingBatches(images, 8, 0, True, rank, world_size), 2) for rank in range(world_size)]
    for (pixels, labels), *parts in zip(whole, *ranks, strict=True):
        assert {len(part) for _, part in parts} == {8 // world_size}
        # In one piece each, in the batch's order: ghost batch normalisation on one device cuts it in the same way.
        assert torch.equal(torch.cat([part for _, part in parts]), labels)
        assert torch.equal(torch.cat([part for part, _ in parts]), pixels)


@pytest.mark.parametrize("world_size", [1, 2, 3, 5])
@pytest.mark.parametrize("batch_size", [4, 500])
def test_processes_evaluate_every_image_once(world_size: int, batch_size: int) -> None:
    ranks = [EvaluationBatches(numbered(13), batch_size, rank, world_size) for rank in range(world_size)]
    counted = [int(label) for batches in ranks for _, labels, _ in batches for label in labels]
    assert sorted(int(n) for batches in ranks for *_, numbers in batches for n in numbers) == list(range(13))
    assert sorted(counted) == list(range(13))
    assert all(len(list(batches)) == len(batches) == len(ranks[0]) for batches in ranks)
    assert all(0 < len(labels) <= batch_size for batches in ranks for _, labels, _ in batches)


def test_the_same_images_are_held_out_whatever_the_seed() -> None:
    whole, *split = Digits(), Digits(validation_images=300, seed=0), Digits(validation_images=300, seed=1)
    for data in (whole, *split):
        data.setup("fit")
    assert torch.equal(split[0].sets["val"][0], split[1].sets["val"][0])
    assert list(split[0].val_dataloader()) == ["val", "test"] and list(whole.val_dataloader()) == ["test"]
    both = torch.cat((split[0].sets["train"][0], split[0].sets["val"][0]))
    assert [len(both), whole.size("val"), whole.size("test")] == [1437, 0, 360]
    images = [sorted(image.numpy().tobytes() for image in part) for part in (both, whole.sets["train"][0])]
    assert images[0] == images[1]
    # The held-out images take no part in the mean.
    torch.testing.assert_close(split[0].mean, (split[0].sets["train"][0].double().mean(0) / 255).float())


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"batch_size": 1438}, "batch_size 1438"),
        ({"batch_size": 1000, "validation_images": 500}, "batch_size 1000"),
        ({"batch_size": 0}, "batch_size 0"),
        ({"validation_images": 1437}, "validation_images 1437"),
        ({"validation_images": -1}, "validation_images -1"),
        ({"image_size": 0}, "image_size 0"),
        ({"padding": -1}, "padding -1"),
    ],
)
def test_sizes_that_do_not_fit_are_named(options: dict[str, int], named: str) -> None:
    with pytest.raises(BadInput, match=named):
        Digits(**options).setup("fit")


def test_a_small_data_set_takes_a_batch_of_its_size(tmp_path: Path) -> None:
    data = CIFAR10(str(write_class_folders(tmp_path / "tiny", "png", train=2, test=1)), batch_size=20)
    data.setup("fit")
    [(images, labels)] = data.train_dataloader()
    assert images.shape == (20, 3, 32, 32) and sorted(labels.tolist()) == [number // 2 for number in range(20)]
