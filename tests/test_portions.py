"""How a step is cut: every clip once, whatever the hardware, and normalised with whom the protocol says."""

from itertools import product

import numpy as np
import pytest

from retrace.train.portions import own_clips, portions


@pytest.mark.parametrize("most", [None, 1, 3])
@pytest.mark.parametrize("ranks", [1, 2, 3, 4, 8])
def test_each_clip_is_computed_once_and_with_clips_of_its_part_alone(ranks, most):
    for clips, norm_batch in product([1, 3, 8, 20, 64], [1, 3, 8, 64]):
        batch = np.random.default_rng(clips).permutation(100)[:clips]
        cut = portions(batch, norm_batch, ranks, most)
        assert np.concatenate([portion.clips for portion in cut]).tolist() == batch.tolist()
        shares = [portion.share(rank) for portion in cut for rank in portion.ranks]
        assert sorted(np.concatenate(shares)) == sorted(batch)
        assert all(len(share) > 0 for share in shares)
        assert most is None or max(map(len, shares)) <= most
        part_of = {clip: place // norm_batch for place, clip in enumerate(batch)}
        assert all(len({part_of[clip] for clip in portion.clips}) == 1 for portion in cut)
        if most is None:
            assert [len(portion.clips) for portion in cut] == [
                len(batch[start : start + norm_batch]) for start in range(0, clips, norm_batch)
            ]
        together = [own_clips(cut, rank) for rank in range(ranks)]
        assert sorted(np.concatenate(together)) == sorted(batch)


@pytest.mark.parametrize(
    ("norm_batch", "ranks", "expected"),
    [
        (64, 1, [[0]]),  # whole batches on one rank
        (8, 4, [[0], [0], [1], [1], [2], [2], [3], [3]]),  # two parts each, nothing to synchronise
        (64, 4, [[0, 1, 2, 3]]),  # one part over all
        (32, 8, [[0, 1, 2, 3], [4, 5, 6, 7]]),  # one part for each group of ranks
        (32, 6, [[0, 1, 2], [3, 4, 5]]),
        (8, 3, [[0, 1, 2]] * 8),  # numbers without a common divisor: every part over all
    ],
)
def test_a_part_stays_on_one_rank_where_there_are_enough(norm_batch, ranks, expected):
    cut = portions(np.arange(64), norm_batch, ranks)
    assert [list(portion.ranks) for portion in cut] == expected


def test_all_ranks_have_about_the_same_to_do():
    for norm_batch, ranks in product([1, 8, 16, 64], [1, 2, 4, 8]):
        cut = portions(np.arange(64), norm_batch, ranks)
        assert {len(own_clips(cut, rank)) for rank in range(ranks)} == {64 // ranks}


def test_a_rank_may_have_nothing():
    cut = portions(np.arange(3), 8, 4)
    assert [own_clips(cut, rank).tolist() for rank in range(4)] == [[0], [1], [2], []]
