"""How the fragments of a cell's definition add up."""

import pytest

from retrace.plan.merge import merge

R2D = {
    "model": {"family": "attention-cnn", "width": 64, "blocks": {"time": {"kind": "tape", "code": "none"}}}
}


def test_the_later_of_two_stands_and_a_null_takes_away():
    changed = merge(R2D, {"model": {"width": 8}}, {"model": {"blocks": None}})
    assert changed == {"model": {"family": "attention-cnn", "width": 8}}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"family": "slowfast", "alpha": 4}, {"family": "slowfast", "alpha": 4}),
        ({"family": "attention-cnn", "width": 8}, R2D["model"] | {"width": 8}),
        (
            {"blocks": {"time": {"kind": "gta"}}},
            R2D["model"] | {"blocks": {"time": {"kind": "gta"}}},
        ),
    ],
)
def test_another_family_or_kind_keeps_nothing_of_the_one_before(change, expected):
    assert merge(R2D, {"model": change}) == {"model": expected}


def test_a_family_joins_what_was_said_before_without_one():
    assert merge({"model": {"hidden": 4}}, {"model": {"family": "cnn3d"}}) == {
        "model": {"hidden": 4, "family": "cnn3d"}
    }
