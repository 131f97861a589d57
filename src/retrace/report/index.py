"""The page to open after all is done: one HTML file that needs nothing but itself."""

from collections import Counter
from typing import Any, NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined

from retrace.files import write_text
from retrace.plan.layout import INDEX, run_folder
from retrace.plan.page import Paper
from retrace.plan.plan import Plan
from retrace.plan.spec import Run
from retrace.report import claims, ledger, segmenters, views
from retrace.report.outcome import run_label
from retrace.report.rests_on import name
from retrace.report.results import Results
from retrace.report.verdict import WORDS
from retrace.report.why import hardware


class PaperView(NamedTuple):
    """One paper with all that belongs to it, and how often each verdict was given."""

    key: str
    page: Paper
    tables: list[views.TableView]
    figures: list[views.FigureView]
    claims: list[views.ClaimView]
    record: list[dict[str, Any]]
    verdicts: Counter[str]
    decided: Counter[str]
    points: tuple[int, int]
    idle: int
    """How many tables and figures have no number yet."""


class RunView(NamedTuple):
    name: str
    folder: str
    state: str
    hardware: str


def render(plan: Plan) -> None:
    """Write the page. Whatever is missing is said in its place; text from pages is escaped."""
    environment = Environment(
        loader=PackageLoader("retrace.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    template = environment.get_template("index.html")
    write_text(plan.root / INDEX.format(scale=plan.scale), template.render(_context(plan)))


def _context(plan: Plan) -> dict[str, Any]:
    results = Results(plan.root)
    decided = list(claims.decisions(plan, results))
    papers = [_paper(plan, results, paper, decided) for paper in plan.papers]
    return {
        "plan": plan,
        "papers": sorted(papers, key=lambda paper: paper.idle == len(paper.tables) + len(paper.figures)),
        "words": WORDS,
        "claim_words": claims.VERDICTS,
        "splits": [views.split_view(plan, split) for split in plan.splits.values()],
        "segmenters": segmenters.segmenter_views(plan),
        "composed": segmenters.composed_in_words,
        "collections": [views.collection_view(plan, found) for found in plan.collections.values()],
        "runs": [_run(results, run) for run in plan.runs.values()],
        "ledger": ledger.entries(plan),
        "shrinks": ledger.shrinks(plan),
        "name": name,
    }


def _paper(plan: Plan, results: Results, paper: str, decided: list[claims.Decision]) -> PaperView:
    page = plan.papers[paper]
    tables = [views.table_view(plan, results, paper, key) for key in page.tables]
    figures = [views.figure_view(plan, results, paper, key) for key in page.figures]
    own = [views.claim_view(decision) for decision in decided if decision.paper == paper]
    verdicts: Counter[str] = Counter()
    for table in tables:
        for _, _, cells in table.rows:
            verdicts.update(cell.verdict.word for cell in cells)
    drawn = sum(len(figure.points) for figure in figures)
    return PaperView(
        paper,
        page,
        tables,
        figures,
        own,
        [
            {str(key): value for key, value in row.items()}
            for row in results.on_record(paper).to_dict("records")
        ],
        verdicts,
        Counter(claim.decision.verdict for claim in own),
        (drawn, drawn + sum(sum(figure.missing.values()) for figure in figures)),
        sum(bool(table.idle) for table in tables) + sum(bool(figure.idle) for figure in figures),
    )


def _run(results: Results, run: Run) -> RunView:
    train, environment = results.of_run(run, "train.json"), results.of_run(run, "env.json")
    if failure := results.failure(run):
        state = f"failed: {failure}"
    elif train is None:
        state = "no result yet"
    else:
        state = f"{train.get('epochs', '?')} epochs, kept number {train.get('kept_epoch', '?')}"
    return RunView(
        run_label(run), views.link(run_folder(run)), state, hardware(environment) if environment else ""
    )
