"""Reading weights that somebody else wrote: every form they come in, and no code that comes with them."""

import pickle
from collections import Counter

import pytest
import torch
from safetensors.torch import save_file

from retrace.errors import UserError
from retrace.models.imports.checkpoint import read_checkpoint, sha256

WEIGHTS = {"a.weight": torch.arange(6.0).view(2, 3), "a.bias": torch.ones(2)}


def test_checkpoints_are_read_from_safetensors_and_from_torch(tmp_path):
    save_file(WEIGHTS, tmp_path / "plain.safetensors")
    torch.save(WEIGHTS, tmp_path / "plain.pt")
    torch.save({"epoch": 3, "cfg": "MODEL: x", "model_state": WEIGHTS}, tmp_path / "released.pyth")
    for name in ("plain.safetensors", "plain.pt", "released.pyth"):
        found = read_checkpoint(tmp_path / name).weights
        assert found.keys() == WEIGHTS.keys()
        assert all(torch.equal(found[key], WEIGHTS[key]) for key in WEIGHTS)


def test_a_whole_training_state_is_read_and_its_plain_words_are_kept(tmp_path):
    """What a training with torch's optimiser and schedule in steps saves."""
    net = torch.nn.Linear(3, 2)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    state = {
        "epoch": 196,
        "arch": "tam-resnet-50",
        "state_dict": net.state_dict(),
        "best_top1": torch.tensor(76.18),
        "optimizer": optimizer.state_dict(),
        "scheduler": {"milestones": Counter([10, 20]), "gamma": 0.1},
    }
    torch.save(state, tmp_path / "model_best.pth.tar")
    found = read_checkpoint(tmp_path / "model_best.pth.tar")
    assert found.said == {"epoch": 196, "arch": "tam-resnet-50"}
    assert torch.equal(found.weights["weight"], net.weight)


class Trap:
    """Something that makes a file when it is unpickled."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> tuple:
        return open, (self.path, "w")


def test_a_checkpoint_never_runs_code(tmp_path):
    bait = tmp_path / "bait"
    torch.save({"model_state": {"cls_token": Trap(str(bait))}}, tmp_path / "trap.pyth")
    (tmp_path / "trap.pt").write_bytes(pickle.dumps(Trap(str(bait)), protocol=2))
    for name in ("trap.pyth", "trap.pt"):
        with pytest.raises(UserError, match="safe to load"):
            read_checkpoint(tmp_path / name)
    assert not bait.exists()


def test_files_that_hold_no_weights_are_refused(tmp_path):
    torch.save([1, 2], tmp_path / "list.pt")
    torch.save({"state_dict": {"a": 1}}, tmp_path / "numbers.pt")
    (tmp_path / "broken.safetensors").write_bytes(b"nothing")
    (tmp_path / "broken.pt").write_bytes(b"nothing")
    expected = {
        "list.pt": "no state dict",
        "numbers.pt": "no state dict",
        "broken.safetensors": "cannot be read",
        "broken.pt": "safe to load",
        "no.pt": "No such",
    }
    for name, message in expected.items():
        with pytest.raises(UserError, match=message):
            read_checkpoint(tmp_path / name)


def test_the_hash_is_that_of_the_bytes(tmp_path):
    (tmp_path / "file").write_bytes(b"abc")
    assert sha256(tmp_path / "file").startswith("ba7816bf8f01cfea")  # FIPS 180-2, appendix B.1
