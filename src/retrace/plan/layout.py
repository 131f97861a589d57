"""The one place where paths of results are spelt. All are relative to the folder retrace runs in.

Templates with {wildcards} are what the rules use; the functions fill them in for one object.
"""

from pathlib import Path

from retrace.plan.identity import collection_name, digest, maps_name, run_name, split_name, view_name
from retrace.plan.maps import Maps
from retrace.plan.segmenter import Detection, Segmenter
from retrace.plan.spec import Run, Split, VideoView, View
from retrace.plan.video import Collection, Footage, VideoSplit

RESULTS = "results"
SHEET = "contact-sheet.png"

SPLIT = f"{RESULTS}/data/{{dataset}}/{{split}}"
PATHS = f"{SPLIT}/paths-{{videos}}.npz"
COLLECTION = f"{RESULTS}/data/{{dataset}}/{{collection}}"
SHARD = f"{COLLECTION}/shards/{{shard}}.parquet"
ORIGINALS = f"{RESULTS}/data/{{dataset}}/originals-{{footage}}"
COMPOSED = f"{ORIGINALS}/composed/{{shard}}.json"
DETECTIONS = f"{RESULTS}/data/{{dataset}}/detections-{{segmenter}}-{{detections}}"
FOUND = f"{DETECTIONS}/found/{{shard}}.json"
SEGMENTER = f"{RESULTS}/segmenters/{{segmenter}}-{{tuning}}"
MANIFEST_FILES = ("manifest.parquet", "annotations.json")
COLLECTION_FILES = ("videos.parquet", "audit.json", SHEET)
RUN = f"{RESULTS}/runs/{{dataset}}/{{run}}"
VIEW = f"{RUN}/views/{{view}}"
MAPS = f"{RUN}/maps/{{maps}}"
IMPORTED = f"{RUN}/imported"
IMPORTED_VIEW = f"{IMPORTED}/views/{{view}}"
IMPORT = "import.json"
TRAIN_LOG = f"{RESULTS}/logs/train/{{dataset}}/{{run}}.log"
SCORE_LOG = f"{RESULTS}/logs/score/{{dataset}}/{{run}}/{{view}}.log"
COSTS = f"{RESULTS}/costs/{{paper}}.json"
TASKS = f"{RESULTS}/costs/tasks.json"
SPEEDS = f"{RESULTS}/speed/{{scale}}/{{paper}}.json"
PAGE = f"{RESULTS}/{{scale}}"
TABLE = f"{PAGE}/tables/{{paper}}/{{table}}"
FIGURE = f"{PAGE}/figures/{{paper}}/{{figure}}"
INDEX = f"{PAGE}/index.html"
CLAIMS = f"{PAGE}/claims.csv"
LEDGER = f"{PAGE}/ledger"
PUBLISHED = f"{RESULTS}/published/{{paper}}.csv"

SEGMENTER_FILES = ("weights.safetensors", "segmenter.json", "env.json")
SEGMENTER_PICTURES = ("curve.png", "overlays.png")
SPLIT_FILES = ("manifest.parquet", "audit.json", SHEET, "preview.gif", "clips.npy")
TABLE_SUFFIXES = (".md", ".csv", ".tex")
FIGURE_SUFFIXES = (".png", ".pdf", ".csv")


def split_folder(split: Split) -> Path:
    """Return the folder that holds the clips of `split` and what describes them."""
    return Path(SPLIT.format(dataset=split.dataset, split=split_name(split)))


def paths_file(split: Split, videos: int) -> Path:
    """Return the file that holds the first `videos` videos of `split` and the paths of their digits."""
    return Path(PATHS.format(dataset=split.dataset, split=split_name(split), videos=videos))


def data_of(split: Split | VideoSplit) -> Path:
    """Return the file that tells that the clips or videos of `split` are ready."""
    if isinstance(split, VideoSplit):
        return collection_folder(split.collection) / "videos.parquet"
    return split_folder(split) / "clips.npy"


def place_of(split: Split | VideoSplit) -> Path:
    """Return a path that names `split`: its folder, where it has one of its own."""
    if isinstance(split, VideoSplit):
        return collection_folder(split.collection) / split.split
    return split_folder(split)


def collection_folder(collection: Collection) -> Path:
    """Return the folder that tells of the videos of `collection`: manifest, shards, audit, contact sheet."""
    return Path(COLLECTION.format(dataset=collection.dataset, collection=collection_name(collection)))


def originals_folder(footage: Footage) -> Path:
    """Return the folder of generated videos, in the publishers' format. The store has no part in them."""
    made = digest(footage.model_dump(mode="json", exclude={"store"}))
    return Path(ORIGINALS.format(dataset=footage.dataset, footage=made))


def frames_folder(footage: Footage) -> Path:
    """Return the folder of stored frames, one file a video, shared by all sets drawn from `footage`."""
    return Path(RESULTS, "data", footage.dataset, f"frames-{digest(footage)}")


def segmenter_folder(name: str, segmenter: Segmenter) -> Path:
    """Return the folder of a trained segmenter: weights, figures, curve, pictures."""
    return Path(SEGMENTER.format(segmenter=name, tuning=digest(segmenter)))


def detections_folder(name: str, detection: Detection) -> Path:
    """Return the folder of what the segmenter `name` found, one file a video, and a report for each shard."""
    dataset = detection.videos.dataset
    return Path(DETECTIONS.format(dataset=dataset, segmenter=name, detections=digest(detection)))


def run_folder(run: Run) -> Path:
    """Return the folder of `run`: spec, log, checkpoint, weights and views."""
    return Path(RUN.format(dataset=run.train.dataset, run=run_name(run)))


def imported_folder(run: Run) -> Path:
    """Return the folder of weights that others trained and that stand in the place of those of `run`."""
    return Path(IMPORTED.format(dataset=run.train.dataset, run=run_name(run)))


def weights_file(accuracy: float | None = None) -> str:
    """Return the name of the weights in a run's folder: at its end, or matched at a validation accuracy."""
    return "weights.safetensors" if accuracy is None else f"matched-{accuracy}.safetensors"


def view_folder(run: Run, view: View | VideoView, *, imported: bool = False) -> Path:
    """Return the folder of what `run`, or the weights imported in its place, answered to `view`."""
    template = IMPORTED_VIEW if imported else VIEW
    return Path(template.format(dataset=run.train.dataset, run=run_name(run), view=view_name(view)))


def maps_folder(run: Run, maps: Maps) -> Path:
    """Return the folder of what `run` does with the videos of `maps`."""
    return Path(MAPS.format(dataset=run.train.dataset, run=run_name(run), maps=maps_name(maps)))


def answers_of(run: Run, asked: View | VideoView | Maps) -> Path:
    """Return the file that holds what `run` makes of what it is asked: its scores, or its maps."""
    if isinstance(asked, Maps):
        return maps_folder(run, asked) / "maps.npz"
    return view_folder(run, asked) / "scores.parquet"
