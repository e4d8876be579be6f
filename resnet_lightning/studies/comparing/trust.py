"""May the runs of a comparison stand side by side? What they differ in beyond what their experiments' files say."""

from collections.abc import Mapping, Sequence
from typing import Any

from resnet_lightning.errors import BadInput
from resnet_lightning.runs.reading import Run, read_json_or_nothing

Settings = Mapping[str, Any]  # what an experiment's files say, by dotted name
# What a run records of itself, and the settings that may say so.
RECORDED = {
    "train_images": "data.",
    "test_images": "data.",
    "precision": "trainer.precision",
    "device": "trainer.accelerator",
    "devices": "trainer.devices",
    "threads": "nothing",
}


def refuse_other_data(titles: Sequence[tuple[str, str]], settings: Mapping[str, Settings]) -> None:
    """Raises BadInput if experiments are on different data, which their files do not say as options of one data set.

    Args:
        titles: of each run's data, with the experiment's name.
    """
    for name, title in titles[1:]:
        first, expected = titles[0]
        one, other = settings[first], settings[name]
        same_set = one.get("data.class_path") == other.get("data.class_path")
        if title != expected and not (same_set and differs(one, other, "data.init_args.")):
            raise BadInput(
                f"{first} is trained on {expected}, {name} on {title}: errors on different data say nothing of each "
                "other; expected experiments, and runs, on the same data"
            )


def differs(one: Settings, other: Settings, prefix: str = "") -> list[str]:
    """The settings in which the files of two experiments differ."""
    keys = sorted(key for key in {*one, *other} if key.startswith(prefix))
    return [key for key in keys if one.get(key) != other.get(key)]


def in_words(baseline: str, name: str, settings: Mapping[str, Settings], most: int = 6) -> str:
    """In which settings an experiment differs from the baseline."""
    one, other = settings[baseline], settings[name]
    keys = differs(one, other)
    said = [
        f"{key.replace('init_args.', '')} {other.get(key, 'as by default')} (not {one.get(key, 'as by default')})"
        for key in keys[:most]
    ]
    more = f", and {len(keys) - most} settings more" if len(keys) > most else ""
    return f"What {name} changes: {', '.join(said)}{more}."


def warning(runs: Mapping[str, Sequence[Run]], settings: Mapping[str, Settings]) -> str:
    """What finished runs differ in, of data, precision, versions, device and threads, that no file says; or nothing."""
    recorded = {name: [record(run) for run in own if run.state == "finished"] for name, own in runs.items()}
    said = []
    for key in dict.fromkeys(key for own in recorded.values() for one in own for key in one):
        values = {name: sorted({str(one.get(key)) for one in own}) for name, own in recorded.items()}
        if len({value for own in values.values() for value in own}) < 2 or explained(key, values, settings):
            continue
        each = "; ".join(f"{name} {' and '.join(own)}" for name, own in values.items())
        said.append(f"{key.replace('_', ' ')} ({each})")
    return f"Warning: these runs differ in more than their files say: {', '.join(said)}." if said else ""


def explained(key: str, values: Mapping[str, Sequence[str]], settings: Mapping[str, Settings]) -> bool:
    """Whether the files say that a record differs: between experiments, and not between the seeds of one."""
    first, *others = settings.values()
    saying = any(differs(first, other, RECORDED.get(key, "nothing")) for other in others)
    return saying and all(len(own) < 2 for own in values.values())


def record(run: Run) -> dict[str, Any]:
    """What a run says of how it was made."""
    info = read_json_or_nothing(run.folder / "run.json") | read_json_or_nothing(run.folder / "result.json")
    found = {key: info[key] for key in RECORDED if key in info}
    versions = info.get("versions") or {}
    found |= {f"version of {name}": version for name, version in versions.items() if name != "resnet_lightning"}
    code = (info.get("sessions") or [{}])[-1].get("commit") or versions.get("resnet_lightning")
    return found | {"version of resnet_lightning": str(code)[:10]}
