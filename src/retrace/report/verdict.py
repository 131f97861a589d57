"""Whether our number is the paper's number: one pure function."""

from decimal import Decimal
from typing import NamedTuple

from retrace.plan.items import Column, Published, Quoted
from retrace.report.outcome import Outcome

COVERAGE_TOLERANCE = 0.01
_ROUNDING = 1e-9
"""Binary fractions: 45.2 - 45.1 is not 0.1."""


class Verdict(NamedTuple):
    """`word` is one of WORDS. `reason` belongs to failed and not run; `source` says where the compared
    number comes from, if it is not printed in the text we hold."""

    word: str
    difference: float | int | None = None
    reason: str = ""
    source: str = ""

    @property
    def short(self) -> str:
        """The verdict without its reason; with its source, so that quoted and printed stay apart."""
        return f"{self.word} ({self.source.replace('_', ' ')})" if self.source else self.word

    @property
    def strikes(self) -> bool:
        """Whether a reader should stop here: something differs, or went wrong."""
        return self.word in ("above", "below", "differs", "other data", "failed")


WORDS = (
    *("match", "above", "below", "differs", "other data", "other hardware"),
    *("demo", "unprinted", "cited", "failed", "not run"),
)
"""`differs`: of texts. `other data`: more than 1 % of the clips are missing or too many. `other hardware`: a
speed or memory on another card than the paper's. `demo`: trained or
counted at a scale that is not comparable. `unprinted`: we have a number and the paper prints none. `cited`:
other work's number, which nobody here runs."""


def quoted(published: Published) -> Quoted | None:
    """Return `published` with its origin, or None if nothing is published."""
    if published is None or isinstance(published, Quoted):
        return published
    return Quoted(value=published, source="paper", why="")


def verdict(published: Published, outcome: Outcome, column: Column | None, *, comparable: bool) -> Verdict:
    """Return how our `outcome` compares with the `published` number of a cell.

    It is a match if the two lie no farther apart than the column's tolerance, half a unit in the last
    printed digit (integers: none) or, where trained, half the width of the 95 % interval, whichever is
    the most. `comparable` says whether the scale's trained numbers may be compared at all.
    """
    if outcome.state != "measured":
        return Verdict(outcome.state, reason=outcome.reason)
    if outcome.coverage is not None and abs(outcome.coverage - 1) > COVERAGE_TOLERANCE + _ROUNDING:
        return Verdict("other data")
    printed = quoted(published)
    if printed is None:
        return Verdict("unprinted")
    if outcome.scaled and not comparable:
        return Verdict("demo")
    if outcome.elsewhere:
        return Verdict("other hardware")
    source = "" if printed.source == "paper" else printed.source
    if isinstance(printed.value, str) and isinstance(outcome.value, str):
        same = _plain(printed.value) == _plain(outcome.value)
        return Verdict("match" if same else "differs", source=source)
    if isinstance(printed.value, str) or isinstance(outcome.value, str):
        return Verdict("unprinted")
    assert outcome.value is not None
    difference = outcome.value - printed.value
    if abs(difference) <= tolerance(printed.value, outcome, column) + _ROUNDING:
        return Verdict("match", difference, source=source)
    return Verdict("above" if difference > 0 else "below", difference, source=source)


def _plain(text: str) -> str:
    """Return a text without what does not change its meaning: case and the width of gaps."""
    return " ".join(text.casefold().split())


def tolerance(published: float | int, outcome: Outcome, column: Column | None) -> float:
    """Return how far `outcome` may lie from `published` and still match, in the unit of the cell."""
    declared = (column.tolerance or 0.0) if column else 0.0
    both_whole = isinstance(published, int) and isinstance(outcome.value, int)
    half_a_digit = 0.0 if both_whole else 0.5 * 10.0 ** -_decimals(published, column)
    trained = outcome.low is not None and outcome.high is not None
    half_width = (outcome.high - outcome.low) / 2 if trained else 0.0  # type: ignore[operator]
    return max(declared, half_a_digit, half_width)


def _decimals(published: float | int, column: Column | None) -> int:
    if column is not None and column.decimals is not None:
        return column.decimals
    return -int(Decimal(str(published)).as_tuple().exponent)
