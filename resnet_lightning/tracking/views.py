"""What a study's dashboard shows: runs that may stand side by side, their table, and the metrics of its panels."""

from dataclasses import dataclass

from matplotlib.colors import to_hex, to_rgb

from resnet_lightning.errors import BadInput
from resnet_lightning.reporting.colours import colours
from resnet_lightning.reporting.settings import by_network, groups
from resnet_lightning.reporting.table import to_markdown
from resnet_lightning.runs.folder import RUNS
from resnet_lightning.runs.reading import Run, load_runs
from resnet_lightning.studies import find_study
from resnet_lightning.tracking.wandb_logger import earlier_run

SYSTEM = "system/"  # what W&B puts before the metrics that wandb records by itself
SECTIONS = {  # names and titles of the metrics of each section's panels
    "Errors": {
        "test/error": "Test error, %",
        "val/error": "Validation error, %",
        "train/error": "Training error, %",
    },
    "Detection": {"test/mAP": "mAP, %", "test/mAP50": "mAP@.5, %"},
    "Optimisation": {"train/loss": "Training loss", "lr": "Learning rate"},
    "Layer responses": {
        "response/median": "Standard deviation of responses, median over layers",
        "response/first": "Standard deviation of responses, first layer",
        "response/last": "Standard deviation of responses, last layer",
    },
    "Gradient flow": {
        "gradient/first": "Gradient norm of the first layer's weights",
        "gradient/last": "Gradient norm of the last layer's weights",
        "gradient/first_to_last": "Gradient norm, first layer's divided by last's",
    },
    "Speed and memory": {
        "images_per_second": "Training images per second",
        f"{SYSTEM}gpu.0.memoryAllocatedBytes": "Memory in use on the first GPU, bytes",
        f"{SYSTEM}proc.memory.rssMB": "Memory of the process, MB",
    },
}
EVALUATED = {"test/error", "val/error"}
DETECTED = {"test/mAP", "test/mAP50"}


@dataclass(frozen=True)
class View:
    """Runs that may stand side by side, as in one table of the report, and what is shown of them.

    Args:
        table: Markdown; it has the paper's values, for which W&B's curves have no lines.
        sections: titles of panels, by section and metric.
        empty: the panels' metrics that none of the runs has recorded, but for the system's.
    """

    title: str
    runs: list[Run]
    table: str
    sections: dict[str, dict[str, str]]
    empty: list[str]

    @property
    def colours(self) -> dict[str, str]:
        """By network: that of the figures, lighter for plain networks; W&B chooses where it is taken."""
        found: dict[str, str] = {}
        shades = colours(self.runs)
        for network, own in by_network(self.runs).items():
            shade = shades[network]
            if own[0].family == "plain":
                red, green, blue = to_rgb(shade)
                shade = to_hex(((1 + red) / 2, (1 + green) / 2, (1 + blue) / 2))
            if shade not in found.values():
                found[network] = shade
        return found

    @property
    def ids(self) -> dict[str, Run]:
        """The runs that W&B has a record of, by its id."""
        return {name: run for run in self.runs if (name := earlier_run(run.folder))}


def study_views(name: str) -> list[View]:
    """What is shown of a study's runs in runs/, one view per setting.

    Raises:
        BadInput: for an unknown study, or one that trains nothing.
    """
    study = find_study(name)
    if not study.experiments:
        raise BadInput(f"{name} trains nothing, so there are no curves for a dashboard")
    runs = [run for run in load_runs(study.experiments, RUNS) if not run.weights]  # those have no curves
    views = []
    for setting, group in groups(runs):
        recorded = {column for run in group for row in run.rows.values() for column in row}
        # CIFAR-10 has no validation images and ImageNet's test labels are not public: no panel for what cannot be.
        missing = EVALUATED - recorded if EVALUATED & recorded else set()
        missing |= DETECTED - recorded  # of classification
        if DETECTED & recorded:
            missing |= {*SECTIONS["Errors"], *SECTIONS["Layer responses"], *SECTIONS["Gradient flow"]}
        sections = {
            section: {metric: title for metric, title in panels.items() if metric not in missing}
            for section, panels in SECTIONS.items()
            if not missing >= panels.keys()
        }
        metrics = [metric for panels in sections.values() for metric in panels if not metric.startswith(SYSTEM)]
        table = "\n".join(map(to_markdown, study.tables(group)))
        views.append(View(setting.title, group, table, sections, [one for one in metrics if one not in recorded]))
    return views
