"""The pages of real videos: lists, counts and mirrors against other sources; what a wrong page answers."""

import hashlib
import re
import shutil
import textwrap

import pytest
import yaml

from pages import ROOT, edit, line_of
from retrace.data.paths import Pattern, values
from retrace.data.sources.entry import Entry
from retrace.errors import UserError
from retrace.plan.library import Library

WHOLE = (
    "something-something-v1",
    "something-something-v2",
    "kinetics-400",
    "kinetics-600",
    "moments-in-time",
    "diving48-v1",
    "diving48-v2",
)
MINI = {
    "mini-ssv2": "something-something-v2",
    "mini-kinetics": "kinetics-400",
    "mini-mit": "moments-in-time",
}
TABLE_4 = {
    "ssv2": "something-something-v2",
    "mini-ssv2": "mini-ssv2",
    "kinetics": "kinetics-400",
    "mini-kinetics": "mini-kinetics",
    "mit": "moments-in-time",
    "mini-mit": "mini-mit",
}
"""The rows of Table 4 of Deep Analysis, and whose pages they are about."""


@pytest.fixture(scope="module")
def library() -> Library:
    return Library(ROOT)


def raw_page(name: str) -> dict:
    return yaml.safe_load((ROOT / f"datasets/{name}.yaml").read_text(encoding="utf-8"))


def raw_list(name: str) -> tuple[bytes, list[str]]:
    content = (ROOT / f"datasets/classes/{raw_page(name)['classes']['file']}").read_bytes()
    return content, content.decode("ascii").split("\n")


def printed(paper: str, table: str) -> dict[str, list]:
    page = yaml.safe_load((ROOT / f"papers/{paper}.yaml").read_text(encoding="utf-8"))
    return {row["key"]: row["published"] for row in page["tables"][table]["rows"]}


def swapped(name: str) -> str:
    """Return a class's name with the words left and right in each other's place."""
    return re.sub(r"\b(left|right)\b", lambda word: {"left": "right", "right": "left"}[word[0]], name)


@pytest.mark.parametrize("name", [*WHOLE, *MINI])
def test_every_page_is_read_and_has_the_classes_that_it_counts(library, name):
    page, collection = library.videos[name], library.collection(name)
    wanted = page.classes if isinstance(page.classes, int) else page.classes.count
    assert len(collection.classes) == len(set(collection.classes)) == wanted
    assert page.version == collection.version == 1
    assert collection.footage.dataset == MINI.get(name, name)
    assert collection.footage.generator is None
    whole = library.page(name)
    assert whole.annotated().keys() == whole.files.annotations.keys()
    assert page.splits.keys() <= whole.splits.keys()


@pytest.mark.parametrize("name", [name for name in [*WHOLE, *MINI] if name != "mini-mit"])
def test_a_class_list_is_plain_lines_with_the_checksum_of_its_page(name):
    content, (*names, rest) = raw_list(name)
    wanted = raw_page(name)["classes"]
    assert (len(names), rest) == (wanted["count"], "")
    assert all(found == found.strip() and found.isprintable() and found for found in names)
    assert hashlib.sha256(content).hexdigest() == wanted["sha256"]


def test_the_classes_of_kinetics_are_those_of_torchvision_and_alphabetical(library):
    from torchvision.models.video import MViT_V2_S_Weights

    small, large = (library.collection(f"kinetics-{count}").classes for count in (400, 600))
    assert list(small) == MViT_V2_S_Weights.KINETICS400_V1.meta["categories"]
    assert list(small) == sorted(small)
    assert list(large) == sorted(large, key=str.lower)
    # Carreira et al., "A short note about Kinetics-600": 368 of the 400 classes are the same.
    assert len({*small} & {*large}) == 368


def test_both_versions_of_something_something_have_the_same_classes_in_their_own_orders(library):
    first, second = (library.collection(f"something-something-v{version}").classes for version in (1, 2))
    assert set(first) == set(second)
    assert first != second
    assert list(second) == sorted(second)


def test_both_versions_of_diving48_have_one_vocabulary_of_four_parts(library):
    first, second = (library.collection(f"diving48-v{version}").classes for version in (1, 2))
    assert first == second == tuple(sorted(first))
    parts = [name.split("_") for name in first]
    take_off, somersaults, twists, position = (set(part) for part in zip(*parts, strict=True))
    assert take_off == {"Back", "Forward", "Inward", "Reverse"}
    assert all(re.fullmatch(r"\d+som|Dive", part) for part in somersaults)
    assert all(re.fullmatch(r"\d+Twis|NoTwis", part) for part in twists)
    assert position == {"FREE", "PIKE", "STR", "TUCK"}


@pytest.mark.parametrize(
    ("name", "size", "checksum"),
    [("mini-ssv2", 3854, "4e0de120"), ("mini-kinetics", 2983, "f46ba38b")],
)
def test_the_mini_lists_are_the_authors_files_but_for_the_defects_their_pages_name(name, size, checksum):
    content, _ = raw_list(name)
    theirs = b"\n" + content[:-1] if name == "mini-ssv2" else content[:-1] + b"''."
    assert len(theirs) == size
    assert hashlib.sha256(theirs).hexdigest().startswith(checksum)
    assert hashlib.sha256(theirs).hexdigest() in raw_page(name)["origin"]


@pytest.mark.parametrize(("name", "whole"), MINI.items())
def test_a_mini_set_has_classes_of_its_whole_in_the_order_of_the_whole(library, name, whole):
    mini, full = library.collection(name).classes, library.collection(whole).classes
    assert set(mini) < set(full)
    assert list(mini) == [found for found in full if found in set(mini)]


def test_the_draw_of_mini_mit_fills_its_splits(library):
    collection, splits = library.collection("mini-mit"), library.videos["mini-mit"].splits
    assert collection.per_class.keys() == splits.keys()
    for split, count in collection.per_class.items():
        assert count * len(collection.classes) == splits[split].videos


@pytest.mark.parametrize(("row", "name"), TABLE_4.items())
def test_published_counts_are_the_cells_of_table_4(library, row, name):
    train, val, classes, duration = printed("deep_analysis", "table-4")[row]
    page = library.videos[name]
    assert {split: found.published for split, found in page.splits.items()} == {
        "train": 1000 * train,
        "val": 1000 * val,
    }
    assert len(library.collection(name).classes) == classes
    if duration:
        assert duration.endswith(f"@{page.fps:g}fps")


def test_published_counts_of_kinetics_600_are_those_of_timesformer(library):
    train, val, classes = printed("timesformer", "text-1")["kinetics-600"]
    splits = library.videos["kinetics-600"].splits
    assert (splits["train"].published, splits["val"].published) == (1000 * train, 1000 * val)
    assert len(library.collection("kinetics-600").classes) == classes


@pytest.mark.parametrize("name", [*WHOLE, *MINI])
def test_exact_counts_round_to_the_published_ones(library, name):
    """Papers cut and round as they like, and work on what is left of YouTube: within 7 % is the same set."""
    for expected in library.videos[name].splits.values():
        assert expected.published is None or abs(expected.videos / expected.published - 1) < 0.07


@pytest.mark.parametrize("name", WHOLE)
def test_a_mirror_swaps_exactly_the_classes_that_left_and_right_swap(library, name):
    collection = library.collection(name)
    pairs = {frozenset((found, swapped(found))) for found in collection.classes} - {
        frozenset((found,)) for found in collection.classes
    }
    pairs = {pair for pair in pairs if pair <= set(collection.classes)}
    assert {frozenset(pair) for pair in collection.mirror} == pairs
    assert len({found for pair in collection.mirror for found in pair}) == 2 * len(collection.mirror)
    assert (collection.flip == "relabel") == bool(pairs) == name.startswith("something")


def test_mini_ssv2_keeps_one_class_of_each_mirrored_pair(library):
    collection = library.collection("mini-ssv2")
    for pair in collection.mirror:
        assert len(set(pair) & set(collection.classes)) == 1


LAYOUTS = [
    # The publishers' own, or as the tools of public projects leave them.
    ("kinetics-400", "train", "train/-3B32lodo2M_000059_000069.mp4"),
    ("kinetics-400", "train", "replacement/replacement_for_corrupted_k400/-3B32lodo2M_000059_000069.mp4"),
    ("kinetics-400", "val", "val/air drumming/-3B32lodo2M_000059_000069.mp4"),
    ("kinetics-400", "val", "validate/-3B32lodo2M_000059_000069.mp4"),
    ("kinetics-400", "train", "videos_train/air_drumming/-3B32lodo2M_000059_000069.mp4"),
    ("kinetics-400", "val", "val_256/air_drumming/-3B32lodo2M.mp4"),
    ("kinetics-600", "train", "train/air drumming/-3B32lodo2M_000059_000069.mp4"),
    ("kinetics-600", "val", "val/-3B32lodo2M.mp4"),
    ("moments-in-time", "train", "training/air drumming/-3B32lodo2M.mp4"),
    ("moments-in-time", "val", "validation/air drumming/-3B32lodo2M.mp4"),
    ("something-something-v1", "train", "20bn-something-something-v1/-3B32lodo2M"),
    ("something-something-v2", "val", "20bn-something-something-v2/-3B32lodo2M.webm"),
    ("diving48-v1", "test", "rgb/-3B32lodo2M.mp4"),
    ("diving48-v2", "train", "videos/-3B32lodo2M.webm"),
]


@pytest.mark.parametrize(("name", "split", "path"), LAYOUTS)
def test_the_known_layouts_are_among_the_patterns(library, name, split, path):
    video = "air drumming/-3B32lodo2M" if name == "moments-in-time" else "-3B32lodo2M"
    filled = values(Entry(video, video, "air drumming", 59.0, 69.0, 1), split)
    assert path in [Pattern(text).fill(filled) for text in library.page(name).files.videos]


@pytest.mark.parametrize("name", WHOLE)
def test_patterns_have_known_fields_alone_and_annotations_have_none(library, name):
    files = library.page(name).files
    assert len(set(files.videos)) == len(files.videos)
    for text in files.videos:
        assert set(re.findall(r"{([^}]*)}", text)) <= {
            "id",
            "class",
            "class_",
            "split",
            "start:06d",
            "end:06d",
        }
    for text in (*files.labels, *(name for names in files.annotations.values() for name in names)):
        assert "{" not in text
        assert not text.startswith("/") and ".." not in text


@pytest.mark.parametrize("name", [*WHOLE, *MINI])
def test_no_page_claims_to_download_anything(name):
    text = (ROOT / f"datasets/{name}.yaml").read_text(encoding="utf-8")
    assert "download" not in text.lower()
    for address in re.findall(r"https?://\S+", text):
        assert not re.search(r"\.(zip|tar|gz|tgz|csv|json|txt|mp4)\b", address)
    if name in WHOLE:
        assert "never fetched by this project" in " ".join(raw_page(name)["access"].split())


@pytest.fixture
def root(tmp_path):
    """A copy of the pages to spoil."""
    for folder in ("datasets", "segmenters"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    return tmp_path


def message(root, name: str) -> str:
    with pytest.raises(UserError) as caught:
        Library(root).collection(name)
    return str(caught.value)


@pytest.mark.parametrize(
    ("name", "old", "new", "key", "expected"),
    [
        (
            "mini-kinetics",
            "of: kinetics-400",
            "of: kinetics-40",
            "of",
            "'kinetics-40' is no dataset of videos; did you mean 'kinetics-400'?",
        ),
        (
            "mini-kinetics",
            "of: kinetics-400",
            "of: mini-kinetics",
            "of",
            "'mini-kinetics' is no dataset of videos; did you mean 'kinetics-600'?",
        ),
        (
            "mini-mit",
            "classes: 200",
            "classes: 340",
            "classes",
            "'moments-in-time' has 339 classes, 340 cannot be drawn from them",
        ),
        (
            "something-something-v2",
            "[Pushing something from left to right,",
            "[Pushing something from left to rigth,",
            "mirror.1",
            "'Pushing something from left to rigth' is no class of this dataset; "
            "did you mean 'Pushing something from left to right'?",
        ),
        (
            "kinetics-400",
            "file: kinetics-400.txt",
            "file: kinetics-40.txt",
            "classes.file",
            "datasets/classes/kinetics-40.txt cannot be read: No such file or directory",
        ),
        (
            "kinetics-400",
            "file: kinetics-400.txt",
            "file: ../kinetics-400.yaml",
            "classes.file",
            "'../kinetics-400.yaml' cannot be a name: letters, digits and . _ - only, ",
        ),
        (
            "diving48-v1",
            "count: 48",
            "count: 47",
            "classes.count",
            "datasets/classes/diving48.txt should name 47 classes, each once, one a line",
        ),
        (
            "moments-in-time",
            "flip: allow",
            "flip: alow",
            "flip",
            "'alow' is not known here; did you mean 'allow'?",
        ),
        (
            "something-something-v1",
            "flip: relabel",
            "flip: allow",
            "mirror",
            "'mirror' belongs to flip 'relabel', and relabelling needs it",
        ),
        (
            "mini-ssv2",
            "shards: 128",
            "seed: 1\nshards: 128",
            "seed",
            "'seed' belongs to what is drawn: a number of classes, or 'per_class'",
        ),
        (
            "moments-in-time",
            "format: moments",
            "format: moment",
            "files.format",
            "'moment' is not known here; did you mean 'moments'?",
        ),
        (
            "kinetics-600",
            "shards: 256",
            "shard: 256",
            "shard",
            "unknown key 'shard'; did you mean 'shards'?",
        ),
        (
            "diving48-v2",
            "name: h264",
            "name: h265",
            "store.codec.name",
            "unknown name 'h265'; did you mean 'h264'?",
        ),
    ],
)
def test_a_mistake_is_told_with_file_line_key_and_the_nearest_name(root, name, old, new, key, expected):
    file = f"datasets/{name}.yaml"
    edit(root, file, old, new)
    found = message(root, name)
    place = re.match(rf"{re.escape(file)}:(\d+): {re.escape(key)}: ", found)
    assert place and found.startswith(f"{place[0]}{expected}")
    assert int(place[1]) == line_of(root, file, "mirror:" if key == "mirror" else new)


def test_a_changed_class_list_is_told_by_both_checksums(root):
    file, mine = "datasets/classes/kinetics-400.txt", "datasets/kinetics-400.yaml"
    edit(root, file, "yoga\n", "yoga\r\n")
    expected = raw_page("kinetics-400")["classes"]["sha256"]
    found = hashlib.sha256((root / file).read_bytes()).hexdigest()
    line = line_of(root, mine, "sha256:")
    assert message(root, "kinetics-400") == (
        f"{mine}:{line}: classes.sha256: {file} has the checksum {found}, expected {expected}"
    )
    # A subset needs the list of its whole, and says whose it is.
    assert message(root, "mini-kinetics").startswith(f"{mine}:{line}: ")


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (
            "yoga\n",
            "yogi\n",
            "names 'yogi', which 'kinetics-400' lacks; did you mean 'yoga'?",
        ),
        ("yoga\n", "yawning\n", "datasets/classes/mini-kinetics.txt should name 200 classes, each once"),
        ("yoga\n", "yoga", "datasets/classes/mini-kinetics.txt should name 200 classes, each once"),
        ("yoga\n", "\n", "datasets/classes/mini-kinetics.txt should name 200 classes, each once"),
    ],
)
def test_a_list_of_ones_own_is_checked_against_its_whole(root, old, new, expected):
    page, file = "datasets/mini-kinetics.yaml", "datasets/classes/mini-kinetics.txt"
    edit(root, file, old, new)
    checksum = hashlib.sha256((root / file).read_bytes()).hexdigest()
    edit(root, page, raw_page("mini-kinetics")["classes"]["sha256"], checksum)
    found = message(root, "mini-kinetics")
    assert re.match(rf"{page}:\d+: classes\.(file|count): ", found)
    assert expected in found


def test_the_page_that_the_docs_give_as_an_example_is_read(root):
    blocks = (ROOT / "docs/add-a-dataset.md").read_text(encoding="utf-8").split("\n\n")
    (page,) = (textwrap.dedent(block) for block in blocks if "kind: videos" in block)
    classes = ["hop", "run", "sit", "stand", "walk"]
    content = "".join(f"{name}\n" for name in classes)
    (root / "datasets/classes/my-set.txt").write_text(content)
    checksum = hashlib.sha256(content.encode()).hexdigest()
    (root / "datasets/my-set.yaml").write_text(page.replace("sha256: ...", f"sha256: {checksum}"))
    assert Library(root).collection("my-set").classes == tuple(classes)
