"""Reading the clips of a split, and refusing files that do not hold it."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from retrace.data.clips import Clips
from retrace.errors import UserError
from toy import toy_arrays, toy_split, write_split


@pytest.fixture(autouse=True)
def workplace(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_a_batch_is_the_clips_asked_for_in_the_order_asked_for():
    split = toy_split("val", 20)
    write_split(split)
    clips, labels = toy_arrays(split)
    indices = np.array([7, 0, 19, 3])
    x, y = Clips(split).batch(indices)
    assert x.dtype == torch.float32 and x.shape == (4, 4, 1, 8, 8)
    np.testing.assert_array_equal(x[:, :, 0].numpy(), clips[indices].astype(np.float32) / 255)
    np.testing.assert_array_equal(y.numpy(), labels[indices])


def test_files_that_do_not_hold_the_split_are_named():
    split = toy_split("val", 20)
    folder = write_split(split)
    frames = folder / "clips.npy"
    np.save(frames, np.zeros((20, 4, 8, 9), np.uint8))
    with pytest.raises(
        UserError, match=r"clips.npy holds uint8 \(20, 4, 8, 9\).*expects uint8 \(20, 4, 8, 8\)"
    ):
        Clips(split)
    frames.write_bytes(b"nothing")
    with pytest.raises(UserError, match=r"clips.npy is damaged"):
        Clips(split)
    frames.unlink()
    with pytest.raises(UserError, match=r"clips.npy is missing.*snakemake"):
        Clips(split)


@pytest.mark.parametrize(
    ("column", "row", "value", "message"),
    [
        ("label", 3, 9, "has label 9"),
        ("class", 3, "nowhere", "class 'nowhere'"),
        ("index", 3, 4, "20 rows, expected 20, with index"),
        ("id", 3, "val-000002", "ids must be unique"),
    ],
)
def test_a_manifest_that_contradicts_the_split_is_refused(column, row, value, message):
    split = toy_split("val", 20)
    path = write_split(split) / "manifest.parquet"
    columns = pq.read_table(path).to_pydict()
    columns[column][row] = value
    pq.write_table(pa.table(columns), path)
    with pytest.raises(UserError, match=message):
        Clips(split)
