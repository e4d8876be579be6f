"""The degradation problem in one sentence: what depth costs in training error, without and with shortcuts."""

from resnet_lightning.reporting.cells import mean_error
from resnet_lightning.reporting.setting_tables import Networks


def degradation_sentence(networks: Networks) -> str:
    """The training errors (points of percent) of the shallowest and the deepest network, plain and ResNet (option A).

    Both depths must have finished in both families; otherwise the sentence is empty.
    """
    means = {name: mean_error(own, "train") for name, own in networks.items()}
    found = {name: error for name, error in means.items() if error is not None}
    depths = {own[0].depth for own in networks.values()}
    both = sorted(depth for depth in depths if {f"plain-{depth}", f"ResNet-{depth}"} <= found.keys())
    if len(both) < 2:
        return ""
    low, high = both[0], both[-1]
    plain = round(found[f"plain-{high}"] - found[f"plain-{low}"], 2)
    residual = round(found[f"ResNet-{high}"] - found[f"ResNet-{low}"], 2)
    if plain <= 0:
        return (
            f"No degradation is seen in these runs: the training error of plain-{high} is "
            f"{_beside(plain)} that of plain-{low}; of ResNet-{high}, {_beside(residual)} that of ResNet-{low}."
        )
    if residual <= 0:
        effect = f"{f'gains {_points(-residual)}' if residual else 'costs nothing'}: they remove the whole gap"
    elif residual < plain:
        effect = f"costs {_points(residual)}: they remove {100 * (1 - residual / plain):.0f} % of the gap"
    else:
        effect = f"costs {_points(residual)}: they remove none of the gap"
    return (
        f"Degradation: plain-{high} has {_points(plain)} more training error than plain-{low}; with shortcuts the same "
        f"step in depth {effect}."
    )


def _points(difference: float) -> str:
    return f"{difference:.2f} points"


def _beside(difference: float) -> str:
    if not difference:
        return "equal to"
    return f"{_points(abs(difference))} {'above' if difference > 0 else 'below'}"
