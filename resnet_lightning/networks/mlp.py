"""Where textbooks show vanishing gradients: a network of many layers of sigmoids, without or with skip connections."""

import torch
from torch import Tensor, nn


class SigmoidMLP(nn.Module):
    """Linear layers with a sigmoid after each but the last; with skip connections h + sigmoid(W h) instead.

    Vectors [B, width] become class scores (logits) [B, classes]. Weights are normal with variance 1 / fan-in, and there
    are no biases, so that three layers can be calculated by hand.

    Args:
        depth: number of linear layers.
        width: of every layer but the last, and of the input.
        classes: number of scores.
        skip: whether what goes into a hidden layer is added to what comes out.
    """

    def __init__(self, depth: int, width: int, classes: int, skip: bool) -> None:
        super().__init__()
        self.skip = skip
        self.hidden = nn.ModuleList(nn.Linear(width, width, bias=False) for _ in range(depth - 1))
        self.last = nn.Linear(width, classes, bias=False)
        for layer in (*self.hidden, self.last):
            nn.init.normal_(layer.weight, std=width**-0.5)

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.hidden:
            answer = torch.sigmoid(layer(x))
            x = x + answer if self.skip else answer
        return self.last(x)  # type: ignore[no-any-return]
