"""`dashboard`: makes a study's workspaces and report on Weights & Biases, or says what they would be."""

import os
import shlex
from collections.abc import Sequence
from typing import Any

import jsonargparse
import wandb

from resnet_lightning.errors import BadInput
from resnet_lightning.studies import STUDIES, find_study
from resnet_lightning.tracking.views import View, study_views
from resnet_lightning.tracking.wandb_logger import PROJECT, SECONDS_TO_CONNECT, has_key
from resnet_lightning.tracking.workspaces import packages, report, workspace, workspace_name


def dashboard(arguments: Sequence[str]) -> None:
    """`resnet-lightning dashboard`: makes a workspace per setting and a report; without a key, says what they would be.

    Raises:
        BadInput: if wandb-workspaces is not installed, or if the server cannot be reached or refuses.
    """
    parser = jsonargparse.ArgumentParser(exit_on_error=False, allow_abbrev=False, prog="resnet-lightning dashboard")
    parser.add_argument("study", help=f"one of {', '.join(STUDIES)}")
    parser.add_argument("--entity", help="user or team of W&B; the key's own by default")
    parser.add_argument("--project", default=PROJECT, help="project of W&B")
    options = parser.parse_args(list(arguments))
    views = study_views(options.study)
    if not views:
        print(f"nothing has been run yet: make {options.study}")
        return
    packages()
    mode = os.environ.get("WANDB_MODE", "online")
    online = mode == "online" and has_key()
    own = connect() if online else ""
    title = find_study(options.study).title
    places = {"entity": options.entity or own, "project": options.project}
    for view in views:
        print("\n".join(describe(view, title)))
    print(f'report "{title}": for each of these settings the table, then the same panels by section')
    print(how_to_upload(views, options.entity, options.project))
    if online:
        for view in views:
            print("saved:", save(workspace(view, title, places)))
        print("saved:", save(report(views, title, places)))
    else:
        why = "there is no key" if mode == "online" else f"WANDB_MODE is {mode}"
        print(f"nothing was created, for {why}: with a key (`wandb login`), upload and give the same command again")


def describe(view: View, title: str) -> list[str]:
    """A workspace in words, and which of its panels would be empty."""
    lines = [f'workspace "{workspace_name(view, title)}", {len(view.ids)} of {len(view.runs)} runs: the table, and']
    lines += [f"  {section}: {', '.join(metrics)}" for section, metrics in view.sections.items()]
    if view.empty:
        lines.append(f"  empty, as no run here has recorded them: {', '.join(view.empty)}")
    return lines


def how_to_upload(views: Sequence[View], entity: str | None, project: str) -> str:
    """The command that uploads what was recorded offline, if anything was."""
    folders = [path for view in views for run in view.runs for path in sorted(run.folder.glob("wandb/offline-run-*"))]
    if not folders:
        return "no run of this study was recorded offline"
    options = [f"--entity {entity}"] * bool(entity) + [f"--project {project}"] * (project != PROJECT)
    command = " \\\n    ".join([" ".join(["wandb sync", *options]), *(shlex.quote(str(path)) for path in folders)])
    return f"recorded offline; to upload what is not there yet:\n  {command}"


def connect() -> str:
    """The user or team that the key belongs to.

    Raises:
        BadInput: if the server cannot be reached or refuses the key.
    """
    try:
        return str(wandb.Api(timeout=int(SECONDS_TO_CONNECT)).default_entity)
    except Exception as error:
        raise BadInput(f"nothing was created: {error} (WANDB_MODE=offline says what would be)") from error


def save(view: Any) -> str:
    """Saves a workspace or a report and returns its address.

    Raises:
        BadInput: if the server cannot be reached or refuses it.
    """
    try:
        return str(view.save().url)
    except Exception as error:  # of wandb, of its transport, or of the package: they share no class
        raise BadInput(f"Weights & Biases did not take it: {error}") from error
