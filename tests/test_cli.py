"""The command line: help costs nothing, and a mistake is one line and exit code 1."""

import json
import re
import subprocess
import sys

import pytest

from pages import ENVIRONMENT, ROOT, copy_pages, edit
from retrace.cli import main
from retrace.plan.layout import run_folder, split_folder, view_folder
from retrace.plan.plan import Plan

HELP = """
import contextlib, io, json, sys
from retrace.cli import main

def says(*arguments):
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.suppress(SystemExit):
        main([*arguments, "--help"])
    return out.getvalue()

verbs = [line.split()[0] for line in says().splitlines() if line.startswith("    ") and line[4] != " "]
print(json.dumps({"help": {verb: says(verb) for verb in verbs}, "modules": list(sys.modules)}))
"""


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A small repository, and this process works in it."""
    root = copy_pages(tmp_path / "root")
    edit(root, "config.yaml", "scale: demo", "scale: tiny")
    monkeypatch.chdir(root)
    return root


def mistake(*arguments: str) -> str:
    """Return the message with which the command line leaves; Python turns it into exit code 1."""
    with pytest.raises(SystemExit) as left:
        main(arguments)
    assert isinstance(left.value.code, str)
    return left.value.code


def test_every_verb_has_help_that_imports_nothing_heavy():
    answer = subprocess.run(
        [sys.executable, "-c", HELP], env=ENVIRONMENT, capture_output=True, text=True, check=True
    )
    found = json.loads(answer.stdout)
    rules = "".join(path.read_text() for path in (ROOT / "workflow/rules").glob("*.smk"))
    assert set(re.findall(r"python -m retrace (\w+)", rules)) <= found["help"].keys()
    for verb, text in found["help"].items():
        assert text.startswith(f"usage: retrace {verb} ")
    heavy = {"torch", "numpy", "pandas", "matplotlib", "pyarrow", "pydantic", "yaml", "psutil"}
    assert heavy.isdisjoint(found["modules"])


def test_a_mistake_is_one_line_on_stderr_and_exit_code_1(here):
    answer = subprocess.run(
        [sys.executable, "-m", "retrace", "list", "rca/table-8"],
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
    )
    assert answer.returncode == 1
    assert answer.stdout == ""
    assert answer.stderr == "retrace list: unknown paper 'rca'; did you mean 'rac'?\n"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("list rac/tabel-8", "list: rac has no table or figure 'tabel-8'; did you mean 'table-8'?"),
        ("list rac", "list: 'rac' names no table or figure; expected PAPER/ITEM, e.g. rac/table-8"),
        ("list --scale tinny", "list: scales/: there is no scale 'tinny'; did you mean 'tiny'?"),
        ("specs --scale ../tiny", "specs: scales/: there is no scale '../tiny'; did you mean 'tiny'?"),
        ("cost rca", "cost: unknown paper 'rca'; did you mean 'rac'?"),
        ("table rca/table-8", "table: unknown paper 'rca'; did you mean 'rac'?"),
        ("table rac/figure-2", "table: rac/figure-2 is a figure: `retrace figure rac/figure-2` draws it"),
        ("figure rac/table-8", "figure: rac/table-8 is a table: `retrace table rac/table-8` renders it"),
        ("figure rac/figure-22", "figure: rac has no table or figure 'figure-22'; did you mean 'figure-2'?"),
        ("why rca/table-8 2", "why: unknown paper 'rca'; did you mean 'rac'?"),
        ("why rac/tabel-8 2", "why: rac has no table, figure or claim 'tabel-8'; did you mean 'table-8'?"),
        ("why rac/table-8 cnn 2", "why: rac/table-8 has no 'cnn' left to choose; did you mean 'cnn3d'?"),
    ],
)
def test_names_that_do_not_exist(here, arguments, expected):
    assert mistake(*arguments.split()) == f"retrace {expected}"


def test_a_cell_takes_all_its_words(here):
    expected = (
        "retrace why: rac/table-8: which column? Name one of cnn3d, convlstm, timesformer-8, timesformer-1"
    )
    assert mistake("why", "rac/table-8", "2") == expected


def test_training_without_data_names_the_missing_file_and_what_makes_it(here):
    run = next(iter(Plan(here, "tiny").runs.values()))
    clips = split_folder(run.train) / "clips.npy"
    message = mistake("train", "--spec", str(run_folder(run) / "spec.json"))
    assert message == f"retrace train: {clips} is missing. The rule `generate` makes it: snakemake {clips}"
    failure = json.loads((here / run_folder(run) / "failure.json").read_text())
    assert failure["reason"] == message.removeprefix("retrace train: ")


def test_scoring_without_weights_names_the_missing_file(here):
    plan = Plan(here, "tiny")
    name, run = next(iter(plan.runs.items()))
    view = next(iter(plan.views[name].values()))
    message = mistake("score", "--spec", str(view_folder(run, view) / "view.json"))
    assert message.startswith(f"retrace score: {run_folder(run) / 'weights.safetensors'} ")
    assert "\n" not in message


def test_a_step_writes_its_spec_if_it_is_not_there_yet(here):
    run = next(iter(Plan(here, "tiny").runs.values()))
    spec = here / run_folder(run) / "spec.json"
    assert not spec.exists()
    mistake("train", "--spec", str(run_folder(run) / "spec.json"))
    assert json.loads(spec.read_text()) == run.model_dump(mode="json")


def test_a_spec_of_no_run_on_the_pages(here):
    message = mistake("train", "--spec", "results/runs/x/y/spec.json")
    assert message.startswith("retrace train: results/runs/x/y/spec.json: cannot be read: No such file")
    assert "`retrace list` names the runs that the pages ask for" in message


def test_the_doctor_names_the_digits_that_are_missing_and_exits_with_1(here, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["doctor", "--scale", "paper"])
    assert ended.value.code == 1
    missing = [line for line in capsys.readouterr().out.splitlines() if line.startswith("missing")]
    assert [line.split()[1] for line in missing] == [
        "data/mnist/t10k-images-idx3-ubyte",
        "data/mnist/train-images-idx3-ubyte",
    ]
    (here / "data/mnist").mkdir(parents=True)
    for line in missing:
        (here / f"{line.split()[1]}.gz").touch()
    main(["doctor", "--scale", "paper"])
    assert "missing" not in capsys.readouterr().out


def test_the_doctor_asks_for_no_digits_that_the_scale_does_not_use(here, capsys):
    main(["doctor"])
    assert "ok       digits: scale tiny needs no MNIST files" in capsys.readouterr().out
