"""A study's views as objects of wandb-workspaces: workspaces of panels, and a report of tables and panels."""

import re
import warnings
from collections.abc import Sequence
from typing import Any

from resnet_lightning.errors import BadInput
from resnet_lightning.reporting.settings import name_of
from resnet_lightning.tracking.views import SYSTEM, View

ITERATION, SECONDS = "trainer/global_step", "RelativeTime(Process)"  # Lightning's and W&B's names of the axes
COLUMNS = (
    "run:state",
    *(f"summary:{name}" for name in ("iteration", "train/error", "test/error", "val/error", "test/mAP")),
)
MANY = 100  # runs in one panel; W&B shows 10 by default


def packages() -> tuple[Any, Any]:
    """The modules for workspaces and for reports.

    Raises:
        BadInput: saying how to install them.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # its own use of pydantic is deprecated
            import wandb_workspaces.reports.v2 as reports
            import wandb_workspaces.workspaces as workspaces
    except ImportError as error:
        raise BadInput(f"dashboard needs another package ({error}): pip install -e '.[dashboard]'") from error
    return workspaces, reports


def workspace(view: View, title: str, places: dict[str, str]) -> Any:
    """A workspace: the table, and curves by network, each the mean over seeds within their range."""
    ws, wr = packages()
    sections = [ws.Section(name=name, panels=panels(metrics), is_open=True) for name, metrics in view.sections.items()]
    sections.insert(0, ws.Section(name="Results", panels=[wr.MarkdownPanel(markdown=view.table)], is_open=True))
    return ws.Workspace(
        **places,
        name=workspace_name(view, title),
        sections=sections,
        settings=ws.WorkspaceSettings(x_axis=ITERATION, max_runs=MANY),
        runset_settings=ws.RunsetSettings(
            filters=ws.And(ws.Metric("ID").isin(list(view.ids))),  # not by group: the = of its name would be doubled
            groupby=[ws.Config("network")],
            group_colors=dict(view.colours),
            run_settings={name: ws.RunSettings(color=shade) for name, shade in run_colours(view).items()},
            pinned_columns=list(COLUMNS),
        ),
    )


def report(views: Sequence[View], title: str, places: dict[str, str]) -> Any:
    """A report: for each setting the table and a grid of panels per section."""
    ws, wr = packages()
    blocks: list[Any] = [wr.TableOfContents()]
    for view in views:
        blocks += [wr.H1(view.title), wr.MarkdownBlock(view.table)]
        for section, metrics in view.sections.items():
            runs = wr.Runset(
                **places if places["entity"] else {},  # it is looked up on the server
                name=view.title,
                filters=ws.And(ws.Metric("ID").isin(list(view.ids))),
                groupby=["config.network"],
                pinned_columns=["run:displayName", *COLUMNS],
            )
            colours: dict[Any, str] = {
                wr.RunsetGroup(view.title, (wr.RunsetGroupKey(wr.Config("network"), network),)): shade
                for network, shade in view.colours.items()
            }
            grid = wr.PanelGrid(runsets=[runs], panels=panels(metrics), custom_run_colors=colours | run_colours(view))
            blocks += [wr.H2(section), grid]
    return wr.Report(**places, title=title[:128], blocks=blocks, width="fluid")


def panels(metrics: dict[str, str]) -> list[Any]:
    """A curve per metric, over iterations; the system's over the seconds of the run, for wandb counts no iterations."""
    _, wr = packages()
    return [
        wr.LinePlot(
            title=title,
            x=SECONDS if metric.startswith(SYSTEM) else ITERATION,
            y=[metric],
            groupby_aggfunc="mean",
            groupby_rangefunc="minmax",
            max_runs_to_show=MANY,
        )
        for metric, title in metrics.items()
    ]


def run_colours(view: View) -> dict[str, str]:
    """Of single runs, for whoever switches the grouping off."""
    return {name: view.colours[name_of(run)] for name, run in view.ids.items() if name_of(run) in view.colours}


def workspace_name(view: View, title: str) -> str:
    """Without the signs that W&B takes for emojis, such as = and ×."""
    return re.sub(r"[^\w ,.:;()/-]", " ", f"{title}; {view.title}".replace("×", "x"))
