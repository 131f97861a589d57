"""The command line: one verb per step. Each imports what it needs only when it runs."""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from retrace.errors import UserError

ROOT = Path()


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one verb. A user's mistake is one message on stderr and exit code 1."""
    options = _parser().parse_args(arguments)
    try:
        options.run(options)
    except UserError as error:
        sys.exit(f"retrace {options.verb}: {error}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="retrace",
        description="Reruns the tables and figures of five papers on temporal modelling in video.",
        epilog="Snakemake calls these verbs; each also runs by hand, from the repository's folder.",
    )
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")

    verb = _adder(verbs)
    verb("specs", specs, "write the spec of every run, view and split of a scale", _scale)
    verb("generate", generate, "make one split of a generated dataset", _spec("split.json"), _scale, _mnist)
    verb("train", train, "train one run, or go on where it stopped", _spec("spec.json"), _scale, _minutes)
    verb("score", score, "ask a trained run one view", _spec("view.json"), _scale)
    verb("cost", cost, "count parameters and multiply-adds of one paper's models", _paper)
    verb("table", table, "render one table", _item, _scale)
    verb("figure", figure, "draw one figure", _item, _scale)
    verb("claims", claims, "decide the papers' claims on the scores there are", _scale)
    verb("ledger", ledger, "list every assumed value and the cells that rest on it", _scale)
    verb("page", page, "write the page to open", _scale)
    verb("now", now, "render every table, figure and the page from what exists", _scale)
    verb("list", list_, "list runs, or with a table or figure named, its cells", _scale, _optional_item)
    verb("why", why, "tell where one number comes from", _item, _words, _scale)
    verb("status", status, "tell what is done, runs, failed and waits", _scale)
    verb("doctor", doctor, "check pages, data and machine; exit code 1 if anything is missing", _scale)
    verb("unlock", unlock, "take away the lock of a Snakemake that was killed, if none is at work here")
    verb("publish", publish, "put a trained and scored full-size run on record", _spec("spec.json"))
    verb("schemas", schemas, "write workflow/schemas/ from the types of the pages")
    return parser


Add = Callable[[argparse.ArgumentParser], None]


def _adder(verbs: argparse._SubParsersAction) -> Callable[..., None]:
    def add(name: str, run: Callable[[argparse.Namespace], None], help_: str, *adds: Add) -> None:
        parser = verbs.add_parser(name, help=help_, description=help_[0].upper() + help_[1:] + ".")
        parser.set_defaults(run=run)
        for add_to in adds:
            add_to(parser)

    return add


def _scale(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--scale", help="a file of scales/ (default: the one in config.yaml)")


def _spec(name: str) -> Add:
    def add(parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--spec", type=Path, required=True, help=f"the {name}; results land beside it")

    return add


def _mnist(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--mnist", type=Path, help="folder with the MNIST files (default: from config.yaml)")


def _minutes(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--minutes", type=float, help="save and stop (exit code 75) before this time is up")


def _paper(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("paper", help="a file of papers/, e.g. rac")


def _item(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("item", metavar="PAPER/ITEM", help="e.g. rac/table-8")


def _optional_item(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("item", metavar="PAPER/ITEM", nargs="?", help="e.g. rac/table-8")


def _words(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("words", nargs="*", help="row and column (or panel, series and x) of the cell")


def _plan(options: argparse.Namespace):  # the type would import the plan for every verb
    from retrace.plan.config import load
    from retrace.plan.plan import Plan

    return Plan(ROOT, options.scale or load(ROOT).scale)


def _names(options: argparse.Namespace) -> tuple[str, str]:
    paper, slash, item = options.item.partition("/")
    if not slash:
        raise UserError(f"'{options.item}' names no table or figure; expected PAPER/ITEM, e.g. rac/table-8")
    return paper, item


def _written(options: argparse.Namespace) -> Path:
    """Return the spec's path. If it is not there yet, all specs of the scale are written."""
    if not options.spec.exists():
        specs(options)
    return options.spec


def specs(options: argparse.Namespace) -> None:
    from retrace.plan.specs import write

    write(_plan(options))


def generate(options: argparse.Namespace) -> None:
    from retrace.data.make import make_split
    from retrace.plan.config import load
    from retrace.plan.specs import read_split

    make_split(read_split(_written(options)), options.spec.parent, options.mnist or Path(load(ROOT).mnist))


def train(options: argparse.Namespace) -> None:
    from retrace.plan.specs import read_run
    from retrace.train.loop import train

    train(read_run(_written(options)), options.spec.parent, minutes=options.minutes)


def score(options: argparse.Namespace) -> None:
    from retrace.evaluate.score import score
    from retrace.plan.specs import read_run, read_view

    folder = _written(options).parents[2]
    score(read_run(folder / "spec.json"), folder, read_view(options.spec), options.spec.parent)


def cost(options: argparse.Namespace) -> None:
    from retrace.cost.paper import write
    from retrace.plan.plan import Plan

    write(Plan(ROOT, "paper"), options.paper)


def table(options: argparse.Namespace) -> None:
    from retrace.report import tables

    tables.render(_plan(options), *_names(options))


def figure(options: argparse.Namespace) -> None:
    from retrace.report import figures

    figures.render(_plan(options), *_names(options))


def claims(options: argparse.Namespace) -> None:
    from retrace.report import claims

    claims.render(_plan(options))


def ledger(options: argparse.Namespace) -> None:
    from retrace.report import ledger

    ledger.render(_plan(options))


def page(options: argparse.Namespace) -> None:
    from retrace.report import index

    index.render(_plan(options))


def now(options: argparse.Namespace) -> None:
    from retrace.report import claims, figures, index, ledger, tables

    plan = _plan(options)
    for paper, content in plan.papers.items():
        for key in content.tables:
            tables.render(plan, paper, key)
        for key in content.figures:
            figures.render(plan, paper, key)
    claims.render(plan)
    ledger.render(plan)
    index.render(plan)


def list_(options: argparse.Namespace) -> None:
    from retrace.plan.listing import cells, runs

    plan = _plan(options)
    print(cells(plan, *_names(options)) if options.item else runs(plan))


def why(options: argparse.Namespace) -> None:
    from retrace.report.why import explain

    print(explain(_plan(options), options.item, options.words))


def status(options: argparse.Namespace) -> None:
    from retrace.report.status import report

    print(report(_plan(options)))


def doctor(options: argparse.Namespace) -> None:
    from retrace.doctor import examine

    found = examine(_plan(options), ROOT)
    print(found)
    if any(line.startswith("missing") for line in found.splitlines()):
        sys.exit(1)


def unlock(options: argparse.Namespace) -> None:
    from retrace.unlock import unlock

    unlock(ROOT)


def publish(options: argparse.Namespace) -> None:
    from retrace.plan.plan import Plan
    from retrace.plan.specs import read_run
    from retrace.report.publish import publish

    print("\n".join(publish(Plan(ROOT, "paper"), read_run(options.spec))))


def schemas(options: argparse.Namespace) -> None:
    from retrace.plan.schemas import write

    write(ROOT)
