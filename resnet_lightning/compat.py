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


def exchange_compiled(network: Any, code: Any) -> Any:
    """Puts other code in the place of what torch.compile has made of a network; None calls its own forward.

    Hooks of modules inside are not called by compiled code, and torch has no way to switch it off for a while (2.14).

    Returns:
        the code before, for the next exchange.
    """
    before, network._compiled_call_impl = network._compiled_call_impl, code
    return before


def storage_identity(tensor: Any) -> int:
    """A number for the memory of a tensor, equal for all views of it.

    On the meta device all addresses are 0; this is that of torch's own object (2.14).
    """
    return int(tensor.untyped_storage()._cdata)


def norms(tensors: Any) -> Any:
    """The Euclidean norm of each tensor, all in a few kernels, as clip_grad_norm_ takes them (2.14)."""
    import torch

    return torch._foreach_norm(tensors)


def change_class(module: Any, new: type) -> None:
    """Makes a module one of a subclass that has no other state, so that hooks and all that is set on it stay (2.14).

    Python allows it, and torch keeps nothing of a module's class in it; a new module would be another object.
    """
    module.__class__ = new


def record_offline(logger: Any) -> None:
    """Lets Lightning's WandbLogger begin its run offline; its settings are taken at construction (Lightning 2.6.6)."""
    logger._wandb_init["settings"].mode = "offline"


def without_anonymous(logger: Any) -> None:
    """Takes out an argument that Lightning (2.6.6) still passes and of which wandb (0.31) warns every time."""
    logger._wandb_init.pop("anonymous", None)


def name_host(lock: Any, host: str) -> None:
    """Lets a lock of flufl.lock go by another name of this host than the full one (9.1).

    That may be "localhost" on every node, and a process number means something within one boot and container only.
    """
    lock._hostname = host
    lock._set_claimfile()


def break_unreadable(lock: Any) -> None:
    """Lets a lock of flufl.lock break one that says nothing, which it respects for ever (9.1).

    A machine that lost its power may leave it empty, or zeros.
    """
    from pathlib import Path

    from flufl.lock import NotLockedError

    usual = lock._break

    def break_lock() -> None:
        try:
            _ = lock.details
        except (NotLockedError, ValueError):
            Path(lock._lockfile).unlink(missing_ok=True)
        else:
            usual()

    lock._break = break_lock


def option_names(parser: Any) -> list[str]:
    """The dotted names of a parser's options: argparse gives no list of them (Python 3.11)."""
    return [action.dest for action in parser._actions]


def read_configurations_as_utf8() -> None:
    """Lets jsonargparse read files as UTF-8, whatever the terminal's encoding, which it takes (4.53)."""
    from pathlib import Path

    import jsonargparse

    files: Any = jsonargparse.Path  # type: ignore[attr-defined]
    usual = files.read_text

    def read_text(path: Any) -> str:
        is_file = not (path._std_io or path._is_url or path._is_fsspec)
        return Path(path._absolute).read_text(encoding="utf-8") if is_file else usual(path)

    if usual.__module__ != __name__:
        files.read_text = read_text


def changes_its_inputs(operation: Any) -> bool:
    """Whether one of torch's operations writes into a tensor that it is given: only its schema says so."""
    return bool(operation._schema.is_mutable)
