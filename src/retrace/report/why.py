"""Where one number comes from: what was printed, what we made, from what, on what, and how again."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

from retrace.errors import UserError
from retrace.plan.cell import CountedCell
from retrace.plan.expand import Cell
from retrace.plan.identity import digest
from retrace.plan.items import Column, Figure, Item, Quoted, Table
from retrace.plan.layout import (
    COSTS,
    SPEEDS,
    TRAIN_LOG,
    answers_of,
    collection_folder,
    run_folder,
    view_folder,
)
from retrace.plan.maps import Maps
from retrace.plan.plan import Plan, target
from retrace.plan.spec import Run, VideoView, View
from retrace.plan.speed import SpeedCell
from retrace.plan.strict import nearest
from retrace.report import matched, rests_on, speed, wording
from retrace.report.claims import decide, in_words
from retrace.report.outcome import Outcome, of_imported, outcome
from retrace.report.results import Results
from retrace.report.verdict import verdict


def explain(plan: Plan, item: str, words: Sequence[str]) -> str:
    """Return where a number of `item` (``<paper>/<table or figure>``) comes from, or a claim's margin.

    `words` name the cell by keys or labels: row and column, or panel, series and x. Raises UserError
    with the nearest name where one is missing or unknown.
    """
    paper, _, key = item.partition("/")
    plan.require(paper)
    claims = plan.papers[paper].claims
    if key in claims and not words:
        return "\n".join(_claim(plan, paper, key))
    if key not in plan.items(paper):
        hint = nearest(key, [*plan.items(paper), *claims])
        raise UserError(f"{paper} has no table, figure or claim '{key}'; {hint}")
    content = plan.item(paper, key)
    if isinstance(content, Figure) and content.draw is None:
        return f"{paper}/{key}  {content.number}: {content.title}\nnot run: {content.not_run}"
    chosen = _choose(item, _axes(content), words)
    place = tuple((axis, entry.key) for axis, entry in chosen.items())
    cell = next(cell for cell in plan.cells(paper, key) if cell.place.axes == place)
    return "\n".join(_cell(plan, content, cell, chosen))


def _axes(item: Table | Figure) -> dict[str, tuple[Item, ...]]:
    if isinstance(item, Table):
        return {"row": item.rows, "column": item.columns}
    axes = {"panel": item.panels, "series": item.series, "x": item.x}
    return {axis: entries for axis, entries in axes.items() if entries}


def _choose(item: str, axes: dict[str, tuple[Item, ...]], words: Sequence[str]) -> dict[str, Item]:
    """Return the entry of each axis that `words` name: each word takes the first free axis that knows it."""
    chosen: dict[str, Item] = {axis: entries[0] for axis, entries in axes.items() if len(entries) == 1}
    for word in words:
        for axis, entries in axes.items():
            named = [entry for entry in entries if word.lower() in (entry.key.lower(), entry.label.lower())]
            if named and (axis not in chosen or len(entries) == 1):
                chosen[axis] = named[0]
                break
        else:
            free = [entry for axis, entries in axes.items() if axis not in chosen for entry in entries]
            raise UserError(f"{item} has no '{word}' left to choose; {nearest(word, _names(free))}")
    for axis, entries in axes.items():
        if axis not in chosen:
            keys = ", ".join(entry.key for entry in entries)
            raise UserError(f"{item}: which {axis}? Name one of {keys}")
    return {axis: chosen[axis] for axis in axes}


def _names(entries: Sequence[Item]) -> list[str]:
    return list(dict.fromkeys(name for entry in entries for name in (entry.label, entry.key)))


def _cell(plan: Plan, item: Table | Figure, cell: Cell, chosen: dict[str, Item]) -> Iterator[str]:
    place = cell.place
    column = chosen.get("column")
    column = column if isinstance(column, Column) else None
    unit = column.unit if column else wording.unit_of(cell)
    decimals = column.decimals if column else None
    found = outcome(cell, Results(plan.root))
    decided = verdict(cell.published, found, column, comparable=plan.overlay.comparable)
    named = ", ".join(f"{axis} {entry.label}" for axis, entry in chosen.items())
    yield f"{place.paper}/{place.item}  {named}"
    yield f"{plan.papers[place.paper].short} {item.number}: {item.title}"
    yield ""
    yield f"printed    {wording.published(cell, unit, decimals)}{_unit(unit)}  ({item.place})"
    if isinstance(cell.published, Quoted):
        source = "note" if cell.published.source == "paper" else cell.published.source.replace("_", " ")
        yield f"           {source}: {cell.published.why}"
    yield f"ours       {wording.ours(found, unit, decimals)}{_unit(unit)}{_spread(found, unit, decimals)}"
    reason = f": {found.reason}" if found.reason else ""
    yield f"verdict    {wording.verdict(decided, unit, decimals)}{reason}"
    yield from _imported(plan, cell, column, unit, decimals)
    notes = [entry.note for entry in chosen.values() if entry.note]
    yield from (f"note       {note}" for note in notes)
    yield ""
    yield from _making(plan, cell, found)
    yield f"remake     snakemake {target(place.paper, place.item)} --config scale={plan.scale}"
    yield from _rests(plan, cell)


def _imported(
    plan: Plan, cell: Cell, column: Column | None, unit: str, decimals: int | None
) -> Iterator[str]:
    """Yield what weights that others released score in the place of the cell's runs, and what they are."""
    results = Results(plan.root)
    found = of_imported(cell, results)
    if found is None:
        return
    decided = verdict(cell.published, found, column, comparable=plan.overlay.comparable)
    reason = f": {found.reason}" if found.reason else ""
    yield f"theirs     {wording.ours(found, unit, decimals)}{_unit(unit)}{_spread(found, unit, decimals)}"
    yield f"           {wording.verdict(decided, unit, decimals)}{reason}; not trained here"
    for run in cell.runs:
        if (told := results.imported(run)) is not None:
            assert cell.view is not None
            yield f"           {told.get('file')} of {told.get('source')}, SHA-256 {told.get('sha256')}"
            yield f"           {view_folder(run, cell.view, imported=True) / 'scores.parquet'}"


def _unit(unit: str) -> str:
    return "" if unit in ("", "ratio", "text", "count") else f" {unit}"


def _spread(found: Outcome, unit: str, decimals: int | None) -> str:
    if not found.n_seeds:
        return ""
    sd = "" if found.sd is None else f", sd {wording.number(found.sd, unit, decimals)}"
    seeds = f"{found.n_seeds} seed{'s' if found.n_seeds > 1 else ''}"
    clips = f"{found.n_clips} clips, {100 * (found.coverage or 0):.4g} % of those planned"
    return f"  (95 % interval; {seeds}{sd}; {clips})"


def _making(plan: Plan, cell: Cell, found: Outcome) -> Iterator[str]:
    if cell.definition is None:
        return
    yield f"made as    {json.dumps(cell.definition.model_dump(mode='json', exclude_none=True))}"
    if isinstance(cell.definition, CountedCell):
        counted = digest(cell.definition.network())
        yield f"counted    {COSTS.format(paper=cell.place.paper)}, entry {counted}"
    if isinstance(cell.definition, SpeedCell):
        yield from _speed(plan, cell.place.paper, cell.definition)
    if cell.segmenter is not None:
        yield f"segmenter  {cell.segmenter / 'segmenter.json'}"
    elif cell.collection is not None:
        yield f"counted    {collection_folder(cell.collection) / 'annotations.json'}"
    values = {} if cell.parts else {digest(run): value for run, value in found.per_seed}
    results = Results(plan.root)
    for one in cell.trained():
        for run in one.runs:
            assert one.asked is not None
            yield from _run(one.asked, run, values.get(digest(run)), results)


def _speed(plan: Plan, paper: str, cell: SpeedCell) -> Iterator[str]:
    measured = digest(cell.model_dump(exclude={"measure"}))
    yield f"measured   {SPEEDS.format(scale=plan.scale, paper=paper)}, entry {measured}"
    found = Results(plan.root).speeds(paper).get(measured, {})
    if "batch" in found:
        yield f"           {speed.in_words(found)}; batch {found['batch']}"
    for way, clips in found.get("variants", {}).items():
        yield f"           {way}: {clips if isinstance(clips, str) else f'{clips:.1f} clips/s'}"


def _run(asked: View | VideoView | Maps, run: Run, value: float | None, results: Results) -> Iterator[str]:
    folder = run_folder(run)
    none = "" if isinstance(asked, Maps) else "no scores yet"
    got = none if value is None else f"{value:.4g}"
    yield f"seed {run.seed:<5} {got}"
    if failure := results.failure(run):
        yield f"           failed: {failure}"
    yield f"           {folder / 'spec.json'}"
    yield f"           {answers_of(run, asked)}"
    train = results.of_run(run, "train.json")
    if train is not None:
        yield f"           {train.get('epochs', '?')} epochs, kept number {train.get('kept_epoch', '?')}"
        if not isinstance(asked, Maps) and (at := matched.in_words(run, asked, results)):
            yield f"           {at}"
    if (environment := results.of_run(run, "env.json")) is not None:
        yield f"           on {hardware(environment)}"
        yield from (f"           warning: {warning}" for warning in environment.get("warnings", ()))
    yield f"           log {TRAIN_LOG.format(dataset=folder.parent.name, run=folder.name)}"


def hardware(environment: dict[str, Any]) -> str:
    """Return in one line what env.json says a run was computed on."""
    torch = (environment.get("packages") or {}).get("torch")
    ranks = environment.get("ranks", 1)
    device = environment.get("gpu") or environment.get("cpu") or "unknown hardware"
    parts = [
        f"{ranks} x {device}" if ranks > 1 else device,
        f"{environment['nodes']} nodes" if environment.get("nodes", 1) > 1 else "",
        f"{environment['cpus']} CPUs" if environment.get("cpus") else "",
        f"torch {torch}" if torch else "",
        f"commit {environment['commit']}" if environment.get("commit") else "",
        f"{environment['wall_seconds']:.0f} s" if environment.get("wall_seconds") else "",
        "with warnings" if environment.get("warnings") else "",
    ]
    return ", ".join(filter(None, map(str, parts)))


def _rests(plan: Plan, cell: Cell) -> Iterator[str]:
    found = rests_on.assumptions(plan, [cell])
    if found:
        yield ""
        yield f"It rests on {len(found)} values that the paper does not print:"
        yield from (f"- {rests_on.in_words(plan, assumption)}" for assumption in found)


def _claim(plan: Plan, paper: str, key: str) -> Iterator[str]:
    claim = plan.papers[paper].claims[key]
    decision = decide(plan, Results(plan.root), paper, key, claim)
    yield f"{paper}/{key}  {claim.says}"
    why = f": {claim.why}" if claim.why else ""
    yield f"argued in  {claim.place} ({claim.source.replace('_', ' ')}{why})"
    yield f"verdict    {decision.verdict}" + (f": {decision.reason}" if decision.reason else "")
    yield from (f"compared   {in_words(comparison)}" for comparison in decision.compared)
    yield from (f"run        {run}" for run in decision.runs())
