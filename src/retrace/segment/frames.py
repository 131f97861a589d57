"""Frames with hand-drawn masks, in the format of the authors of "Recur, Attend or Convolve?".

images/ and masks/ go together by name: `x.jpg` and `x_mask.png`. A mask is a picture of the same size: black
is background, each other colour one diver. Both come from outside, so nothing about them is believed.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from retrace.data.paths import Place, Tree
from retrace.errors import UserError
from retrace.plan.segmenter import MaskSplits
from retrace.plan.strict import nearest

IMAGES, MASKS = "images", "masks"
FORMATS = ("JPEG", "PNG")
MOST_DIVERS = 8
"""More colours than that are no instances: a mask that was scaled or saved as JPEG has hundreds."""

_MARK = "_mask"
_UNREADABLE = (OSError, SyntaxError, ValueError, Image.DecompressionBombError)
"""What Pillow answers to files that are damaged, are no pictures, or are enormous."""


class Frame(NamedTuple):
    """One picture, and where each diver in it is."""

    name: str
    image_3HW: Tensor
    """uint8 RGB."""
    masks_NHW: Tensor
    """bool, a diver each; none of them is empty."""

    def mirrored(self) -> "Frame":
        """Return the frame with left and right exchanged."""
        return Frame(self.name, self.image_3HW.flip(-1), self.masks_NHW.flip(-1))

    def boxes_N4(self) -> Tensor:
        """Return x0, y0, x1, y1 of each diver: its first and last column and row (authors' code)."""
        return boxes_of(self.masks_NHW)


def boxes_of(masks_NHW: Tensor) -> Tensor:
    """Return the first and last column and row of each mask, none of them empty, as float (N, 4)."""
    spans = []
    for mask_HW in masks_NHW:
        ys, xs = mask_HW.nonzero(as_tuple=True)
        spans.append([xs.min(), ys.min(), xs.max(), ys.max()])
    return torch.tensor(spans, dtype=torch.float32).view(-1, 4)


def read_frames(root: Path) -> list[Frame]:
    """Return all frames below `root`, in the order of their names.

    Raises UserError that names the file where one has no partner, leads out of `root`, cannot be read as a
    picture, or where a mask has another size or other colours than a mask has.
    """
    return [_frame(root, image, mask) for image, mask in _pairs(root)]


def divided(frames: list[Frame], splits: MaskSplits) -> tuple[list[Frame], list[Frame]]:
    """Return the frames to train on and those to validate on: torch's `random_split`, seeded.

    Raises UserError where there are more or fewer frames than `splits` says.
    """
    check_count(len(frames), splits.dataset, splits.train, splits.val)
    parts = torch.utils.data.random_split(
        frames, [splits.train, splits.val], torch.Generator().manual_seed(splits.seed)
    )
    train, val = ([part.dataset[index] for index in part.indices] for part in parts)
    return train, val


def check_count(frames: int, dataset: str, train: int, val: int) -> None:
    """Raise UserError where there are more or fewer frames than the page of `dataset` says."""
    if frames != train + val:
        raise UserError(
            f"there are {frames} labelled frames; datasets/{dataset}.yaml expects {train + val}: "
            f"{train} to train on and {val} to validate on"
        )


def _pairs(root: Path) -> list[tuple[str, str]]:
    """Return the paths below `root` of every image and its mask."""
    tree = Tree(root)
    images, masks = (_pictures(tree, folder) for folder in (IMAGES, MASKS))
    by_stem = {Path(name).stem.removesuffix(_MARK): name for name in masks}
    stems = {Path(name).stem for name in images}
    for name in images:
        if Path(name).stem not in by_stem:
            hint = nearest(f"{Path(name).stem}{_MARK}.png", masks)
            raise UserError(
                f"{root / IMAGES / name} has no mask: {MASKS}/{Path(name).stem}{_MARK}.png; {hint}"
            )
    for stem, name in by_stem.items():
        if stem not in stems:
            raise UserError(
                f"{root / MASKS / name} has no image: {IMAGES}/{stem}.jpg; {nearest(stem, images)}"
            )
    if len(masks) != len(by_stem) or len(images) != len(stems):
        raise UserError(f"{root}: two images or two masks have the same name but for what is behind the dot")
    return [(f"{IMAGES}/{name}", f"{MASKS}/{by_stem[Path(name).stem]}") for name in images]


def _pictures(tree: Tree, folder: str) -> list[str]:
    """Return the names in a folder that are not hidden, in order."""
    place = tree.root / folder
    if tree.find(folder) is not Place.VIDEO or not place.is_dir():
        raise UserError(f"{tree.root} has no folder {folder}/; expected {IMAGES}/ and {MASKS}/ in it")
    names = sorted(path.name for path in place.iterdir() if not path.name.startswith("."))
    for name in names:
        if tree.find(f"{folder}/{name}") is not Place.VIDEO or not (place / name).is_file():
            found = tree.find(f"{folder}/{name}")
            why = "is a folder" if found is Place.VIDEO else found.value
            raise UserError(f"{place / name} {why}; expected a picture")
    if not names:
        raise UserError(f"{place} is empty; expected pictures")
    return names


def _frame(root: Path, image: str, mask: str) -> Frame:
    image_HW3, mask_HW3 = (_picture(root / path) for path in (image, mask))
    if image_HW3.shape != mask_HW3.shape:
        sizes = [f"{picture.shape[1]}x{picture.shape[0]}" for picture in (mask_HW3, image_HW3)]
        raise UserError(f"{root / mask} is {sizes[0]} pixels, its image is {sizes[1]}")
    masks_NHW = _instances(mask_HW3, root / mask)
    return Frame(Path(image).stem, torch.from_numpy(image_HW3).permute(2, 0, 1), torch.from_numpy(masks_NHW))


def _picture(path: Path) -> np.ndarray:
    """Return a picture as uint8 RGB of shape (H, W, 3)."""
    try:
        with Image.open(path, formats=FORMATS) as picture:
            return np.array(picture.convert("RGB"))
    except _UNREADABLE as error:
        raise UserError(f"{path} cannot be read as a picture ({' or '.join(FORMATS)}): {error}") from error


def _instances(mask_HW3: np.ndarray, path: Path) -> np.ndarray:
    """Return the pixels of each colour but black, bool (N, H, W), in the order of the colours.

    Left out is what has no extent in one direction: it has no box.
    """
    code_HW = mask_HW3.astype(np.int64) @ np.array([1 << 16, 1 << 8, 1])
    colours = np.unique(code_HW)
    if colours[0] != 0:
        raise UserError(f"{path} has no black background: its darkest colour is #{colours[0]:06x}")
    if len(colours) - 1 > MOST_DIVERS:
        raise UserError(
            f"{path} has {len(colours) - 1} colours besides black; expected one for each diver, "
            f"at most {MOST_DIVERS}"
        )
    masks = [code_HW == colour for colour in colours[1:]]
    kept = [mask for mask in masks if min(mask.any(0).sum(), mask.any(1).sum()) > 1]
    return np.stack(kept) if kept else np.zeros((0, *code_HW.shape), bool)
