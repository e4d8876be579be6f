"""What this package does to the insides of its libraries, each with the reason and the version in which it was seen.

Nothing else in the package reads or sets a private attribute of a library. tests/test_compat.py fails where an update
changes what is relied upon here. Nothing is imported here: each function gets the object that it looks into.
"""

from typing import Any


def run_validation(trainer: Any) -> None:
    """Runs one evaluation of a Trainer that is about to train.

    Lightning does not make up for the evaluation that was due at a checkpoint's iteration, and has no way to ask for
    one (2.6.6).
    """
    loop = trainer.fit_loop.epoch_loop.val_loop
    before = loop._has_run  # at the end of an epoch, Lightning waits for an evaluation of its own
    trainer.validating = True
    loop.restarting = False  # or it would leave out the images that the evaluation before has counted
    loop.run()
    trainer.training = True
    loop._has_run = before
