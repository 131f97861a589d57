"""Matrices over time: what is drawn is what was kept."""

import numpy as np

from retrace.evaluate.pictures import Pictures
from retrace.plan.expand import Cell, Place
from retrace.plan.items import Figure
from retrace.report import matrices
from retrace.report.maps import Shown

FIGURE = Figure.model_validate(
    {
        "number": "Figure 5",
        "title": "Matrices",
        "place": "p",
        "draw": "matrices",
        "x_label": "input frame",
        "y_label": "output frame",
        "panels": [{"key": "a", "label": "A"}, {"key": "b", "label": "B"}],
    }
)


def test_rows_are_output_frames_and_a_panel_without_a_run_says_so():
    matrix_TT = np.arange(9.0).reshape(3, 3)
    pictures = Pictures(
        ("v",),
        np.array([0]),
        np.array([0]),
        np.zeros((1, 3, 4, 4, 3), np.uint8),
        {"temporal matrix": matrix_TT[None, :, None]},
    )
    cell = Cell(Place("paper", "figure-5", (("panel", "a"),)), None)
    drawing = matrices.draw(FIGURE, "title", ["Scale demo."], [Shown("A", cell, pictures, ("one",))])
    full, empty = drawing.axes[:2]
    np.testing.assert_array_equal(full.images[0].get_array(), matrix_TT)
    assert [tick.get_text() for tick in full.get_xticklabels()] == ["1", "2", "3"]
    assert not empty.images
    assert [text.get_text() for text in empty.texts] == ["no trained model"]
