"""The command line: one verb per step."""

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from retrace import verbs as do
from retrace.errors import UserError


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
    verb("specs", do.specs, "write the spec of every run, view and split of a scale", _scale)
    verb("generate", do.generate, "make one split of generated clips", _spec("split.json"), _scale, _mnist)
    verb(
        "paths",
        do.paths,
        "make the first videos of a split with the paths of their digits, for a figure",
        _spec("split.json"),
        _videos,
        _scale,
        _mnist,
    )
    verb("synthesize", do.synthesize, "generate the videos of one dataset", _dataset)
    verb("manifest", do.manifest, "read annotations and find the videos of one dataset", _dataset, _data)
    verb("subsample", do.subsample, "choose the videos of a mini set from its whole", _dataset)
    verb(
        "extract",
        do.extract,
        "store the frames of one shard",
        _dataset,
        _shard,
        _data,
        _max_missing,
    )
    verb("audit", do.audit, "count what is stored against what was promised", _dataset, _max_missing)
    verb(
        "segmenter",
        do.segmenter,
        "fine-tune a segmenter on labelled frames, or go on where it stopped",
        _segmenter,
        _data,
        _minutes,
    )
    verb("segment", do.segment, "find the divers in the videos of one shard", _segmenter, _shard, _data)
    verb("compose", do.compose, "compose one shard of a domain of what was found", _dataset, _shard, _data)
    verb(
        "train",
        do.train,
        "train one run, or go on where it stopped",
        _spec("spec.json"),
        _scale,
        _minutes,
        _spread,
    )
    verb("score", do.score, "ask a trained run one view", _spec("view.json"), _scale, _spread)
    verb("maps", do.maps, "show a trained run some videos, for a figure of maps", _spec("maps.json"), _scale)
    verb(
        "import-weights",
        do.import_weights,
        "put weights that others released beside a run, to be scored as it is",
        _release,
        _spec("spec.json"),
        _scale,
    )
    verb("cost", do.cost, "count parameters and multiply-adds of one paper's models", _paper)
    verb("speed", do.speed, "measure one paper's models on this machine", _paper, _scale)
    verb("table", do.table, "render one table", _item, _scale)
    verb("figure", do.figure, "draw one figure", _item, _scale)
    verb("claims", do.claims, "decide the papers' claims on the scores there are", _scale)
    verb("ledger", do.ledger, "list every assumed value and the cells that rest on it", _scale)
    verb("page", do.page, "write the page to open", _scale)
    verb("now", do.now, "render every table, figure and the page from what exists", _scale)
    verb("list", do.list_, "list runs, or with a table or figure named, its cells", _scale, _optional_item)
    verb("why", do.why, "tell where one number comes from", _item, _words, _scale)
    verb("budget", do.budget, "tell GPU-hours, jobs and disk before they are spent", _items, _prices, _scale)
    verb("submissions", do.submissions, "count the jobs a SLURM cluster would be given", _targets, _scale)
    verb("status", do.status, "tell what is done, runs, failed and waits", _scale)
    verb(
        "doctor",
        do.doctor,
        "check pages, data, machine; exit code 1 if something is missing",
        _what,
        _scale,
    )
    verb("unlock", do.unlock, "take away the lock of a Snakemake that was killed, if none is at work here")
    verb("publish", do.publish, "put a trained and scored full-size run on record", _spec("spec.json"))
    verb("recount", do.recount, "count anew what full size costs, for `budget`; after a change of models")
    verb("schemas", do.schemas, "write workflow/schemas/ from the types of the pages")
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


def _release(parser: argparse.ArgumentParser) -> None:
    help_ = "whose they are, e.g. ibm; an unknown name lists them all"
    parser.add_argument("--from", dest="release", metavar="RELEASE", required=True, help=help_)
    parser.add_argument("file", type=Path, metavar="FILE", help="the checkpoint: safetensors, or of torch")


def _mnist(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--mnist", type=Path, help="folder with the MNIST files (default: from config.yaml)")


def _dataset(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("dataset", help="a file of datasets/ that tells of videos, e.g. kinetics-400")
    parser.set_defaults(data=None, max_missing=None)


def _segmenter(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("segmenter", help="a file of segmenters/, e.g. diving48")
    parser.set_defaults(data=None)


def _shard(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("shard", type=int, help="number of the shard, from 0")


def _data(parser: argparse.ArgumentParser) -> None:
    help_ = "folders of the user's videos by dataset, as JSON (default: from config.yaml)"
    parser.add_argument("--data", type=_folders, help=help_)


def _folders(text: str) -> dict[str, str]:
    try:
        folders = json.loads(text)
    except json.JSONDecodeError:
        folders = None
    if not isinstance(folders, dict) or not all(isinstance(folder, str) for folder in folders.values()):
        raise argparse.ArgumentTypeError(f"'{text}' is no JSON mapping of datasets to folders")
    return folders


def _max_missing(parser: argparse.ArgumentParser) -> None:
    help_ = "share of the videos that may be missing or broken (default: from config.yaml)"
    parser.add_argument("--max-missing", type=float, help=help_)


def _what(parser: argparse.ArgumentParser) -> None:
    help_ = "'data' and a dataset: what of it is missing, and where to put it; 'cluster': what SLURM refuses"
    parser.add_argument("what", nargs="*", metavar="data DATASET | cluster", help=help_)
    parser.set_defaults(data=None, max_missing=None)


def _minutes(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--minutes", type=float, help="save and stop (exit code 75) before this time is up")


def _spread(parser: argparse.ArgumentParser) -> None:
    help_ = "GPUs on each machine to spread the work over, with torchrun if there are several (default: 1)"
    parser.add_argument("--gpus", type=int, default=1, metavar="N", help=help_)
    help_ = "machines of this SLURM job to spread it over, with srun (default: 1)"
    parser.add_argument("--nodes", type=int, default=1, metavar="N", help=help_)


def _videos(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--videos", type=int, required=True, help="how many, from the first one")


def _paper(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("paper", help="a file of papers/, e.g. rac")


def _item(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("item", metavar="PAPER/ITEM", help="e.g. rac/table-8")


def _optional_item(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("item", metavar="PAPER/ITEM", nargs="?", help="e.g. rac/table-8")


def _items(parser: argparse.ArgumentParser) -> None:
    help_ = "tables, figures or papers, e.g. rac_figure_2, rac/figure-2 or rac (default: all)"
    parser.add_argument("items", nargs="*", metavar="ITEM", help=help_)


def _targets(parser: argparse.ArgumentParser) -> None:
    help_ = "targets of Snakemake, e.g. rac_figure_2 (default: all)"
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=help_)


def _prices(parser: argparse.ArgumentParser) -> None:
    help_ = "10^12 operations a second that training reaches on your GPU (default: as measured here, or 10)"
    parser.add_argument("--tflops", type=float, help=help_)
    help_ = "also name the cheapest tables and figures that fit into so many hours"
    parser.add_argument("--max-gpu-hours", type=float, metavar="HOURS", help=help_)


def _words(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("words", nargs="*", help="row and column (or panel, series and x) of the cell")
