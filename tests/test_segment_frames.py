"""Frames with masks, as the authors publish them: what is read, and what is refused with the file's name."""

import numpy as np
import pytest
import torch
from PIL import Image

from papertext import oracle
from retrace.errors import UserError
from retrace.plan.segmenter import MaskSplits
from retrace.segment.frames import divided, read_frames
from segments import HEIGHT, WIDTH, bars, write_frames


@pytest.fixture
def root(tmp_path):
    return write_frames(tmp_path / "frames")


def refusal(root) -> str:
    with pytest.raises(UserError) as caught:
        read_frames(root)
    return str(caught.value)


def test_each_colour_but_black_is_a_diver_with_its_box(root):
    frames = read_frames(root)
    assert [frame.name for frame in frames] == [f"video_{number:03d}_13" for number in range(9)]
    for number, frame in enumerate(frames):
        image, mask = bars(number, 1 + (number % 3 == 2))
        assert frame.image_3HW.shape == (3, HEIGHT, WIDTH)
        assert abs(frame.image_3HW.permute(1, 2, 0).numpy().astype(int) - image).mean() < 12  # a JPEG
        colours = sorted(set(map(tuple, mask.reshape(-1, 3).tolist())) - {(0, 0, 0)})
        assert len(frame.masks_NHW) == len(colours) == 1 + (number % 3 == 2)
        for mask_HW, box, colour in zip(frame.masks_NHW, frame.boxes_N4(), colours, strict=True):
            assert np.array_equal(mask_HW.numpy(), (mask == colour).all(2))
            ys, xs = np.nonzero(mask_HW.numpy())
            assert box.tolist() == [xs.min(), ys.min(), xs.max(), ys.max()]


def test_a_mirrored_frame_has_its_divers_on_the_other_side(root):
    frame = read_frames(root)[2]
    mirrored = frame.mirrored()
    x0, y0, x1, y1 = frame.boxes_N4().T
    assert torch.equal(mirrored.boxes_N4().T, torch.stack([WIDTH - 1 - x1, y0, WIDTH - 1 - x0, y1]))
    assert torch.equal(mirrored.mirrored().image_3HW, frame.image_3HW)


def test_hidden_files_and_names_that_sort_differently_are_no_trouble(root):
    for folder, suffix in (("images", ".jpg"), ("masks", "_mask.png")):
        (root / folder / ".DS_Store").write_bytes(b"\x00")
        (root / f"{folder}/video_000_13{suffix}").rename(root / f"{folder}/video_1{suffix}")
        (root / f"{folder}/video_001_13{suffix}").rename(root / f"{folder}/video_13{suffix}")
    frames = {frame.name: frame for frame in read_frames(root)}
    for name, number in (("video_1", 0), ("video_13", 1)):
        assert np.array_equal(frames[name].masks_NHW.any(0).numpy(), bars(number)[1].any(2))


def test_a_frame_without_a_diver_and_a_speck_without_a_box_are_read(root):
    mask = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    Image.fromarray(mask).save(root / "masks/video_000_13_mask.png")
    mask[10, 5:20] = 200  # a line: its box has no height
    Image.fromarray(mask).save(root / "masks/video_001_13_mask.png")
    frames = read_frames(root)
    assert frames[0].masks_NHW.shape == frames[1].masks_NHW.shape == (0, HEIGHT, WIDTH)
    assert frames[0].boxes_N4().shape == (0, 4)


def test_the_authors_split_of_303_frames():
    expected = oracle("rac", "random_split_seed42")["303"]
    splits = MaskSplits(dataset="x", version=1, train=290, val=13, seed=42, footage=None)
    train, val = divided(list(range(303)), splits)
    assert (len(train), len(val)) == (290, 13)
    assert train[:10] == expected["train_first10"]
    assert val[:10] == expected["val_first10"] and val[-3:] == expected["val_last3"]


def test_another_number_of_frames_is_refused(root):
    splits = MaskSplits(dataset="bars-masks", version=1, train=7, val=3, seed=42, footage=None)
    with pytest.raises(
        UserError, match=r"9 labelled frames; datasets/bars-masks.yaml expects 10: 7 to train"
    ):
        divided(read_frames(root), splits)


def test_what_is_missing_is_named(root, tmp_path):
    (root / "masks/video_004_13_mask.png").rename(root / "masks/video_400_13_mask.png")
    assert refusal(root).endswith(
        "images/video_004_13.jpg has no mask: masks/video_004_13_mask.png; "
        "did you mean 'video_400_13_mask.png'?"
    )
    (root / "images/video_004_13.jpg").unlink()
    assert "masks/video_400_13_mask.png has no image: images/video_400_13.jpg" in refusal(root)
    (tmp_path / "empty/images").mkdir(parents=True)
    assert "has no folder masks/" in refusal(tmp_path / "empty") or "is empty" in refusal(tmp_path / "empty")
    assert "is no folder" in refusal(tmp_path / "nowhere")


def test_two_masks_of_one_image_are_refused(root):
    Image.fromarray(bars(0)[1]).save(root / "masks/video_000_13.png")
    assert "two images or two masks have the same name" in refusal(root)


def spoil(name):
    def of_size(path):
        Image.fromarray(bars(3)[1]).resize((WIDTH - 1, HEIGHT)).save(path)

    def in_many_colours(path):
        Image.fromarray(np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)).save(path)

    def without_black(path):
        Image.fromarray(np.full((HEIGHT, WIDTH, 3), 7, np.uint8)).save(path)

    def of_many_divers(path):
        mask = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
        for number in range(9):
            mask[4 * number : 4 * number + 3, :9] = 20 + number
        Image.fromarray(mask).save(path)

    return {
        "cut off": lambda path: path.write_bytes(path.read_bytes()[:90]),
        "flipped": lambda path: path.write_bytes(path.read_bytes()[:60] + b"\xff" * 40),
        "empty": lambda path: path.write_bytes(b""),
        "text": lambda path: path.write_text("%!PS-Adobe-3.0\n"),
        "size": of_size,
        "colours": in_many_colours,
        "background": without_black,
        "divers": of_many_divers,
    }[name]


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("cut off", "cannot be read as a picture (JPEG or PNG)"),
        ("flipped", "cannot be read as a picture"),
        ("empty", "cannot be read as a picture"),
        ("text", "cannot be read as a picture"),
        ("size", f"is {WIDTH - 1}x{HEIGHT} pixels, its image is {WIDTH}x{HEIGHT}"),
        ("colours", "has no black background"),
        ("background", "has no black background: its darkest colour is #070707"),
        ("divers", "has 9 colours besides black; expected one for each diver, at most 8"),
    ],
)
def test_a_mask_that_is_none_is_told_by_its_name(root, what, said):
    path = root / "masks/video_003_13_mask.png"
    spoil(what)(path)
    assert refusal(root).startswith(str(path)) and said in refusal(root)


@pytest.mark.parametrize("what", ["cut off", "text"])
def test_an_image_that_is_none_is_told_by_its_name(root, what):
    path = root / "images/video_003_13.jpg"
    spoil(what)(path)
    assert refusal(root).startswith(f"{path} cannot be read as a picture")


def test_no_file_leads_out_of_the_folder(root, tmp_path):
    secret = tmp_path / "secret.png"
    Image.fromarray(bars(0)[1]).save(secret)
    path = root / "masks/video_003_13_mask.png"
    path.unlink()
    path.symlink_to(secret)
    assert "is, or lies behind, a link that leads out of the data's folder" in refusal(root)
    path.unlink()
    path.mkdir()
    assert "is a folder; expected a picture" in refusal(root)


def test_a_folder_of_masks_elsewhere_is_refused(root, tmp_path):
    (root / "masks").rename(tmp_path / "masks")
    (root / "masks").symlink_to(tmp_path / "masks")
    assert "has no folder masks/" in refusal(root)
