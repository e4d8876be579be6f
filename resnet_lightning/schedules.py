"""Learning rate as a closed-form function of the iteration, so that a resumed run cannot get it wrong (section 4.2)."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

from resnet_lightning.errors import BadInput


class Schedule:
    """What the base learning rate is multiplied with at an iteration, the first being 0.

    What it is told, and when, follows from its own settings, never from how often something is logged or evaluated.

    Args:
        iterations: length of the whole run.
    """

    # Iterations between two looks at the error of the training images since the last look; None for no looks.
    looks_every: int | None = None
    # Iterations between two looks at the validation error; None for no looks.
    evaluates_every: int | None = None

    def __init__(self, iterations: int) -> None:
        if iterations < 1:
            raise BadInput(f"trainer.max_steps {iterations}: expected the number of iterations, at least 1")
        self.iterations = iterations

    @abstractmethod
    def __call__(self, iteration: int) -> float: ...

    def state(self) -> dict[str, Any]:
        """What it has seen and has to know when a run goes on, by attribute: it travels with the checkpoint."""
        return {}

    def observe(self, iteration: int, train_error: float) -> None:
        """Told the training error (percent), at each multiple of looks_every."""

    def observe_validation(self, iteration: int, error: float) -> None:
        """Told the validation error (percent), at each multiple of evaluates_every."""


class Steps(Schedule):
    """The paper's: divide by 10 at 32k and 48k of 64k iterations, after a warm-up for the 110-layer network.

    Args:
        iterations: length of the whole run.
        drops: where the rate falls, as fractions of the run.
        factor: what it is multiplied with at each drop.
        warmup_factor: what it is multiplied with during the warm-up.
        warmup_iterations: a warm-up of fixed length.
        warmup_until_error: or one that ends when the training error (percent) is below this.
        warmup_check_every: iterations between two looks at that error, over the images since the look before.
    """

    def __init__(
        self,
        iterations: int,
        drops: Sequence[float] = (0.5, 0.75),
        factor: float = 0.1,
        warmup_factor: float = 0.1,
        warmup_iterations: int = 0,
        warmup_until_error: float | None = None,
        warmup_check_every: int = 100,
    ) -> None:
        super().__init__(iterations)
        if warmup_check_every < 1:
            raise BadInput(f"warmup_check_every {warmup_check_every}: expected a number of iterations, at least 1")
        if any(not 0 < drop <= 1 for drop in drops):
            raise BadInput(f"drops {list(drops)}: expected fractions of the run, between 0 and 1")
        self.drops = [round(drop * iterations) for drop in drops]
        self.factor = factor
        self.warmup_factor = warmup_factor
        self.warmup_until_error = warmup_until_error
        self.warmup_check_every = warmup_check_every
        # The iteration at which the warm-up ends: None while that is not known yet.
        self.warmup_end: int | None = None if warmup_until_error is not None else warmup_iterations

    @property
    def looks_every(self) -> int | None:  # type: ignore[override]
        return self.warmup_check_every if self.warmup_end is None else None

    def __call__(self, iteration: int) -> float:
        rate = self.factor ** sum(iteration >= drop for drop in self.drops)
        warm = self.warmup_end is None or iteration < self.warmup_end
        return rate * self.warmup_factor if warm else rate

    def state(self) -> dict[str, Any]:
        return {} if self.warmup_until_error is None else {"warmup_end": self.warmup_end}

    def observe(self, iteration: int, train_error: float) -> None:
        if self.warmup_end is None and self.warmup_until_error is not None and train_error < self.warmup_until_error:
            self.warmup_end = iteration


class Plateau(Schedule):
    """The paper's words for ImageNet: divide by 10 when the validation error plateaus (section 3.4).

    Args:
        iterations: length of the whole run.
        factor: what the rate is multiplied with at each plateau.
        patience: so many looks in a row without a new best error are a plateau.
        threshold: a new best must be better by so many points of percent.
        every: iterations between two looks, a 120th of the run by default; evaluations between them do not count.
    """

    def __init__(
        self,
        iterations: int,
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 0.1,
        every: int | None = None,
    ) -> None:
        super().__init__(iterations)
        if every is not None and every < 1:
            raise BadInput(f"every {every}: expected a number of iterations, at least 1")
        if patience < 1:
            raise BadInput(f"patience {patience}: expected a number of evaluations, at least 1")
        self.evaluates_every = every or max(1, iterations // 120)
        self.factor = factor
        self.patience = patience
        self.threshold = threshold
        # An evaluation that is repeated after an interruption counts once.
        self.drops: list[int] = []
        self.best = float("inf")
        self.waited = 0
        self.seen = 0

    def __call__(self, iteration: int) -> float:
        return self.factor ** sum(iteration >= drop for drop in self.drops)

    def state(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in ("drops", "best", "waited", "seen")}

    def observe_validation(self, iteration: int, error: float) -> None:
        if iteration <= self.seen:
            return
        self.seen = iteration
        if error < self.best - self.threshold:
            self.best, self.waited = error, 0
            return
        self.waited += 1
        if self.waited >= self.patience:
            self.drops.append(iteration + 1)  # the rate of the next iteration is set already
            self.waited = 0


class Triangle(Schedule):
    """For short runs: up in a straight line over the first part of the run, then down to zero.

    Args:
        iterations: length of the whole run.
        warmup: the first part, as a fraction of the run.
    """

    def __init__(self, iterations: int, warmup: float = 0.2) -> None:
        super().__init__(iterations)
        if not 0 <= warmup < 1:
            raise BadInput(f"warmup {warmup}: expected a fraction of the run, at least 0 and below 1")
        self.top = warmup * iterations

    def __call__(self, iteration: int) -> float:
        done = iteration + 1  # the first iteration learns, and so does the last
        if done <= self.top:
            return done / self.top
        return (self.iterations + 1 - done) / (self.iterations + 1 - self.top)
