"""The one place where paths of results are spelt. All are relative to the folder retrace runs in.

Templates with {wildcards} are what the rules use; the functions fill them in for one object.
"""

from pathlib import Path

from retrace.plan.identity import run_name, split_name, view_name
from retrace.plan.spec import Run, Split, View

RESULTS = "results"

SPLIT = f"{RESULTS}/data/{{dataset}}/{{split}}"
RUN = f"{RESULTS}/runs/{{dataset}}/{{run}}"
VIEW = f"{RUN}/views/{{view}}"
TRAIN_LOG = f"{RESULTS}/logs/train/{{dataset}}/{{run}}.log"
COSTS = f"{RESULTS}/costs/{{paper}}.json"
PAGE = f"{RESULTS}/{{scale}}"
TABLE = f"{PAGE}/tables/{{paper}}/{{table}}"
FIGURE = f"{PAGE}/figures/{{paper}}/{{figure}}"
INDEX = f"{PAGE}/index.html"
CLAIMS = f"{PAGE}/claims.csv"
LEDGER = f"{PAGE}/ledger"
PUBLISHED = f"{RESULTS}/published/{{paper}}.csv"

SPLIT_FILES = ("manifest.parquet", "audit.json", "contact-sheet.png", "preview.gif", "clips.npy")
TABLE_SUFFIXES = (".md", ".csv", ".tex")
FIGURE_SUFFIXES = (".png", ".pdf", ".csv")


def split_folder(split: Split) -> Path:
    """Return the folder that holds the clips of `split` and what describes them."""
    return Path(SPLIT.format(dataset=split.dataset, split=split_name(split)))


def run_folder(run: Run) -> Path:
    """Return the folder of `run`: spec, log, checkpoint, weights and views."""
    return Path(RUN.format(dataset=run.train.dataset, run=run_name(run)))


def view_folder(run: Run, view: View) -> Path:
    """Return the folder of what `run` answered to `view`."""
    return Path(VIEW.format(dataset=run.train.dataset, run=run_name(run), view=view_name(view)))
