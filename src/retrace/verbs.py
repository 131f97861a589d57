"""What the verbs of the command line do. Each imports what it needs only when it runs."""

import argparse
import sys
from pathlib import Path

from retrace.errors import UserError

ROOT = Path()


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


def _spread(options: argparse.Namespace) -> Path:
    """Return the spec's path, in each process that the work is spread over. Called before heavy imports."""
    from retrace.launch import spread

    spec = _written(options)
    spread(options.gpus, options.nodes)
    return spec


def specs(options: argparse.Namespace) -> None:
    from retrace.plan.specs import write

    write(_plan(options))


def generate(options: argparse.Namespace) -> None:
    from retrace.data.make import make_split
    from retrace.plan.config import load
    from retrace.plan.specs import read_split

    make_split(read_split(_written(options)), options.spec.parent, options.mnist or Path(load(ROOT).mnist))


def paths(options: argparse.Namespace) -> None:
    from retrace.data.walks import write_walks
    from retrace.plan.config import load
    from retrace.plan.layout import paths_file
    from retrace.plan.specs import read_split

    split, mnist = read_split(_written(options)), options.mnist or Path(load(ROOT).mnist)
    write_walks(split, options.videos, options.spec.parent / paths_file(split, options.videos).name, mnist)


def synthesize(options: argparse.Namespace) -> None:
    _preparation(options).synthesize()


def manifest(options: argparse.Namespace) -> None:
    _preparation(options).manifest()


def subsample(options: argparse.Namespace) -> None:
    _preparation(options).subsample()


def extract(options: argparse.Namespace) -> None:
    _preparation(options).extract(options.shard)


def audit(options: argparse.Namespace) -> None:
    _preparation(options).audit()


def _preparation(options: argparse.Namespace):  # as above
    from retrace.data.prepare import Preparation
    from retrace.plan.config import load
    from retrace.plan.library import Library

    share = load(ROOT).max_missing if options.max_missing is None else options.max_missing
    return Preparation(Library(ROOT), options.dataset, _folders(options), share)


def segmenter(options: argparse.Namespace) -> None:
    _segmenting(options).tune(options.minutes)


def segment(options: argparse.Namespace) -> None:
    _segmenting(options).detect(options.shard)


def compose(options: argparse.Namespace) -> None:
    from retrace.plan.library import Library
    from retrace.segment.composing import Composing

    Composing(Library(ROOT), options.dataset, _folders(options)).compose(options.shard)


def _segmenting(options: argparse.Namespace):  # as above
    from retrace.plan.library import Library
    from retrace.segment.steps import Segmenting

    return Segmenting(Library(ROOT), options.segmenter, _folders(options))


def _folders(options: argparse.Namespace) -> dict[str, str]:
    from retrace.plan.config import load

    return load(ROOT).data if options.data is None else options.data


def train(options: argparse.Namespace) -> None:
    spec = _spread(options)
    from retrace.plan.specs import read_run, weights_of
    from retrace.train.loop import train

    run, folder = read_run(spec), spec.parent
    train(run, folder, minutes=options.minutes, parent=weights_of(run.parent, folder.parents[1]))


def score(options: argparse.Namespace) -> None:
    spec = _spread(options)
    from retrace.evaluate.score import score
    from retrace.plan.layout import IMPORTED
    from retrace.plan.specs import read_run, read_view

    folder = spec.parents[2]
    of_run = folder.parent if folder.name == Path(IMPORTED).name else folder
    score(read_run(of_run / "spec.json"), folder, read_view(spec), spec.parent)


def import_weights(options: argparse.Namespace) -> None:
    from retrace.evaluate.imported import import_weights
    from retrace.plan.specs import read_run

    run = read_run(_written(options))
    print("\n".join(import_weights(run, options.spec.parent, options.release, options.file)))


def maps(options: argparse.Namespace) -> None:
    from retrace.evaluate.maps import draw_maps
    from retrace.plan.specs import read_maps, read_run

    folder = _written(options).parents[2]
    draw_maps(read_run(folder / "spec.json"), folder, read_maps(options.spec), options.spec.parent)


def cost(options: argparse.Namespace) -> None:
    from retrace.cost.paper import write
    from retrace.plan.plan import Plan

    write(Plan(ROOT, "paper"), options.paper)


def speed(options: argparse.Namespace) -> None:
    from retrace.cost.speeds import write

    write(_plan(options), options.paper)


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


def budget(options: argparse.Namespace) -> None:
    from retrace.report.bill import bill

    print(bill(_plan(options), options.items, options.tflops, options.max_gpu_hours))


def recount(options: argparse.Namespace) -> None:
    from retrace.cost.operations import asked
    from retrace.cost.tasks import recount
    from retrace.plan.plan import Plan
    from retrace.report.bill import document

    plan = Plan(ROOT, "paper")
    recount(asked(plan, plan.runs))
    document(plan)


def submissions(options: argparse.Namespace) -> None:
    from retrace.plan.config import load
    from retrace.submissions import submissions

    print(submissions(options.targets, options.scale or load(ROOT).scale))


def status(options: argparse.Namespace) -> None:
    from retrace.report.status import report

    print(report(_plan(options)))


def doctor(options: argparse.Namespace) -> None:
    from retrace.doctor import examine, examine_data, examine_frames
    from retrace.plan.library import Library
    from retrace.site import examine as examine_site

    match options.what:
        case []:
            found = examine(_plan(options), ROOT)
        case ["cluster"]:
            found = examine_site(ROOT)
        case ["data", dataset]:
            options.dataset = dataset
            if dataset in (library := Library(ROOT)).masks:
                found = examine_frames(library, dataset, _folders(options))
            else:
                found = examine_data(_preparation(options))
        case what:
            expected = "retrace doctor data DATASET, or retrace doctor cluster"
            raise UserError(f"'{' '.join(what)}' is not understood; expected: {expected}")
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
