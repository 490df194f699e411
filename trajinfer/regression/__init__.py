"""Regression on plain features: ridge, kernel ridge and boosted trees as arrays."""

from trajinfer.regression.boosted_trees import BoostedTrees, BoostingSettings
from trajinfer.regression.kernel_ridge import KernelRidge, fit_kernel_ridge
from trajinfer.regression.ridge import RidgeMap, fit_ridge
from trajinfer.regression.ridge_by_parts import LinearMaps, fit_ridge_by_parts

__all__ = [
    "BoostedTrees",
    "BoostingSettings",
    "KernelRidge",
    "LinearMaps",
    "RidgeMap",
    "fit_kernel_ridge",
    "fit_ridge",
    "fit_ridge_by_parts",
]
