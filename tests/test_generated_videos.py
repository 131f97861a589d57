"""Generated videos: official files, the same bytes, order alone in `motion`, exact masks in `divers`."""

import json
from dataclasses import replace
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from retrace.data.decode import decode
from retrace.data.paths import Pattern, values
from retrace.data.sources.read import check_labels, entries
from retrace.data.synthetic.videos import appearance, divers, labelled, motion
from retrace.data.synthetic.videos.dive import attributes
from retrace.data.synthetic.videos.write import synthesize
from retrace.errors import UserError
from retrace.plan.library import CLASSES, Library
from retrace.plan.video import Footage

ROOT = Path(__file__).parent.parent
SETS = ("motion", "appearance", "divers")
FEW = {"train": 7, "val": 2, "test": 2}


@pytest.fixture(scope="module")
def library():
    return Library(ROOT)


def few(library, name, **changes):
    """Return the footage, page and classes of a set, with few short videos."""
    collection, page = library.collection(name), library.page(name)
    scene = collection.footage.generator
    update = {"frames": (8, 12)} | ({"labelled": 3} if name == "divers" else {}) | changes
    footage = collection.footage.model_copy(
        update={
            "generator": scene.model_copy(update=update),
            "videos": {split: FEW[split] for split in collection.footage.videos},
        }
    )
    return footage, page, collection.classes


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def made(library, tmp_path_factory):
    """The folders of the three small sets."""
    folders = {}
    for name in SETS:
        folders[name] = tmp_path_factory.mktemp(name)
        synthesize(*few(library, name), folders[name])
    return folders


@pytest.mark.parametrize("name", SETS)
def test_official_annotations_list_every_video_and_its_class(library, made, name):
    footage, page, classes = few(library, name)
    pattern = Pattern(page.files.videos[0])
    for split, count in footage.videos.items():
        path = made[name] / page.files.annotations[split][0]
        listed = list(entries(page.files.format, path, split, classes))
        assert [entry.label for entry in listed] == [classes[i % len(classes)] for i in range(count)]
        assert len({entry.id for entry in listed}) == count
        assert all((made[name] / pattern.fill(values(entry, split))).is_file() for entry in listed)
    labels = made[name] / page.files.labels[0] if page.files.labels else None
    check_labels(page.files.format, labels, classes)


@pytest.mark.parametrize(("name", "draw", "render"), [
    ("motion", motion.draw, motion.render),
    ("appearance", appearance.draw, appearance.render),
    ("divers", divers.draw, divers.render),
])  # fmt: skip
def test_a_decoded_video_is_the_rendered_one(library, made, name, draw, render):
    footage, page, classes = few(library, name)
    entry = next(
        iter(entries(page.files.format, made[name] / page.files.annotations["train"][0], "train", classes))
    )
    frames_THWC = render(draw(footage.generator, classes, "train", 0))
    path = made[name] / Pattern(page.files.videos[0]).fill(values(entry, "train"))
    decoded_THWC = decode(path, range(len(frames_THWC)))
    error = np.mean((decoded_THWC.astype(float) - frames_THWC) ** 2, axis=(1, 2, 3))
    assert (10 * np.log10(255**2 / error) > 25).all()  # chroma at half size, and noise that a codec drops
    with pytest.raises(UserError, match="it has"):
        decode(path, [len(frames_THWC)])


@pytest.mark.parametrize("name", SETS)
def test_fewer_videos_are_a_prefix_and_what_is_there_stays(library, made, tmp_path, name):
    footage, page, classes = few(library, name)
    fewer = footage.model_copy(
        update={"videos": {split: 3 if split == "train" else 1 for split in footage.videos}}
    )
    synthesize(fewer, page, classes, tmp_path)
    whole, part = files(made[name]), files(tmp_path)
    media = {path for path in part if path.endswith((".mp4", ".webm", ".png", ".jpg"))}
    assert len(media) >= 4 and all(part[path] == whole[path] for path in media)
    before = {path: (tmp_path / path).stat().st_mtime_ns for path in media}
    lost = next(path for path in sorted(media) if path.endswith((".mp4", ".webm")))
    (tmp_path / lost).unlink()
    synthesize(footage, page, classes, tmp_path)
    assert files(tmp_path) == whole
    assert all((tmp_path / path).stat().st_mtime_ns == then for path, then in before.items() if path != lost)


def test_a_seed_a_split_and_an_index_each_make_another_video(library):
    footage, _, classes = few(library, "motion", frames=(8, 8))
    scene = footage.generator
    other = scene.model_copy(update={"seed": scene.seed + 1})
    acts = [
        motion.draw(scene, classes, "train", 0),
        motion.draw(other, classes, "train", 0),
        motion.draw(scene, classes, "val", 0),
        motion.draw(scene, classes, "train", 6),
    ]
    assert len({motion.render(act).tobytes() for act in acts}) == len(acts)


def test_motion_has_the_same_frames_in_every_class(library):
    footage, _, classes = few(library, "motion", frames=(12, 12))
    act = motion.draw(footage.generator, classes, "train", 1)
    videos = [motion.render(replace(act, order=motion.order(name))) for name in classes]
    bags = {tuple(sorted(frame.tobytes() for frame in video)) for video in videos}
    assert len(bags) == 1
    assert len({video.tobytes() for video in videos}) == len(classes) == 6


def test_a_motion_video_may_begin_anywhere_and_stays_the_same_round(library):
    footage, _, classes = few(library, "motion", frames=(12, 12))
    act = motion.draw(footage.generator, classes, "train", 2)
    later = replace(act, start=(act.start + 5 * motion.TICKS) % (act.frames * motion.TICKS))
    assert np.array_equal(np.roll(motion.render(act), -5, axis=0), motion.render(later))


@pytest.mark.parametrize(("name", "share"), [("motion", 1), ("motion-aligned", 1 / 8)])
def test_a_motion_video_begins_in_the_part_of_its_round_that_the_page_tells(library, name, share):
    collection = library.collection(name)
    scene = collection.footage.generator
    acts = [motion.draw(scene, collection.classes, "train", index) for index in range(200)]
    begun = np.array([act.start / (act.frames * motion.TICKS) for act in acts])
    assert 0.95 * share < begun.max() < share
    assert abs(begun.mean() - share / 2) < 4 * share / np.sqrt(12 * len(acts))


@pytest.mark.parametrize("order", list(permutations((1, 2, 3))))
def test_a_reversed_motion_video_is_one_of_the_opposite_order(library, order):
    footage, _, classes = few(library, "motion", frames=(12, 12))
    act = replace(motion.draw(footage.generator, classes, "val", 1), order=(0, *order))
    last = act.start + (act.frames - 1) * motion.TICKS
    opposite = replace(act, order=act.order[::-1], start=-last % (act.frames * motion.TICKS))
    assert np.array_equal(motion.render(act)[::-1], motion.render(opposite))


def test_every_place_in_a_motion_video_sees_every_event_alike(library):
    """Over all beginnings, the state at a frame has one distribution: whatever the frame and the class."""
    footage, _, classes = few(library, "motion", frames=(8, 8))
    act = motion.draw(footage.generator, classes, "train", 0)
    seen = set()
    for name in classes:
        states = [
            motion.timeline(replace(act, order=motion.order(name), start=start))
            for start in range(act.frames * motion.TICKS)
        ]
        for frame in range(act.frames):
            seen.add(tuple(sorted((event_T[frame], swing_T[frame]) for event_T, swing_T in states)))
    assert len(seen) == 1


def single_frames(draw, render, scene, classes, split, count):
    """Return one frame a video as features: how often which brightness follows another, in small pictures."""
    features, labels = [], []
    for index in range(count):
        drawn = draw(scene, classes, split, index)
        frame_HWC = render(drawn)[0]
        grey = np.asarray(Image.fromarray(frame_HWC).convert("L"), float)
        near = np.abs(np.fft.rfft2(grey - grey.mean()))[:24, :24]
        features.append(np.log1p(near.reshape(6, 4, 6, 4).mean((1, 3))).ravel())
        labels.append(drawn.label)
    return np.array(features), np.array(labels)


@pytest.mark.parametrize(
    ("name", "module", "above"), [("motion", motion, False), ("appearance", appearance, True)]
)
def test_a_single_frame_tells_nothing_of_motion_and_much_of_appearance(library, name, module, above):
    collection = library.collection(name)
    scene = collection.footage.generator.model_copy(update={"frames": (4, 4), "clutter": 1})
    x, y = single_frames(module.draw, module.render, scene, collection.classes, "train", 300)
    x_held, y_held = single_frames(module.draw, module.render, scene, collection.classes, "val", 120)
    right = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto").fit(x, y).score(x_held, y_held)
    chance, deviation = 1 / 6, np.sqrt(1 / 6 * 5 / 6 / 120)
    assert right > chance + 6 * deviation if above else abs(right - chance) < 3 * deviation


def test_the_mean_colour_tells_little_of_appearance(library):
    collection = library.collection("appearance")
    scene = collection.footage.generator.model_copy(update={"frames": (4, 4)})
    drawn = [appearance.draw(scene, collection.classes, "train", index) for index in range(240)]
    colours = np.array([appearance.render(flight)[0].mean((0, 1)) for flight in drawn])
    labels = np.array([flight.label for flight in drawn])
    model = LinearDiscriminantAnalysis().fit(colours[:160], labels[:160])
    assert model.score(colours[160:], labels[160:]) < 0.4


@pytest.fixture(scope="module")
def jumps(library):
    """Two dives at full length: one of a single diver, one of two."""
    collection = library.collection("divers")
    scene = collection.footage.generator
    drawn = [divers.draw(scene, collection.classes, "train", index) for index in range(30)]
    return [next(jump for jump in drawn if jump.divers == count) for count in (1, 2)]


@pytest.mark.parametrize("halls", [0.0, 1.0])
def test_a_class_is_known_by_its_hall_as_far_as_the_page_says_so(library, halls):
    footage, _, classes = few(library, "divers", halls=halls, frames=(8, 8))
    dives = [divers.draw(footage.generator, classes, "train", index) for index in range(48)]
    views_NC = np.array([divers.render(dive, with_divers=False)[0, :30].mean((0, 1)) for dive in dives])
    apart_NN = np.linalg.norm(views_NC[:, None] - views_NC[None], axis=-1) + np.diag([np.inf] * len(dives))
    labels = np.array([dive.label for dive in dives])
    right = (labels[apart_NN.argmin(1)] == labels).mean()  # by the nearest other video
    assert right > 0.7 if halls else right < 0.3


def grown(mask_THW: np.ndarray) -> np.ndarray:
    """Return the mask with its eight neighbours."""
    wide = np.pad(mask_THW, ((0, 0), (1, 1), (1, 1)))
    height, width = mask_THW.shape[1:]
    return np.any([wide[:, i : i + height, j : j + width] for i in range(3) for j in range(3)], axis=0)


def test_masks_are_where_the_divers_make_a_difference(jumps):
    for jump in jumps:
        with_THWC, without_THWC = (divers.render(jump, shown).astype(int) for shown in (True, False))
        differs_THW = np.abs(with_THWC - without_THWC).max(axis=-1) > 0
        masks_TDHW = divers.masks(jump)
        assert masks_TDHW.shape == (jump.frames, jump.divers, *differs_THW.shape[1:])
        anyone_THW = masks_TDHW.any(axis=1)
        assert not (differs_THW & ~grown(anyone_THW)).sum() > 0.02 * anyone_THW.sum()
        assert (anyone_THW & ~differs_THW).sum() < 0.02 * anyone_THW.sum()
        assert (masks_TDHW.sum(axis=1) <= 1).all()


def test_divers_are_seen_from_the_tower_until_they_are_under_water(jumps):
    for jump in jumps:
        masks_TDHW = divers.masks(jump)
        pixels_TD = masks_TDHW.sum(axis=(2, 3))
        assert (pixels_TD[: jump.frames // 2] > 60).all()
        assert (pixels_TD[-2:] == 0).all()


def test_boxes_are_the_extents_of_masks(jumps):
    masks_TDHW = divers.masks(jumps[1])
    boxes_TD4 = divers.boxes(masks_TDHW)
    for mask_HW, box in zip(
        masks_TDHW.reshape(-1, *masks_TDHW.shape[2:]), boxes_TD4.reshape(-1, 4), strict=True
    ):
        rows, columns = np.nonzero(mask_HW)
        expected = [columns.min(), rows.min(), columns.max(), rows.max()] if len(rows) else [-1] * 4
        assert box.tolist() == expected


def test_labelled_frames_are_frames_of_their_videos_with_a_colour_for_each_diver(library, made):
    footage, page, classes = few(library, "divers")
    annotated = json.loads((made["divers"] / page.files.annotations["train"][0]).read_text())
    images, masks = (
        sorted((made["divers"] / labelled.FOLDER / kind).iterdir()) for kind in ("images", "masks")
    )
    assert len(images) == len(masks) == footage.generator.labelled
    names = {row["vid_name"]: index for index, row in enumerate(annotated)}
    for image, mask in zip(images, masks, strict=True):
        name, sample = image.stem.rsplit("_", 1)
        assert mask.name == f"{name}_{sample}_mask.png" and 0 <= int(sample) <= 22
        jump = divers.draw(footage.generator, classes, "train", names[name])
        frame = round((jump.frames - 1) * int(sample) / 31)  # both round halves to even
        painted = np.asarray(Image.open(mask))
        colours = sorted({tuple(colour) for colour in painted.reshape(-1, 3).tolist()})
        truth = [instance for instance in divers.masks(jump)[frame] if instance.any()]
        assert colours[0] == (0, 0, 0) and len(colours) == 1 + len(truth)
        for colour, instance_HW in zip(colours[1:], truth, strict=True):
            assert np.array_equal((painted == colour).all(axis=-1), instance_HW)
        error = np.asarray(Image.open(image)).astype(float) - divers.render(jump)[frame]
        assert np.abs(error).mean() < 6


def test_every_class_of_diving48_can_be_drawn():
    names = (ROOT / CLASSES / "diving48.txt").read_text().splitlines()
    assert len({attributes(name) for name in names}) == 48


@pytest.mark.parametrize(("name", "classes", "expected"), [
    ("motion", ("Making something hop, then sit",), "'sit' cannot be generated"),
    ("motion", ("Making something hop, then turn, then turn, then glow",), "should name each of hop"),
    ("appearance", ("flying a stripped kite",), "did you mean 'striped'?"),
    ("appearance", ("playing guitar",), "expected e.g. 'flying a striped kite'"),
    ("divers", ("Back_15som_FREE",), "should have four parts"),
    ("divers", ("Sideways_15som_NoTwis_FREE",), "'Sideways' cannot be generated"),
])  # fmt: skip
def test_a_class_that_cannot_be_generated_is_said_before_anything_is_made(
    library, tmp_path, name, classes, expected
):
    footage, page, _ = few(library, name)
    with pytest.raises(UserError) as error:
        synthesize(footage, page, classes, tmp_path)
    assert expected in str(error.value) and not list(tmp_path.iterdir())


def test_what_a_page_cannot_ask_for(library, tmp_path):
    footage, page, classes = few(library, "motion")

    def asked(footage: Footage = footage, **files: object) -> None:
        synthesize(
            footage, page.model_copy(update={"files": page.files.model_copy(update=files)}), classes, tmp_path
        )

    with pytest.raises(UserError, match="writes 'something-v2', not 'kinetics'"):
        asked(format="kinetics")
    with pytest.raises(UserError, match=r"ends in \.webm or \.mp4"):
        asked(videos=("{id}.avi",))
    with pytest.raises(UserError, match="is not generated"):
        asked(footage.model_copy(update={"generator": None}))
    with pytest.raises(UserError, match=r"no multiple of 4 lies in 5\.\.7"):
        asked(few(library, "motion", frames=(5, 7))[0])
    assert not list(tmp_path.iterdir())
