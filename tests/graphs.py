"""Small space-time graphs for tests."""

from retrace.plan.model import SpaceTimeGraph

VARIANTS = ("space-only", "time-only", "homogenous", "one-temporal-stage", "all-temporal-stages")


def graph(**change) -> SpaceTimeGraph:
    """The graph for SyncMNIST, of little width, with some of its values changed."""
    standard = {
        "width": 8,
        "scales": 3,
        "iterations": 3,
        "variant": "all-temporal-stages",
        "positions": False,
        "adjacency": "soft",
        "gather": "additive",
        "update": "shared",
        "norm": "batch",
    }
    return SpaceTimeGraph(**(standard | change))
