"""Sends the jobs of a study to a cluster, as an array of SLURM with one task each, by submitit."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from resnet_lightning.errors import INTERRUPTED, BadInput
from resnet_lightning.files import write_text
from resnet_lightning.runs.experiments import find_file
from resnet_lightning.runs.folder import RUNS, make_folder, read_yaml
from resnet_lightning.studies.execution.jobs import Job, last_line
from resnet_lightning.studies.execution.runner import SECONDS_BETWEEN_LOOKS, watched

LOGS = RUNS / "submitted"  # what submitit itself writes: the scripts, and what the tasks print beside their runs


class Task:
    """What a task of the array does: one job. submitit starts it again when SLURM has put it back into the queue."""

    def __init__(self, job: Job) -> None:
        self.job = job

    def __call__(self) -> str:
        """The job's state in the end."""
        # By this name of the job Lightning knows that srun starts no processes for it: it starts those of a run on
        # several devices itself, instead of taking the one that there is for all of them.
        self.job.start({"SLURM_JOB_NAME": "interactive"})
        process = self.job.process
        assert process is not None
        while process.poll() is None:  # not wait(), whose lock would still be held in checkpoint(), a signal's handler
            time.sleep(1)
        self.job.finish(process.returncode)
        if self.job.state == "stopped":
            requeue_if_preempted()
            sys.exit(process.returncode)  # without a result: whether the task goes on is up to SLURM
        return self.job.state

    def checkpoint(self) -> Any:
        """Called by submitit shortly before the time limit: lets the run save its iteration; the task goes on later."""
        from submitit.helpers import DelayedSubmission

        if process := self.job.process:
            process.terminate()
            with suppress(ChildProcessError):  # it has ended, and __call__ has seen that
                os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        self.job.process = None
        return DelayedSubmission(self)


def requeue_if_preempted() -> None:
    """Puts a task back into the queue that SLURM has only asked to end: within its time of grace before a preemption.

    Where SLURM ends a task itself (scancel, scontrol requeue, preemption at once), its state has changed by now.
    """
    import submitit

    task = submitit.JobEnvironment()
    if task.cluster == "slurm" and (queued([task.job_id]) or {}).get(task.job_id) == "RUNNING":
        subprocess.run(["scontrol", "requeue", task.job_id], check=False)


def queued(ids: Sequence[str]) -> dict[str, str] | None:
    """States of those tasks that SLURM has in its queue; None if it does not say."""
    jobs = ",".join(sorted({name.partition("_")[0] for name in ids}))
    command = ["squeue", "--noheader", "--array", f"--jobs={jobs}", "--format=%i %T"]
    answer = subprocess.run(command, capture_output=True, encoding="utf-8", errors="replace", check=False)
    if answer.returncode and "Invalid job id" not in answer.stderr:
        return None
    return dict(line.split() for line in answer.stdout.splitlines())


def submit_jobs(jobs: Sequence[Job], parameters: Path, retry: bool) -> bool:
    """Submits the jobs that have no result yet and shows how far all are; whether all have one in the end.

    Args:
        parameters: a YAML file of submitit's: `cluster` (slurm, or local for processes of this machine) and what its
            AutoExecutor.update_parameters takes.
        retry: submit runs that have failed before, too.

    Raises:
        BadInput: if the file is missing or has something else in it, or there is no such cluster.
        KeyboardInterrupt: after Ctrl-C; what was submitted goes on.
    """
    try:
        import submitit
    except ImportError as error:
        raise BadInput("--submit needs submitit: pip install -e '.[cluster]'") from error
    parameters = find_file(parameters)
    if not parameters.is_file():
        raise BadInput(f"--submit {parameters}: there is no such file (experiments/clusters/slurm.yaml is an example)")
    settings = read_yaml(parameters) or {}
    if not isinstance(settings, dict) or not all(isinstance(name, str) for name in settings):
        raise BadInput(f"--submit {parameters}: expected names and values of submitit's parameters")
    make_folder(LOGS)
    for job in jobs:
        make_folder(job.folder)
        job.look(retry)
    try:
        cluster = settings.pop("cluster", "slurm")
        tasks = queued_tasks(jobs) if cluster == "slurm" else {}
        waiting = [job for job in jobs if job.state == "waiting" and job.name not in tasks]
        # The one parameter that its executor takes when it is made.
        limits = {name: settings.pop(name) for name in list(settings) if name.endswith("max_num_timeout")}
        executor = submitit.AutoExecutor(str(LOGS), cluster=cluster, **limits)
        executor.update_parameters(**settings)
        submitted = []
        if waiting:
            with executor.batch():
                submitted = [executor.submit(Task(job)) for job in waiting]
    except (TypeError, ValueError, NameError, RuntimeError, AssertionError) as error:
        raise BadInput(f"--submit {parameters}: {error}") from error
    except (submitit.core.utils.FailedJobError, FileNotFoundError) as error:
        raise BadInput(f"--submit {parameters}: the cluster took no jobs: {error}") from error
    if tasks:
        print(f"{len(tasks)} runs are in the queue already", flush=True)
    if submitted:
        print(f"submitted {len(submitted)} runs as {submitted[0].job_id.partition('_')[0]}", flush=True)
    for job, task in zip(waiting, submitted, strict=True):
        write_text(job.task, task.job_id + "\n")
        tasks[job.name] = task
    with watched(jobs) as say:
        try:
            watch(jobs, tasks, say)
        except KeyboardInterrupt:
            print("what was submitted goes on; the same command shows how far it is", file=sys.stderr)
            raise
    return all(job.done for job in jobs)


def queued_tasks(jobs: Sequence[Job]) -> dict[str, Any]:
    """The tasks, by the job's name, that an earlier call has submitted and SLURM still has in its queue."""
    from submitit import SlurmJob

    ids = {job.name: job.task.read_text(encoding="utf-8").strip() for job in jobs if job.task.exists()}
    queue = queued(list(ids.values())) if ids else None
    return {name: SlurmJob(LOGS, task) for name, task in ids.items() if queue and task in queue}


def watch(jobs: Sequence[Job], submitted: dict[str, Any], say: Callable[[Job], None]) -> None:
    """Follows the jobs by their folders, and by submitit where a task, by the job's name, ended without a word."""
    from submitit import SlurmJob

    slurm = any(isinstance(task, SlurmJob) for task in submitted.values())
    while True:
        queue = queued([task.job_id for task in submitted.values()]) if slurm else None
        for job in jobs:
            before, task = job.state, submitted.get(job.name)
            ended = task is not None and (task.job_id not in queue if queue is not None else task.done())
            if job.state in ("waiting", "elsewhere", "running"):
                job.look()
                if job.state == "waiting" and ended:
                    if job.log.exists() and last_line(job.log) == INTERRUPTED:
                        job.state = "stopped"  # by scancel
                    else:
                        job.fail(reason(task))
                if job.state == "elsewhere" and task is not None:
                    job.state = "running"
                if job.state != before:
                    say(job)
        if not any(job.state in ("waiting", "elsewhere", "running") for job in jobs):
            return
        time.sleep(SECONDS_BETWEEN_LOOKS)


def reason(task: Any) -> str:
    """Why a task ended without a result."""
    errors = Path(task.paths.stderr)
    said = errors.read_text(encoding="utf-8", errors="replace").strip().splitlines() if errors.exists() else []
    return f"task {task.job_id} is {task.state.lower()}" + (f": {said[-1]}" if said else "")
