"""Turn the walks of SyncMNIST digits into frames: stamp, stretch, shrink.

Digits are stamped pixel by pixel into canvases that lie four to an image, as if they were its colours:
PyTorch resizes such images fastest, with Pillow's filter.
"""

import numpy as np

from retrace.data.synthetic.sync_draws import STAMP, Draws

_PLANES = 4
"""Canvases in one image."""

_WHITE = 255


class Stamps:
    """Digit images as lists of their opaque pixels, and which digits they show.

    `images` is uint8 (I, 28, 28), `labels` int (I,); a pixel is opaque from the grey level `ink`.
    """

    def __init__(self, images: np.ndarray, labels: np.ndarray, ink: int) -> None:
        self.labels = labels
        grey = images.reshape(len(images), -1)
        self.white = (grey == _WHITE).any(axis=1)
        image, self._pixel = np.nonzero(grey >= ink)
        self._grey = grey[image, self._pixel]
        self._counts = np.bincount(image, minlength=len(images))
        self._begin = np.cumsum(self._counts) - self._counts

    def __len__(self) -> int:
        return len(self.labels)

    def of(self, image_N: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the pixels (0..783) and grey levels of some images, one after the other, and how many."""
        counts_N = self._counts[image_N]
        ends_N = np.cumsum(counts_N)
        entries = np.repeat(self._begin[image_N] - ends_N + counts_N, counts_N) + np.arange(ends_N[-1])
        return self._pixel[entries], self._grey[entries], counts_N


def render(draws: Draws, stamps: Stamps, canvas: int, clips_NTHW: np.ndarray) -> None:
    """Draw N videos of T frames into `clips_NTHW`, uint8 and contiguous.

    Later digits cover earlier ones. Each frame is stretched to the full range of grey levels and resized
    as SciPy 1.2 did: to 8 bits, then by Pillow's antialiased triangle filter. Pillow and PyTorch round ties
    differently: one pixel in 1,400 is a grey level apart, one in two million two.
    """
    import torch  # slow, and who makes other clips does without
    from torch.nn.functional import interpolate

    canvases_GHW4 = stamp(draws, stamps, canvas)
    stretch(canvases_GHW4, np.repeat(~stamps.white[draws.image_ND[:, -1]], clips_NTHW.shape[1]))
    x_G4HW = torch.from_numpy(canvases_GHW4).permute(0, 3, 1, 2)
    small_G4HW = interpolate(x_G4HW, size=clips_NTHW.shape[2:], mode="bilinear", antialias=True)
    words_GHW = small_G4HW.permute(0, 2, 3, 1).contiguous().numpy().view("<u4")[..., 0]
    frames_FHW = clips_NTHW.reshape(-1, *clips_NTHW.shape[2:])
    for plane in range(_PLANES):
        target = frames_FHW[plane::_PLANES]
        np.right_shift(words_GHW[: len(target)], 8 * plane, out=target, casting="unsafe")


def stamp(draws: Draws, stamps: Stamps, canvas: int) -> np.ndarray:
    """Return the canvases of F = N * T frames, uint8 (G, H, W, 4): frame f is [f // 4, ..., f % 4]."""
    clips, frames = draws.corner_NTD2.shape[:2]
    groups = -(-clips * frames // _PLANES)
    canvases_GHW4 = np.zeros((groups, canvas, canvas, _PLANES), np.uint8)
    flat = canvases_GHW4.reshape(-1)
    f = np.arange(clips * frames).reshape(clips, frames)
    origin_NT = f // _PLANES * (_PLANES * canvas * canvas) + f % _PLANES
    row, column = np.divmod(np.arange(STAMP**2), STAMP)
    offset = _PLANES * (row * canvas + column)
    for layer in range(draws.image_ND.shape[1]):
        pixel_E, grey_E, counts_N = stamps.of(draws.image_ND[:, layer])
        row_NT, column_NT = np.moveaxis(draws.corner_NTD2[:, :, layer], -1, 0)
        place_NT = origin_NT + _PLANES * (row_NT * canvas + column_NT)
        for place_E in np.repeat(place_NT.T, counts_N, axis=1) + offset[pixel_E]:
            flat[place_E] = grey_E
    return canvases_GHW4


def stretch(canvases_GHW4: np.ndarray, doubtful_F: np.ndarray) -> None:
    """Scale canvases in place so that their highest grey level is white; the lowest is black already.

    Only those of `doubtful_F` are looked at: where the uppermost digit has white, there is nothing to do.
    """
    groups = np.unique(np.flatnonzero(doubtful_F) // _PLANES)
    canvases = canvases_GHW4[groups]
    highest_G4 = canvases.max(axis=1).max(axis=1)
    group, plane = np.nonzero((highest_G4 > 0) & (highest_G4 < _WHITE))
    scale = _WHITE / highest_G4[group, plane, None, None]
    canvases_GHW4[groups[group], ..., plane] = canvases[group, ..., plane] * scale + 0.5
