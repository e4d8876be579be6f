"""The two ways in which a run stops for a reason that the user should read in one line."""


class BadInput(ValueError):
    """Something given by the user cannot be used: the message says what, where, and what would be right."""


class Diverged(ArithmeticError):
    """The training loss is no longer a finite number.

    Args:
        iteration: completed iterations when it was noticed.
        loss: the mean loss (nats) since the previous look.
    """

    def __init__(self, iteration: int, loss: float) -> None:
        super().__init__(f"diverged: the training loss is {loss} at iteration {iteration:,}")
        self.iteration = iteration
