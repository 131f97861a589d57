# The plan and the configuration, and what wildcards may be.
import json
import re
import shlex
import signal
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError

from retrace.errors import UserError
from retrace.plan import config as settings, counted, fingerprint, layout
from retrace.plan.load import read
from retrace.plan.plan import Plan, data_target, target

ROOT = Path()

try:
    CONFIG = settings.check(config, read(ROOT / settings.FILE, ROOT))
    PLAN = Plan(ROOT, CONFIG.scale)
    LIBRARY = PLAN.library
    if workflow.is_main_process:
        PLAN.check()
        LIBRARY.check()
except UserError as error:
    raise WorkflowError(str(error)) from None

# SLURM can warn a job of its time limit by SIGUSR1. That is for the step: the Snakemake which it runs under would
# end, and take it along before it has saved.
if not workflow.is_main_process:
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)

# Rules call the retrace of this source tree: with the Python that runs Snakemake, whether or not its environment is
# activated, or with that of the environment or container that Snakemake was told to use.
if workflow.deployment_settings.deployment_method:
    SOURCE = shlex.quote(str(Path(workflow.basedir).parent.resolve() / "src"))
    shell.prefix(f"export PYTHONPATH={SOURCE}; ")
else:
    shell.prefix(f'export PATH="{Path(sys.executable).parent}:$PATH"; ')


def verbatim(text):
    """The text as one word of a shell command, out of reach of Snakemake's own braces."""
    return shlex.quote(text).replace("{", "{{").replace("}", "}}")


# These stand in commands and not in params: where files lie changes no clip, so a new place re-makes nothing.
MNIST = verbatim(CONFIG.mnist)
DATA = verbatim(json.dumps(CONFIG.data))


def one_of(names):
    """The pattern of a wildcard that is one of `names`, or of nothing if there are none."""
    return "|".join(map(re.escape, names)) or "(?!)"


wildcard_constraints:
    dataset="[^/]+",
    split="[^/]+",
    run="[^/]+",
    view="[^/]+",
    maps="[^/]+",
    videos="[0-9]+",
    paper="|".join(PLAN.papers),
    scale=PLAN.scale,
    collection="v[0-9]+-[0-9a-f]{8}",
    footage="[0-9a-f]{8}",
    shard="[0-9]{4}",
    segmenter=one_of(LIBRARY.segmenters.pages),
    tuning="[0-9a-f]{8}",
    detections="[0-9a-f]{8}",
