"""Drawing matrices over time: what each output frame takes from each input frame, one panel a cell."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure as Drawing

from retrace.plan.items import Figure
from retrace.report.canvas import canvas, label_axes, say
from retrace.report.maps import Shown

_COLOURS = "Blues"


def draw(figure: Figure, title: str, captions: Sequence[str], shown: Sequence[Shown]) -> Drawing:
    """Return the drawing; darker is larger, each panel from 0 to its largest value.

    The first of `captions` goes below the title, the rest to the foot. A panel without a run says so.
    """
    found = {dict(one.cell.place.axes).get("panel"): one for one in shown}
    made = canvas(len(figure.panels), title, captions, [])
    for panel, ax in zip(figure.panels, made.axes, strict=True):
        ax.set_title(panel.label, parse_math=False)
        ax.grid(visible=False)
        if panel.key not in found:
            say(ax, "no trained model")
            ax.set_axis_off()
            continue
        (maps_NTRC,) = found[panel.key].pictures.maps_NTRC.values()
        matrix_TT = maps_NTRC[0, :, 0]
        ticks = np.arange(len(matrix_TT))
        ax.imshow(matrix_TT, cmap=_COLOURS, vmin=0, aspect="equal", interpolation="nearest")
        ax.set_xticks(ticks, [str(tick + 1) for tick in ticks])
        ax.set_yticks(ticks, [str(tick + 1) for tick in ticks])
    label_axes(made, figure.x_label, figure.y_label)
    return made.drawing
