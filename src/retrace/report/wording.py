"""How numbers and places are written, and how text from pages is made safe for Markdown and LaTeX."""

from retrace.plan.cell import DifferenceCell, EnsembleCell
from retrace.plan.expand import Cell
from retrace.plan.plan import Plan
from retrace.report.outcome import Outcome
from retrace.report.verdict import Verdict, quoted

DASH = "\N{EN DASH}"
MINUS = "\N{MINUS SIGN}"
_UNITS = {"top1": "%", "top5": "%", "mean_class": "%", "ratio": "ratio", "map": "videos"}
_DECIMALS = {"%": 1, "ratio": 3, "gmacs": 2, "fraction": 2}
_ARROWS = {"higher": " ↑", "lower": " ↓", None: ""}
_SUPERSCRIPT = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")
_MARKDOWN = str.maketrans({c: f"\\{c}" for c in "\\`*_[]|"} | {"<": "&lt;", ">": "&gt;", "\n": " "})
_LATEX = str.maketrans(
    {c: f"\\{c}" for c in "&%$#_{}"}
    | {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
    | {"<": r"\textless{}", ">": r"\textgreater{}", "\n": " "}
    | {DASH: "--", MINUS: r"$-$", "±": r"$\pm$", "↑": r"$\uparrow$", "↓": r"$\downarrow$"}
)


def number(value: float | int | str | None, unit: str, decimals: int | None) -> str:
    """Return `value` with the decimals of its column, else those usual for its unit; a dash for None."""
    if value is None:
        return DASH
    if isinstance(value, str):
        return value
    decimals = _DECIMALS.get(unit) if decimals is None else decimals
    if decimals is None:
        return f"{value:,}" if isinstance(value, int) else f"{value:.4g}"
    return f"{value:,.{decimals}f}"


def ours(outcome: Outcome, unit: str, decimals: int | None) -> str:
    """Return our number, with its 95 % interval where it is trained."""
    text = number(outcome.value, unit, decimals)
    if outcome.low is None:
        return text
    return f"{text} [{number(outcome.low, unit, decimals)}, {number(outcome.high, unit, decimals)}]"


def published(cell: Cell, unit: str, decimals: int | None) -> str:
    """Return the paper's number; with its source where it is not printed in the text we hold."""
    printed = quoted(cell.published)
    if printed is None:
        return DASH
    text = _as_printed(printed.value) if decimals is None else number(printed.value, unit, decimals)
    return text if printed.source == "paper" else f"{text}, {printed.source.replace('_', ' ')}"


def _as_printed(value: float | int | str) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)


def verdict(found: Verdict, unit: str, decimals: int | None) -> str:
    """Return the verdict without its reason; where it is above or below, by how much."""
    if not found.strikes or found.difference is None:
        return found.short
    sign = "+" if found.difference > 0 else MINUS
    return f"{found.short} {sign}{number(abs(found.difference), unit, decimals)}"


def unit_of(cell: Cell) -> str:
    """Return the unit of a cell of a figure, which has no column to say it."""
    match cell.definition:
        case None:
            return ""
        case DifferenceCell():
            return "points"
        case EnsembleCell():
            return "%"
    return _UNITS.get(cell.definition.measure, "")


def heading(label: str, unit: str, better: str | None) -> str:
    """Return the head of a column: label, unit and an arrow to the better side."""
    silent = unit in ("", "text", "ratio", "count") or unit.lower() == label.lower()
    return f"{label}{'' if silent else f' ({unit})'}{_ARROWS[better]}"


def scale_line(plan: Plan) -> str:
    """Return one sentence that says what the scale of `plan` means."""
    return f"Scale {plan.scale}: {plan.overlay.title}. {plan.overlay.says}"


def superscripts(marks: list[int]) -> str:
    """Return footnote numbers as superscripts."""
    return " ".join(str(mark).translate(_SUPERSCRIPT) for mark in marks)


def markdown(text: str) -> str:
    """Return `text` so that Markdown shows it as it is."""
    return text.translate(_MARKDOWN)


def latex(text: str) -> str:
    """Return `text` so that LaTeX shows it as it is."""
    return text.translate(_LATEX)
