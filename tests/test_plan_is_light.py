"""Planning 600 runs must not cost the imports of training one."""

import json
import pkgutil
import subprocess
import sys

import retrace.plan
from pages import ENVIRONMENT

HEAVY = {"torch", "torchvision", "numpy", "pandas", "matplotlib", "pyarrow"}


def test_the_plan_and_the_command_line_import_nothing_heavy():
    modules = [module.name for module in pkgutil.iter_modules(retrace.plan.__path__, "retrace.plan.")]
    assert "retrace.plan.plan" in modules
    program = f"import json, sys, {', '.join(modules)}, retrace.cli; print(json.dumps(list(sys.modules)))"
    answer = subprocess.run(
        [sys.executable, "-c", program], env=ENVIRONMENT, capture_output=True, text=True, check=True
    )
    assert HEAVY.isdisjoint(json.loads(answer.stdout))
