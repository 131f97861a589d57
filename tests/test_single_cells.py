"""What a row says of single columns."""

import pytest
from pydantic import ValidationError

from papertext import ROOT
from retrace.plan.cell import CostCell
from retrace.plan.items import Table
from retrace.plan.plan import Plan


def test_a_row_may_say_more_of_single_columns():
    cells = Plan(ROOT, "paper").cells("gta", "table-1")
    row = {
        dict(cell.place.axes)["column"]: cell for cell in cells if ("row", "slowfast-r50") in cell.place.axes
    }
    for column in ("flops", "parameters"):
        definition = row[column].definition
        assert isinstance(definition, CostCell)
        assert (definition.frames, definition.side, definition.model.family) == (64, 256, "slowfast")
    others = [cell.definition for cell in cells if ("row", "r2d-50-gta") in cell.place.axes]
    assert (others[0].frames, others[0].side) == (8, 224)


def test_a_column_that_is_not_there_is_a_mistake():
    table = {
        "number": "Table 1",
        "title": "t",
        "place": "p",
        "header": "h",
        "columns": [{"key": "flops", "label": "FLOPs", "unit": "G"}],
        "rows": [{"key": "a", "label": "A", "published": [1], "cells": {"flop": "no"}}],
    }
    with pytest.raises(ValidationError, match="no column 'flop'; did you mean 'flops'"):
        Table.model_validate(table)
