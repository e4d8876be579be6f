"""Jobs are run here, submitted to a cluster, or printed, as the options say."""

import shlex
import sys
from collections.abc import Callable, Sequence

import jsonargparse

from resnet_lightning.studies.execution.jobs import Job
from resnet_lightning.studies.execution.preparation import Machine, prepare, refuse_edited
from resnet_lightning.studies.execution.runner import run_jobs


def exit_status(work: Callable[[], bool]) -> int:
    """The exit status of a command that does this work: 0 if it is complete, 1 if something is missing, 130 stopped."""
    try:
        return 0 if work() else 1
    except KeyboardInterrupt:
        print("interrupted: the same command goes on from the last checkpoints", file=sys.stderr)
        return 130


def carry_out(jobs: Sequence[Job], options: jsonargparse.Namespace, check: bool = False) -> bool:
    """Runs, submits or prints the jobs; whether all have a result in the end.

    Args:
        check: settings and data before anything starts; a study with nothing left to run is spared that.
    """
    for job in jobs:
        job.look(options.retry)
    if check:
        refuse_edited(jobs)
    if options.print:
        print_jobs(jobs, options.retry)
        return True
    waiting = any(not job.done for job in jobs)
    machine = prepare(jobs if check else [], here=not options.submit) if waiting else Machine()
    if options.submit:
        from resnet_lightning.studies.execution.submit import submit_jobs  # submitit is not everybody's

        return submit_jobs(jobs, options.submit, options.retry)
    return run_jobs(jobs, options.jobs, machine, options.retry)


def print_jobs(jobs: Sequence[Job], retry: bool) -> None:
    """One command line for each job that is neither done nor being worked on."""
    for job in jobs:
        job.look(retry)
        if job.state == "waiting":
            print(shlex.join(job.line))
