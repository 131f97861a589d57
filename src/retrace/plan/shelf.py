"""What the cells of one paper are made from, at one scale."""

from collections.abc import Mapping
from typing import NamedTuple

from retrace.plan.datasets import Dataset
from retrace.plan.library import Library
from retrace.plan.load import Document
from retrace.plan.page import Paper
from retrace.plan.scale import Shrink


class Shelf(NamedTuple):
    """The datasets and one paper's page.

    `page` and `datasets` (those of clips) are as the scale has them, `full` is the page as the paper has it;
    `stand_ins` are generated videos, by the real ones.
    """

    key: str
    page: Paper
    full: Paper
    document: Document
    datasets: Mapping[str, Dataset]
    library: Library
    stand_ins: Mapping[str, str]
    shrink: Shrink
    overlay: Document
    scale: str
