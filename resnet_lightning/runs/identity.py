"""Which run is this? The settings that are the experiment, their hash, and the first in which two runs differ.

What only watches a run, or says where and how it is carried out, is listed here. Everything else is the experiment.
"""

import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

import yaml

# Where a run reads and writes, how it is carried out, and what it reports. The seed is in the folder's name.
WATCHES = re.compile(
    r"run|ckpt_path|checkpoint_every|print_config|model\.bn_batches|"
    r"data\.(root|download|evaluation|val_map|skip_damaged|(num_)?workers)|"
    r"trainer\.(accelerator|enable_\w+|profiler|logger.*)"
)
# How often it is measured: part of the experiment as soon as a callback is there that may act on what is measured.
LOOKS = re.compile(r"trainer\.(log_every_n_steps|val_check_interval)")
# Several processes that share a batch compute the same as one, but for rounding; other strategies may not.
SAME_NUMBERS = re.compile(r"auto|single_device|ddp(_(spawn|fork|notebook))?(_find_unused_parameters_(true|false))?")
# What devices choose by themselves (training/devices.py). A run goes on in the precision in which it began.
DEFAULT_PRECISIONS = (None, "bf16-mixed", "32-true")

OURS = ("Detections", "GradientFlow", "LayerResponses")
LIGHTNINGS = (
    *("DeviceStatsMonitor", "LearningRateMonitor", "ThroughputMonitor"),
    *("ModelCheckpoint", "OnExceptionCheckpoint", "ModelSummary", "RichModelSummary"),
    *("ProgressBar", "RichProgressBar", "TQDMProgressBar"),
)
PACKAGES = r"(resnet_lightning|(lightning\.pytorch|pytorch_lightning))\.callbacks\.([a-z_]+\.)*"

# Settings that older runs do not name, each with the value that means what was done before. A new setting of a network,
# a schedule or a data module belongs here; without it every run begun before is "of another configuration".
SCHEDULE = "model.schedule.init_args."
NETWORK = "model.network.init_args."
SINCE: dict[str, Any] = {
    f"{SCHEDULE}warmup_check_every": 100,
    f"{SCHEDULE}every": None,
    f"{NETWORK}dropout": 0.0,
    f"{NETWORK}maxout": 1,
    f"{NETWORK}narrow": 1,
    f"{NETWORK}zeros": "after",
    f"{NETWORK}fan": "in",
    f"{NETWORK}context": False,
    "data.init_args.padding_mode": "zeros",
    "data.init_args.drop_last": True,
}


def only_watches(key: str, value: Any, alone: bool = True) -> bool:
    """Whether a setting leaves the experiment what it is.

    Args:
        key: with or without init_args.
        alone: whether no callback acts on what is measured.
    """
    key = key.replace("init_args.", "")
    if key == "trainer.strategy":
        return isinstance(value, str) and SAME_NUMBERS.fullmatch(value) is not None
    return WATCHES.fullmatch(key) is not None or (alone and LOOKS.fullmatch(key) is not None)


def settings(config: dict[str, Any]) -> dict[str, Any]:
    """The settings of a run's configuration that are the experiment: by dotted name, with init_args."""
    others = not_watching(callbacks_of(config))
    found = {key: value for key, value in flat(config) if not only_watches(key, value, not others)}
    trainer = config.get("trainer") or {}
    if "logger" in trainer:
        found["trainer.logger"] = None  # it only watches; so in the hash of every run of before
    if found.get("trainer.precision") in DEFAULT_PRECISIONS:
        found.pop("trainer.precision", None)
    if others:
        found["trainer.callbacks"] = others
    fill_in_looks(found, trainer)
    return found


def flat(config: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted names and values, without the callbacks."""
    for name, value in config.items():
        key = f"{prefix}{name}"
        if key == "trainer.callbacks":
            continue
        if isinstance(value, dict):
            yield from flat(value, f"{key}.")
        else:
            yield key, value


def fill_in_looks(found: dict[str, Any], trainer: dict[str, Any]) -> None:
    """How often a schedule looks at the errors: once whenever they were logged, so in runs that do not say it."""
    check, every = f"{SCHEDULE}warmup_check_every", f"{SCHEDULE}every"
    match str(found.get("model.schedule.class_path")).rpartition(".")[2]:
        case "Steps" if found.get(f"{SCHEDULE}warmup_until_error") is None:
            found.pop(check, None)
        case "Steps":
            found.setdefault(check, trainer.get("log_every_n_steps"))
        case "Plateau":
            found.setdefault(every, trainer.get("val_check_interval"))
            if found[every] == max(1, trainer.get("max_steps", 0) // 120):
                found[every] = None  # the default


def first_difference(before: dict[str, Any], now: dict[str, Any]) -> str | None:
    """The first setting of the experiment, in words, in which two runs' configurations differ.

    The precision is no difference: a run goes on in the one in which it began.
    """
    old, new = settings(before), settings(now)
    for key in sorted((old.keys() | new.keys()) - {"trainer.precision"}):
        was, becomes = (found.get(key, SINCE.get(key)) for found in (old, new))
        if was != becomes:
            if key == "trainer.callbacks":
                was, becomes = in_words(was or []), in_words(becomes or [])
            return f"{key} was {was}, is {becomes}"
    return None


def configuration_hash(config: str) -> str:
    """SHA-256 of the settings of a config.yaml that are the experiment: equal for runs of one experiment and seed."""
    found = settings(yaml.safe_load(config) or {})
    told = [(key, value) for key, value in found.items() if key not in SINCE or value != SINCE[key]]
    return hashlib.sha256(json.dumps(sorted(told)).encode()).hexdigest()


def callbacks_of(config: dict[str, Any]) -> list[Any]:
    """What a configuration names as trainer.callbacks."""
    trainer = config.get("trainer")
    return listed(trainer.get("callbacks")) if isinstance(trainer, dict) else []


def listed(value: Any) -> list[Any]:
    """A list as it is, nothing as an empty one, and anything else as the only one in a list."""
    return value if isinstance(value, list) else [] if value is None else [value]


def entry(callback: Any) -> dict[str, Any]:
    """A callback that is named alone, or with options, as its class and its options."""
    if isinstance(callback, dict):
        return {"class_path": str(callback.get("class_path")), "init_args": callback.get("init_args") or {}}
    return {"class_path": str(callback), "init_args": {}}


def not_watching(callbacks: Sequence[Any]) -> list[dict[str, Any]]:
    """The callbacks that may change what is trained: all but those that are known only to watch."""
    return [callback for callback in map(entry, callbacks) if not is_watcher(**callback)]


def is_watcher(class_path: str, init_args: dict[str, Any]) -> bool:
    """Whether a callback only watches; a class of the user's own may do anything, whatever it is called."""
    name = re.sub(f"^{PACKAGES}", "", class_path)
    if name == "Timer":
        return init_args.get("duration") is None  # with one, it ends the run
    return name in OURS + LIGHTNINGS


def in_words(callbacks: Sequence[dict[str, Any]]) -> str:
    """Callbacks with their options, in characters that a folder's name may have.

    >>> in_words([{"class_path": "my.EarlyStopping", "init_args": {"monitor": "val/error"}}])
    'EarlyStopping-monitor=val_error'
    """
    texts = []
    for callback in callbacks:
        options = [f"{name}={value}" for name, value in callback["init_args"].items()]
        texts.append("-".join([callback["class_path"].rpartition(".")[2], *options]))
    return re.sub(r"[^\w.+=-]+", "_", "+".join(texts)) or "none"
