"""Training: Architecture, fit and the Ensemble of restarts it returns."""

from mlpreport.training.architecture import Architecture
from mlpreport.training.ensemble import Ensemble, Restart
from mlpreport.training.fitting import fit
from mlpreport.training.methods import METHODS

__all__ = ["METHODS", "Architecture", "Ensemble", "Restart", "fit"]
