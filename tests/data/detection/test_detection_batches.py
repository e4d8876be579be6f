"""Order, flips and shares of the batches that detectors are trained on and tested by."""

from pathlib import Path
from typing import Any

import pytest
import torch
from detection_trees import COLOURS, write_year
from torch import Tensor

from resnet_lightning.data.detection import VOC
from resnet_lightning.data.detection.batches import Batch, EvaluationImages, TrainingImages
from resnet_lightning.errors import BadInput


@pytest.fixture
def data(tmp_path: Path) -> VOC:
    write_year(tmp_path / "VOC2007", {"trainval": 20, "test": 5})
    data = VOC(str(tmp_path), batch_size=4, workers=0, keep_difficult=True, seed=3)
    data.setup("fit")
    return data


def taken(loader: TrainingImages, batches: int) -> list[Batch]:
    found: list[Batch] = []
    while True:
        for batch in loader:
            found.append(batch)
            if len(found) == batches:
                return found


def same(one: Batch, other: Batch) -> bool:
    targets = zip(one[1], other[1], strict=True)
    return (
        len(one[0]) == len(other[0])
        and all(map(torch.equal, one[0], other[0]))
        and all(
            mine.keys() == theirs.keys() and all(torch.equal(mine[name], theirs[name]) for name in mine)
            for mine, theirs in targets
        )
    )


def colour(image: Tensor, box: Tensor) -> tuple[int, ...]:
    """The mean colour inside a box."""
    left, top, right, bottom = box.int().tolist()
    return tuple(
        round(float(value)) for value in 255 * image[:, top + 2 : bottom - 2, left + 2 : right - 2].mean((1, 2))
    )


def test_boxes_stay_on_their_objects(data: VOC) -> None:
    """In images that are mirrored too; what is not in a box is black."""
    mirrored = 0
    for images, targets in taken(data.train_dataloader(), 16):
        for image, target in zip(images, targets, strict=True):
            rest = image.clone()
            for box, label in zip(target["boxes"], target["labels"], strict=True):
                assert colour(image, box) == pytest.approx(COLOURS[data.class_names[label - 1]], abs=8)
                left, top, right, bottom = box.int().tolist()
                rest[:, max(0, top - 8) : bottom + 8, max(0, left - 8) : right + 8] = 0
                mirrored += left > image.shape[2] // 2 and data.class_names[label - 1] == "dog"
            assert float(rest.max()) < 0.1
    assert 16 < mirrored < 48  # of 64 dogs


def test_a_resumed_run_goes_on_with_the_next_batch(data: VOC) -> None:
    """In another process, with workers, in mid-epoch and after it; order and flips differ between epochs."""
    whole = taken(data.train_dataloader(), 10)
    assert len(data.train_dataloader()) == 4
    for position in (3, 4, 6):
        data.workers = 2 if position == 3 else 0
        later = data.train_dataloader()
        later.load_state_dict({"batches": position})
        assert all(same(*pair) for pair in zip(taken(later, 10 - position), whole[position:], strict=True))
    assert not any(same(whole[number], whole[number + 4]) for number in range(4))
    ids = [int(target["image_id"]) for _, targets in whole[:4] for target in targets]
    assert len(set(ids)) == len(ids) == 16


def test_two_processes_share_a_batch(data: VOC) -> None:
    images = data.train_dataloader().images
    [whole] = taken(data.train_dataloader(), 1)
    parts = [taken(TrainingImages(images, 4, 3, 0, rank, 2), 1)[0] for rank in range(2)]
    assert same(whole, (parts[0][0] + parts[1][0], parts[0][1] + parts[1][1]))
    with pytest.raises(BadInput, match="batch_size 4: it is shared by 3 devices"):
        TrainingImages(images, 4, 3, 0, 0, 3)


@pytest.mark.parametrize("processes", [1, 2, 3])
def test_every_image_is_tested_once(data: VOC, processes: int) -> None:
    """Alone in its batch; where a process has fewer images, an empty batch keeps it in step."""
    images = data.test_dataloader().images
    shares: list[list[Any]] = [list(EvaluationImages(images, 0, rank, processes)) for rank in range(processes)]
    assert {len(own) for own in shares} == {-(-5 // processes)}
    ids = [int(target["image_id"]) for own in shares for _, targets in own for target in targets]
    assert sorted(ids) == list(range(5)) and all(len(batch[0]) <= 1 for own in shares for batch in own)


def test_batch_larger_than_the_set(data: VOC) -> None:
    other = VOC(str(data.root), batch_size=50, workers=0)
    with pytest.raises(BadInput, match=r"batch_size 50: there are only .* training images with boxes"):
        other.setup("fit")
    with pytest.raises(BadInput, match="test_images 0: expected a number of images, at least 1"):
        VOC(test_images=0)
