"""What a short training must not spend its time on before it begins."""

import json
import subprocess
import sys
from pathlib import Path

import torch
from torch import nn

from pages import ENVIRONMENT
from retrace.plan.spec import Adam, VideoSgd
from retrace.train.optimizer import build_optimizer
from toy import toy_run, workplace, write_data

TRAIN_A_TOY = """
import json, sys
from pathlib import Path
from retrace.train.loop import train
from toy import toy_run

train(toy_run(), Path("run"))
slow = {"torch._dynamo", "sympy", "pandas", "torchvision"}
print(json.dumps(sorted(slow & sys.modules.keys())))
"""


def test_training_imports_neither_the_compiler_nor_pandas(tmp_path):
    environment = {**ENVIRONMENT, "PYTHONPATH": f"{ENVIRONMENT['PYTHONPATH']}:{Path(__file__).parent}"}
    with workplace(tmp_path):
        write_data(toy_run())
        answer = subprocess.run(
            [sys.executable, "-c", TRAIN_A_TOY], env=environment, capture_output=True, text=True, check=True
        )
    assert json.loads(answer.stdout.splitlines()[-1]) == []


def test_optimisers_take_the_steps_of_torchs_own():
    ours = [
        VideoSgd(name="sgd", lr=0.05, momentum=0.9, weight_decay=1e-2, nesterov=True),
        Adam(name="adam", lr=0.05, weight_decay=1e-2),
    ]
    for settings in ours:
        found, expected = _weights(settings, own=True), _weights(settings, own=False)
        assert torch.equal(found, expected)


def _weights(settings: VideoSgd | Adam, *, own: bool) -> torch.Tensor:
    torch.manual_seed(0)
    layer, x = nn.Linear(5, 3), torch.rand(4, 5)
    if own:
        protocol = toy_run().protocol.model_copy(update={"optimizer": settings})
        optimizer, _ = build_optimizer(layer, protocol, 10)
    elif isinstance(settings, VideoSgd):
        optimizer = torch.optim.SGD(layer.parameters(), 0.05, 0.9, weight_decay=1e-2, nesterov=True)
    else:
        optimizer = torch.optim.Adam(layer.parameters(), 0.05, weight_decay=1e-2, fused=True)
    for _ in range(4):
        optimizer.zero_grad()
        layer(x).square().sum().backward()
        optimizer.step()
    return layer.weight.detach()
