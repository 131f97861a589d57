# What a rule needs, answered by the plan.
from functools import cache

from retrace.plan.cell import VideosCell
from retrace.plan.specs import has_imported
from retrace.plan.speed import SpeedCell


def clips_of(splits):
    """The clips or videos of each split. Ancient: the folder's name holds the hash of what is in it."""
    return [ancient(path) for path in sorted({str(layout.data_of(split)) for split in splits})]


def parent_weights(wildcards):
    """The weights that a run starts from. Ancient: their folder's name holds the hash of the run."""
    parent = PLAN.parents.get(wildcards.run)
    return [] if parent is None else [ancient(f"{layout.run_folder(parent)}/weights.safetensors")]


def training_clips(wildcards):
    run = PLAN.runs[wildcards.run]
    return clips_of([run.train, run.val])


def asked_clips(wildcards):
    view = PLAN.views[wildcards.run][wildcards.view]
    return clips_of(view.domains.values())


def mapped_videos(wildcards):
    maps = PLAN.maps[wildcards.run][wildcards.maps]
    return clips_of([maps.view.domains[maps.domain]])


def answers_of(cells):
    """The scores and maps that trained cells rest on, each file once."""
    trained = [one for cell in cells for one in cell.trained()]
    return sorted({str(layout.answers_of(run, cell.asked)) for cell in trained for run in cell.runs})


def speeds_of(cells):
    """What was measured on this machine, where cells tell of speed or memory."""
    papers = {cell.place.paper for cell in cells if isinstance(cell.definition, SpeedCell)}
    return [layout.SPEEDS.format(scale=PLAN.scale, paper=paper) for paper in sorted(papers)]


def imported_scores(items):
    """The scores of released weights for cells of tables whose runs somebody has put such weights beside."""
    cells = [
        cell for paper, key in items if key in PLAN.papers[paper].tables for cell in PLAN.cells(paper, key)
    ]
    asked = [(run, cell.view) for cell in cells if cell.view for run in cell.runs if has_imported(ROOT, run)]
    return sorted({f"{layout.view_folder(*pair, imported=True)}/scores.parquet" for pair in asked})


def item_inputs(paper, key):
    """What a table or figure is rendered from: scores, maps, paths, costs, counted videos, numbers on record."""
    cells = PLAN.cells(paper, key)
    costs = [layout.COSTS.format(paper=paper)] if counted.item_costs(PLAN, paper, key) else []
    imported = imported_scores([(paper, key)])
    return [
        *answers_of(cells),
        *paths_of(cells),
        *imported,
        *costs,
        *counted_videos(cells),
        *speeds_of(cells),
        *segmenters_of(cells),
        *on_record(paper),
    ]


@cache
def quick(paper, key):
    """The group of a table or figure that needs nothing made but counted costs, or of none."""
    made = set(item_inputs(paper, key)) - {*on_record(paper), layout.COSTS.format(paper=paper)}
    return None if made else f"costs-{paper}"


def paths_of(cells):
    """The paths that figures show. Ancient: the folder's name holds the hash of the split."""
    shown = [layout.paths_file(cell.walks, cell.definition.videos) for cell in cells if cell.walks]
    return [ancient(str(path)) for path in shown]


def segmenters_of(cells):
    """What is told of the segmenters that cells are about. Ancient: the folder's name holds the hash of it."""
    folders = sorted({str(cell.segmenter) for cell in cells if cell.segmenter})
    return [ancient(f"{folder}/segmenter.json") for folder in folders]


def counted_videos(cells):
    """Where the videos are counted that cells tell of. Ancient: the folder's name holds the hash of the set."""
    counted = [cell.collection for cell in cells if isinstance(cell.definition, VideosCell)]
    folders = sorted({str(layout.collection_folder(collection)) for collection in counted})
    return [ancient(f"{folder}/annotations.json") for folder in folders]


def on_record(paper):
    path = Path(layout.PUBLISHED.format(paper=paper))
    return [str(path)] if path.exists() else []


def claim_scores(wildcards):
    claims = [
        (paper, key, claim) for paper, page in PLAN.papers.items() for key, claim in page.claims.items()
    ]
    cells = [cell for named in claims for cell in PLAN.claim_cells(*named)]
    return [*answers_of(cells), *speeds_of(cells)]


def item_outputs(paper, key):
    """The files of one table or figure."""
    if key in PLAN.papers[paper].tables:
        stem, suffixes = layout.TABLE.format(scale=PLAN.scale, paper=paper, table=key), layout.TABLE_SUFFIXES
    else:
        stem, suffixes = (
            layout.FIGURE.format(scale=PLAN.scale, paper=paper, figure=key),
            layout.FIGURE_SUFFIXES,
        )
    return [stem + suffix for suffix in suffixes]


def labels(paper, key):
    """How one table or figure is called in Snakemake's report."""
    return {"number": PLAN.item(paper, key).number, "title": PLAN.item(paper, key).title}


def all_items():
    return [(paper, key) for paper in PLAN.papers for key in PLAN.items(paper)]


def existing_answers(wildcards):
    """The scores and maps there are, and scores of released weights: these cost no training."""
    ours = [path for path in answers_of(PLAN.all_cells()) if Path(path).exists()]
    return ours + imported_scores(all_items())


def contact_sheets(wildcards):
    folders = [*PLAN.splits, *map(layout.collection_folder, PLAN.collections.values())]
    return [f"{folder}/{layout.SHEET}" for folder in folders]


def audits(names):
    """The audit of each dataset of videos, with all that stands beside it."""
    folders = [layout.collection_folder(LIBRARY.collection(name)) for name in names]
    return [f"{folder}/{name}" for folder in folders for name in layout.COLLECTION_FILES]


def all_audits(wildcards):
    return audits(PLAN.collections)


def all_segmenters(wildcards):
    """What is told of each segmenter that made some of the videos of this scale."""
    names = LIBRARY.segmenters.behind(PLAN.collections)
    folders = [layout.segmenter_folder(name, LIBRARY.segmenters.training(name)) for name in names]
    return [f"{folder}/{name}" for folder in folders for name in layout.SEGMENTER_FILES]


def originals(wildcards):
    """What has to be there before videos can be looked for: nothing, where they are the user's own."""
    page, footage = LIBRARY.page(wildcards.dataset), LIBRARY.collection(wildcards.dataset).footage
    if page.segmented is not None:
        folder = layout.originals_folder(footage)
        return [ancient(f"{folder}/composed/{shard:04d}.json") for shard in range(page.shards)]
    return [] if page.generator is None else [generated(footage)]


def generated(footage):
    return ancient(f"{layout.originals_folder(footage)}/complete.json")


def labelled_frames(wildcards):
    """The videos that labelled frames are made with: none, where they are the user's own."""
    footage = LIBRARY.segmenters.training(wildcards.segmenter).frames.footage
    return [] if footage is None else [generated(footage)]


def trained_segmenter(wildcards):
    name = wildcards.segmenter
    folder = layout.segmenter_folder(name, LIBRARY.segmenters.training(name))
    return ancient(f"{folder}/weights.safetensors")


def segmented_videos(wildcards):
    """The videos that a segmenter is run over: found, and their frames counted."""
    return ancient(str(layout.data_of(LIBRARY.segmenters.detection(wildcards.segmenter).videos)))


def found(wildcards):
    """What the segmenter of a domain has found. Ancient: the folder's name holds the hash of the pass."""
    name = LIBRARY.page(wildcards.dataset).segmented.by
    folder = layout.detections_folder(name, LIBRARY.segmenters.detection(name))
    shards = range(LIBRARY.segmenters.pages[name].videos.shards)
    return [ancient(f"{folder}/found/{shard:04d}.json") for shard in shards]


def whole_manifest(wildcards):
    whole = LIBRARY.collection(LIBRARY.whole(wildcards.dataset))
    return ancient(f"{layout.collection_folder(whole)}/manifest.parquet")


def shards(wildcards):
    count = LIBRARY.videos[wildcards.dataset].shards
    return [layout.SHARD.format(**wildcards, shard=f"{shard:04d}") for shard in range(count)]
