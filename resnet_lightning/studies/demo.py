"""The degradation in minutes, on handwritten digits; not an experiment of the paper, but its section 4.2 in small."""

from resnet_lightning.reporting.figures import CURVES, family_curves
from resnet_lightning.studies import Drawing, Study
from resnet_lightning.studies.degradation import tables

STUDY = Study(
    title="Degradation on handwritten digits: plain and residual networks of 20 and 56 layers",
    section="4.2",
    experiments=("digits/plain56", "digits/resnet56", "digits/plain20", "digits/resnet20"),
    evaluations=(),
    command="",
    tables=tables,
    figures={"": Drawing(family_curves, CURVES)},
)
