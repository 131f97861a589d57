"""What stands between this machine and a scale: pages, data the user brings, disk, GPU."""

import shutil
from pathlib import Path

from retrace.data.synthetic.digits import MNIST_FILES
from retrace.plan.config import load
from retrace.plan.plan import Plan
from retrace.plan.spec import Split


def examine(plan: Plan, root: Path) -> str:
    """Return one line per thing looked at, each marked ok, missing or note."""
    plan.check()
    lines = [f"ok       pages: {len(plan.papers)} papers, {len(plan.datasets)} datasets, scale {plan.scale}"]
    lines += _mnist(plan, Path(load(root).mnist))
    lines.append(_disk(plan, root))
    lines.append(_gpu())
    return "\n".join(lines)


def clips_bytes(split: Split) -> int:
    """Return the size of the clips of `split` on disk in bytes (one byte per value)."""
    return split.clips * split.frames * split.side**2 * split.channels


def _mnist(plan: Plan, folder: Path) -> list[str]:
    wanted = {MNIST_FILES[s.split] for s in plan.splits.values() if s.generator.digits == "mnist"}
    if not wanted:
        return [f"ok       digits: scale {plan.scale} needs no MNIST files"]
    lines = []
    for name in sorted(wanted):
        found = next((p for p in (folder / name, folder / f"{name}.gz") if p.exists()), None)
        missing = f"missing  {folder / name} (or .gz): put it there or let torchvision fetch it"
        lines.append(f"ok       digits: {found}" if found else missing)
    return lines


def _disk(plan: Plan, root: Path) -> str:
    todo = [split for folder, split in plan.splits.items() if not (root / folder / "clips.npy").exists()]
    need, free = sum(map(clips_bytes, todo)), shutil.disk_usage(root).free
    mark = "ok     " if need < free else "missing"
    return f"{mark}  disk: {need / 1e9:.2f} GB of clips to make, {free / 1e9:.0f} GB free"


def _gpu() -> str:
    if shutil.which("nvidia-smi"):
        return "ok       GPU: nvidia-smi answers; add --resources gpu=1 to train one run at a time on it"
    return "note     GPU: none found; trained runs use the CPU, one core each"
