"""The pages of segmenters and of the domains made with them: what the paper says, hashes, and mistakes."""

import shutil

import pytest
import yaml

from pages import ROOT, edit, line_of
from papertext import paper_text
from retrace.errors import UserError
from retrace.plan.composition import BlurElsewhere, PaintOver
from retrace.plan.identity import collection_name, digest
from retrace.plan.layout import detections_folder, frames_folder, originals_folder, segmenter_folder
from retrace.plan.library import Library
from retrace.plan.video import Footage

DOMAINS = ("s1", "s2", "t")


@pytest.fixture(scope="module")
def library() -> Library:
    return Library(ROOT)


@pytest.fixture
def root(tmp_path):
    """A copy of the pages to spoil."""
    for folder in ("datasets", "segmenters"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    return tmp_path


def message(root) -> str:
    with pytest.raises(UserError) as caught:
        Library(root).check()
    return str(caught.value)


def test_the_pages_say_what_the_supplement_prints(library):
    text = " ".join(paper_text("002_").split())
    frames = library.masks["diving48-masks"]
    assert (
        f"labelled {frames.train + frames.val} frames from the dataset containing one or two divers" in text
    )
    assert f"{frames.train} frames as training set and {frames.val} frames to validate" in text
    page = library.segmenters.pages["diving48"]
    assert f"achieved {100 * page.published:.0f}% validation bounding box IoU" in text
    assert f"(at {page.videos.frames} frames per clip)" in text
    shape, box = (library.videos[f"diving48-{name}"].segmented for name in ("s1", "s2"))
    assert f"When increased to $t = {shape.threshold}$" in text
    assert f"the threshold was $t = {box.threshold:g}$" in text


@pytest.mark.parametrize("name", ["diving48", "divers"])
def test_the_three_domains_are_of_one_pass_and_differ_as_they_should(library, name):
    detection = library.segmenters.detection(name)
    collections = {domain: library.collection(f"{name}-{domain}") for domain in DOMAINS}
    shape, box, texture = (collections[domain].footage.composed for domain in DOMAINS)
    assert {how.detections for how in (shape, box, texture)} == {digest(detection)}
    assert shape.model_copy(update={"threshold": 0.0}) == box
    assert isinstance(shape.effect, BlurElsewhere) and shape.instances == 2
    assert isinstance(texture.effect, PaintOver) and texture.instances is None
    assert (shape.threshold, box.threshold, texture.threshold) == (0.4, 0, 0)
    assert texture.effect.colour == (124, 117, 104)
    for domain, collection in collections.items():
        page = library.videos[f"{name}-{domain}"]
        assert collection.classes == detection.videos.classes
        whole = library.page(detection.videos.dataset)
        assert page.splits["test"].videos == whole.splits["test"].videos
        assert page.store.short_side == whole.store.short_side
    assert len({originals_folder(found.footage) for found in collections.values()}) == 3
    assert len({frames_folder(found.footage) for found in collections.values()}) == 3


def test_the_stand_in_of_a_domain_is_blurred_as_much_for_its_size(library):
    real, small = (library.videos[f"{name}-s1"].segmented.effect for name in ("diving48", "divers"))
    rows = [library.segmenters.pages[name].videos.height for name in ("diving48", "divers")]
    assert small.sigma / rows[1] == pytest.approx(real.sigma / rows[0], rel=0.05)
    assert small.kernel / rows[1] == pytest.approx(real.kernel / rows[0], rel=0.1)


def test_generated_videos_and_what_is_made_of_them_are_generated(library):
    generated = {name for name in library.videos if library.is_generated(name)}
    assert generated == {
        "motion",
        "motion-aligned",
        "appearance",
        "divers",
        *(f"divers-{domain}" for domain in DOMAINS),
    }
    assert not library.is_generated("no such dataset")


def test_what_is_behind_some_datasets(library):
    assert library.segmenters.behind(["divers-t", "divers", "diving48-s1", "mini-kinetics"]) == [
        "divers",
        "diving48",
    ]
    files = {assumption.file for assumption in library.assumptions("diving48-t")}
    assert files == {"datasets/diving48-t.yaml", "segmenters/diving48.yaml", "datasets/diving48-masks.yaml"}


def test_videos_that_are_not_composed_say_nothing_of_it(library):
    """So their hashes are those of before there were any that are."""
    footage = library.collection("kinetics-400").footage
    assert "composed" not in footage.model_dump(mode="json")
    assert Footage.model_validate(footage.model_dump(mode="json")) == footage
    composed = library.collection("diving48-s1").footage
    assert Footage.model_validate(composed.model_dump(mode="json")) == composed
    assert collection_name(library.collection("kinetics-400")) == "v1-65f57c87"


@pytest.mark.parametrize(
    ("file", "old", "new", "moves"),
    [
        ("segmenters/divers.yaml", "recipe: 1", "recipe: 2", "segmenter detections domains"),
        (
            "segmenters/divers.yaml",
            "lr: {value: 0.0015,",
            "lr: {value: 0.002,",
            "segmenter detections domains",
        ),
        ("datasets/divers-masks.yaml", "version: 1", "version: 2", "segmenter detections domains"),
        ("segmenters/divers.yaml", "frames: {value: 8,", "frames: {value: 9,", "detections domains"),
        ("datasets/divers-s1.yaml", "threshold: 0.4", "threshold: 0.5", "domains"),
        ("segmenters/divers.yaml", "shards: 1", "shards: 2", ""),
        ("segmenters/divers.yaml", "title: Small", "title: Little", ""),
        ("datasets/divers-s1.yaml", "shards: 1", "shards: 2", ""),
    ],
)
def test_what_depends_on_a_value_gets_another_name_and_nothing_else_does(root, file, old, new, moves):
    def names(library: Library) -> dict[str, object]:
        segmenters = library.segmenters
        return {
            "segmenter": segmenter_folder("divers", segmenters.training("divers")),
            "detections": detections_folder("divers", segmenters.detection("divers")),
            "domains": library.collection("divers-s1").footage,
            "source": library.collection("divers"),
        }

    before = names(Library(root))
    edit(root, file, old, new)
    after = names(Library(root))
    assert {name for name in before if before[name] != after[name]} == set(moves.split())


def test_published_domains_take_the_place_of_those_made_here(root):
    """Without the entry `segmented` the page is one of videos as any other, with an identity of its own."""
    made = Library(root).collection("diving48-t")
    path = root / "datasets/diving48-t.yaml"
    page = yaml.safe_load(path.read_text())
    del page["segmented"]
    path.write_text(yaml.safe_dump(page))
    library = Library(root)
    library.check()
    assert library.collection("diving48-t").footage.composed is None
    assert collection_name(library.collection("diving48-t")) != collection_name(made)
    assert library.segmenters.behind(["diving48-t"]) == []


@pytest.mark.parametrize(
    ("file", "old", "new", "key", "said"),
    [
        (
            "datasets/divers-t.yaml",
            "by: divers",
            "by: diver",
            "segmented.by",
            "there is no segmenter 'diver'; did you mean 'divers'?",
        ),
        (
            "segmenters/divers.yaml",
            "frames: divers-masks",
            "frames: diver-mask",
            "frames",
            "there are no labelled frames 'diver-mask'; did you mean 'divers-masks'?",
        ),
        (
            "segmenters/divers.yaml",
            "of: divers",
            "of: divers-s1",
            "videos.of",
            "'divers-s1' is no dataset of videos as filmed; did you mean 'divers'?",
        ),
        (
            "segmenters/diving48.yaml",
            "split: {value: test,",
            "split: {value: train,",
            "splits",
            "the segmenter is run over the split 'train', so that is what there is",
        ),
        (
            "datasets/divers-masks.yaml",
            "of: divers",
            "of: diving48-v2",
            "of",
            "'diving48-v2' is no generated dataset of videos; valid: appearance, divers, motion",
        ),
        (
            "datasets/divers-s1.yaml",
            "by: divers",
            "by: diving48",
            "classes",
            "'diving48-v2' has other classes",
        ),
        (
            "datasets/divers-s1.yaml",
            "kernel: {value: 19,",
            "kernel: {value: 18,",
            "segmented.effect.kernel",
            "a kernel has a pixel in its middle, so its side is odd, not 18",
        ),
        (
            "datasets/divers-s1.yaml",
            "kernel: {value: 19,",
            "kernel: {value: 241,",
            "segmented.effect.kernel",
            "a kernel of 241 pixels reaches over frames of 120 rows",
        ),
        (
            "datasets/divers-s1.yaml",
            "format: diving48",
            "format: kinetics",
            "files.format",
            "videos are composed in the format diving48, and 'divers-s1' has another one",
        ),
        (
            "segmenters/divers.yaml",
            "norm: {value: group,",
            "norm: {value: frozen,",
            "model.norm",
            "random weights need norm 'group' and all 5 stages trained",
        ),
        (
            "segmenters/diving48.yaml",
            "backbone: {value: resnet50,",
            "backbone: {value: resnet18,",
            "model.backbone",
            "the weights from COCO are those of torchvision's own sizes",
        ),
        (
            "datasets/divers-t.yaml",
            "kind: paint-over",
            "kind: paintover",
            "segmented.effect.kind",
            "unknown kind 'paintover'; did you mean 'paint-over'?",
        ),
    ],
)
def test_a_mistake_is_told_with_file_line_key_and_the_nearest_name(root, file, old, new, key, said):
    target = "datasets/diving48-s1.yaml" if key == "splits" else file
    edit(root, file, old, new)
    found = message(root)
    assert f"{target}:" in found and f": {key}: {said}" in found
    if target == file and key != "classes":
        assert found.startswith(f"{file}:{line_of(root, file, new)}: ")


def test_videos_are_generated_or_composed_and_not_both(root):
    path = root / "datasets/divers.yaml"
    page = yaml.safe_load(path.read_text())
    page["segmented"] = yaml.safe_load((root / "datasets/divers-t.yaml").read_text())["segmented"]
    path.write_text(yaml.safe_dump(page))
    assert "segmented: videos are generated or made of another dataset's, not both" in message(root)
