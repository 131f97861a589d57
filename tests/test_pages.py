"""Every mistake on a page gives one line: file, line and key of the mistake, and the nearest valid name."""

import pytest

from pages import RAC, copy_pages, edit, line_of
from retrace.errors import UserError
from retrace.plan import config
from retrace.plan.plan import Plan

TINY = "scales/tiny.yaml"
DOT = "datasets/temporal-shape-2dot.yaml"
BATCH = "batch: {value: 64, source: code, why: not printed for Temporal Shape}"
LR = "lr: {value: 0.001, source: code, why: not printed for Temporal Shape}"
NO_NAME = "cannot be a name: letters, digits and . _ - only, a letter or digit first"
TRAIN = "protocols.temporal_shape.train"


def message(root, scale="tiny") -> str:
    with pytest.raises(UserError) as caught:
        Plan(root, scale).check()
    return str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "mark", "expected"),
    [
        (BATCH, "bach: 64", "bach:", f"{TRAIN}.bach: unknown key 'bach'; did you mean 'batch'?"),
        ("\nyear: ", "\nyaer: ", "yaer:", "yaer: unknown key 'yaer'; did you mean 'year'?"),
        (
            "family: cnn3d}",
            "family: cnn4d}",
            "cnn4d",
            "tables.table-8.columns.0.cell.model.family: unknown family 'cnn4d'; did you mean 'cnn3d'?",
        ),
        (
            "measure: parameters",
            "measure: parametres",
            "parametres",
            "tables.table-8.cell.measure: unknown measure 'parametres'; did you mean 'parameters'?",
        ),
        (
            "cell: {protocol: temporal_shape, ",
            "cell: {protocol: temporal_shap, ",
            "temporal_shap,",
            "figures.figure-2.series.0.cell.protocol: unknown protocol 'temporal_shap'; "
            "did you mean 'temporal_shape'?",
        ),
        (
            "view: from-2dot, model",
            "view: from-2dots, model",
            "from-2dots",
            "figures.figure-2.cell.view: unknown view 'from-2dots'; did you mean 'from-2dot'?",
        ),
        (
            "cell: {domain: MNIST}",
            "cell: {domain: MNSIT}",
            "MNSIT",
            "figures.figure-2.panels.2.cell.domain: unknown domain 'MNSIT'; did you mean 'MNIST'?",
        ),
        (
            "domain: 5Dot, over: 2Dot}",
            "domain: 5Dot, over: 2Dto}",
            "2Dto",
            "figures.figure-4.panels.0.cell.over: unknown domain '2Dto'; did you mean '2Dot'?",
        ),
        (
            "data: temporal-shape-2dot, view",
            "data: temporal-shape-2dots, view",
            "2dots",
            "figures.figure-2.cell.data: unknown dataset 'temporal-shape-2dots'; "
            "did you mean 'temporal-shape-2dot'?",
        ),
        (
            "2Dot: {dataset: temporal-shape-2dot,",
            "2Dot: {dataset: temporal-shape-2dott,",
            "2dott",
            "views.from-2dot.domains.2Dot.dataset: unknown dataset 'temporal-shape-2dott'; "
            "did you mean 'temporal-shape-2dot'?",
        ),
        (
            "temporal-shape-2dot, split: val}",
            "temporal-shape-2dot, split: vall}",
            "vall",
            "views.from-2dot.domains.2Dot.split: 'vall' is not known here; did you mean 'val'?",
        ),
        (
            "draw: accuracy_by_size",
            "draw: accuracy_by_sise",
            "by_sise",
            "figures.figure-2.draw: 'accuracy_by_sise' is not known here; did you mean 'accuracy_by_size'?",
        ),
        (
            "{of: figure-4, panel: 2Dot-5Dot,",
            "{of: figure-5, panel: 2Dot-5Dot,",
            "figure-5",
            "claims.farther-is-harder-cnn3d.comparisons.0.more.of: there is no table or figure 'figure-5'; "
            "did you mean 'figure-4'?",
        ),
        (
            "{of: figure-4, panel: 2Dot-5Dot,",
            "{of: figure-4, panel: 2Dot-6Dot,",
            "2Dot-6Dot",
            "claims.farther-is-harder-cnn3d.comparisons.0.more.panel: figure-4 has no panel '2Dot-6Dot'; "
            "did you mean '2Dot-5Dot'?",
        ),
        (
            "{of: figure-4, panel: 2Dot-5Dot,",
            "{of: figure-4, row: 2Dot-5Dot,",
            "row: 2Dot",
            "claims.farther-is-harder-cnn3d.comparisons.0.more.row: figure-4 has no row '2Dot-5Dot'; "
            "its axes: panel, series, x",
        ),
        (
            "{of: figure-4, panel: 2Dot-5Dot,",
            "{of: figure-1, panel: 2Dot-5Dot,",
            "of: figure-1",
            "claims.farther-is-harder-cnn3d.comparisons.0.more.of: figure-1 has no cells",
        ),
    ],
    ids=lambda value: None if "\n" in value or len(value) > 30 else value,
)
def test_a_name_that_does_not_exist(tmp_path, old, new, mark, expected):
    root = copy_pages(tmp_path)
    edit(root, RAC, old, new)
    assert message(root) == f"{RAC}:{line_of(root, RAC, mark)}: {expected}"


@pytest.mark.parametrize(
    ("old", "new", "mark", "expected"),
    [
        (BATCH, "batch: -64", "-64", f"{TRAIN}.batch: should be greater than 0 (got -64)"),
        (BATCH, BATCH.replace("64", "-64"), "-64", f"{TRAIN}.batch: should be greater than 0 (got -64)"),
        (BATCH, "batch: many", "many", f"{TRAIN}.batch: should be a whole number (got 'many')"),
        (BATCH, "batch: 6.5", "6.5", f"{TRAIN}.batch: should be a whole number (got 6.5)"),
        (BATCH, "batch: {size: 64}", "size:", f"{TRAIN}.batch: should be a whole number (got a mapping)"),
        (LR, "lr: .nan", ".nan", f"{TRAIN}.optimizer.lr: should be a finite number (got nan)"),
        (BATCH, "", "train:", f"{TRAIN}.batch: is missing"),
        (LR, "", "optimizer:", f"{TRAIN}.optimizer.lr: is missing"),
        (
            "{measure: ratio, model: {layers: 3}}",
            "{model: {layers: 3}}",
            "{model: {layers: 3}}",
            "figures.figure-4.cell.measure: is missing",
        ),
        (
            "model: {layers: 3}}\n    panels",
            "model: {}}\n    panels",
            "model: {}}",
            "figures.figure-2.cell.model.layers: is missing",
        ),
        (
            ", domain: 5Dot, over: 2Dot}",
            ", domain: 5Dot}",
            "measure: ratio, model: {layers: 3}",
            "figures.figure-4.cell: 'over' belongs to measure 'ratio', and a ratio needs it",
        ),
        (
            "[3573, 4429, 71557, 2229]",
            "[3573, 4429, 71557]",
            "[3573, 4429, 71557]",
            "tables.table-8.rows.1.published: row '4' prints 3 values, the table has 4 columns",
        ),
        (
            "[3573, 4429, 71557, 2229]",
            "[3573, 4429, 71557, [2229]]",
            "[2229]",
            "tables.table-8.rows.1.published.3: should be a number or text (got a list)",
        ),
        (
            '{key: "4", label: "4", cell',
            '{key: "6", label: "4", cell',
            '{key: "6", label: "6"',
            "tables.table-8.rows.2.key: key '6' stands twice in rows",
        ),
        (
            "    not_run: a schematic without data\n",
            "",
            "figure-1:",
            "figures.figure-1: a figure needs exactly one of 'draw' and 'not_run'",
        ),
        (
            "{of: figure-4, panel: 2Dot-5Dot,",
            "{of: figure-4, panel: 25,",
            "panel: 25",
            "claims.farther-is-harder-cnn3d.comparisons.0.more.panel: should be text or a list (got 25)",
        ),
        ("\nprotocols:\n", "\nprotocols:\n  odd: 3\n", "odd:", "protocols.odd: should be a mapping (got 3)"),
    ],
    ids=lambda value: None if "\n" in value or len(value) > 30 else value,
)
def test_a_value_that_cannot_be(tmp_path, old, new, mark, expected):
    root = copy_pages(tmp_path)
    edit(root, RAC, old, new)
    assert message(root) == f"{RAC}:{line_of(root, RAC, mark)}: {expected}"


@pytest.mark.parametrize(
    ("old", "new", "mark", "expected"),
    [
        (
            "batch: {value: 64, source: code",
            "batch: {value: 64, source: cod",
            "source: cod,",
            "{}.batch.source: unknown source 'cod'; did you mean 'code'?",
        ),
        (
            BATCH,
            "batch: {value: 64, source: code}",
            "source: code}",
            "{}.batch: a value with a source has the keys value, source and why, not value, source",
        ),
        (
            BATCH,
            "batch: {value: 64, why: a guess}",
            "a guess",
            "{}.batch: a value with a source has the keys value, source and why, not value, why",
        ),
        (
            BATCH,
            "batch: {value: 64, source: code, why: }",
            "why: }",
            "{}.batch.why: should say in words why the value is what it is",
        ),
        (
            "            source: paper\n",
            "            source: papre\n",
            "papre",
            "tables.table-8.rows.0.published.2.source: 'papre' is not known here; did you mean 'paper'?",
        ),
        (
            "            source: paper\n",
            "            source: paper\n            because: so\n",
            "because",
            "tables.table-8.rows.0.published.2.because: unknown key 'because'; valid: source, value, why",
        ),
    ],
    ids=["source", "no why", "no source", "empty why", "published source", "published key"],
)
def test_a_value_that_is_not_printed_says_whence_and_why(tmp_path, old, new, mark, expected):
    root = copy_pages(tmp_path)
    edit(root, RAC, old, new)
    assert message(root) == f"{RAC}:{line_of(root, RAC, mark)}: {expected.format(TRAIN)}"


@pytest.mark.parametrize(
    ("old", "new", "mark", "key"),
    [
        (
            "2Dot: {dataset: temporal-shape-2dot",
            "2Dot: {dataset: ../x",
            "../x",
            "views.from-2dot.domains.2Dot.dataset",
        ),
        ("      2Dot: {dataset", "      ../x: {dataset", "../x", "views.from-2dot.domains.../x"),
        ("  from-2dot:", "  ../x:", "../x", "views.../x"),
        ('key: "4"', "key: ../x", "../x", "tables.table-8.rows.1.key"),
        ("  table-8:", "  ../x:", "../x", "tables.../x"),
        ("  figure-2:", "  ../x:", "../x", "figures.../x"),
        ("data: temporal-shape-2dot, view", "data: ../x, view", "../x", "figures.figure-2.cell.data"),
        ("view: from-2dot, model", "view: ../x, model", "../x", "figures.figure-2.cell.view"),
        ("cell: {domain: MNIST}", "cell: {domain: ../x}", "../x", "figures.figure-2.panels.2.cell.domain"),
    ],
)
def test_no_name_climbs_out_of_its_folder(tmp_path, old, new, mark, key):
    root = copy_pages(tmp_path)
    edit(root, RAC, old, new)
    assert message(root) == f"{RAC}:{line_of(root, RAC, mark)}: {key}: '../x' {NO_NAME}"


@pytest.mark.parametrize("folder", ["papers", "datasets", "segmenters", "scales"])
def test_a_page_is_named_by_what_can_be_a_folder(tmp_path, folder):
    root = copy_pages(tmp_path)
    (root / folder / "my page.yaml").write_text("title: x\n")
    (root / folder / ".#rac.yaml").write_text("an editor's own file")
    assert message(root) == f"{folder}/my page.yaml: the name of a page has letters, digits and . _ - only"


@pytest.mark.parametrize(
    ("old", "new", "mark", "expected"),
    [
        (
            "extends: temporal_shape",
            "extends: temporal_shap",
            "extends:",
            "protocols.temporal_shape_attention.extends: there is no protocol 'temporal_shap' to extend; "
            "did you mean 'temporal_shape'?",
        ),
        (
            "extends: temporal_shape",
            "extends: [temporal_shape]",
            "extends:",
            "protocols.temporal_shape_attention.extends: there is no protocol '['temporal_shape']' to "
            "extend; did you mean 'temporal_shape'?",
        ),
        (
            "    recipe: 1\n",
            "    extends: temporal_shape\n",
            "extends:",
            "protocols.temporal_shape.extends: temporal_shape extends temporal_shape: that never ends",
        ),
        (
            "    recipe: 1\n",
            "    extends: temporal_shape_attention\n",
            "extends: temporal_shape\n",
            "protocols.temporal_shape_attention.extends: temporal_shape extends temporal_shape_attention "
            "extends temporal_shape: that never ends",
        ),
        (
            "      patience: {value: 100, ",
            "      patience: {value: -100, ",
            "-100",
            "protocols.temporal_shape_attention.train.patience: should be greater than 0 (got -100)",
        ),
    ],
    ids=["missing", "no name", "itself", "cycle", "own mistake"],
)
def test_protocols_that_extend(tmp_path, old, new, mark, expected):
    root = copy_pages(tmp_path)
    edit(root, RAC, old, new)
    assert message(root) == f"{RAC}:{line_of(root, RAC, mark)}: {expected}"


def test_what_two_protocols_share_is_one_mistake(tmp_path):
    root = copy_pages(tmp_path)
    edit(root, RAC, BATCH, "batch: 0")
    edit(root, RAC, LR, "lr: 0")
    edit(root, RAC, "      select: {value: best_val", "      selekt: {value: best_val")
    expected = f"{TRAIN}.selekt: unknown key 'selekt'; did you mean 'select'?"
    assert message(root) == f"{RAC}:{line_of(root, RAC, 'selekt')}: {expected}"
    edit(root, RAC, "selekt", "select")
    assert message(root).splitlines() == [
        f"{RAC}:{line_of(root, RAC, 'lr: 0')}: {TRAIN}.optimizer.lr: should be greater than 0 (got 0)",
        f"{RAC}:{line_of(root, RAC, 'batch: 0')}: {TRAIN}.batch: should be greater than 0 (got 0)",
    ]


def test_what_four_tables_share_is_one_mistake(tmp_path):
    root = copy_pages(tmp_path)
    edit(root, RAC, "decimals: 3, better: lower", "decimals: -3, better: lower")
    line = line_of(root, RAC, "decimals: -3")
    place = "tables.table-1.columns.2.decimals"
    assert message(root) == f"{RAC}:{line}: {place}: should be greater than or equal to 0 (got -3)"


def test_a_key_that_stands_twice(tmp_path):
    root = copy_pages(tmp_path)
    edit(root, RAC, "\nyear: 2023\n", "\nyear: 2023\nvenue: elsewhere\n")
    first, second = line_of(root, RAC, "venue:"), line_of(root, RAC, "venue: elsewhere")
    expected = f"venue: stands here for the second time, the first is in line {first}"
    assert message(root) == f"{RAC}:{second}: {expected}"


@pytest.mark.parametrize(
    ("old", "new", "mark", "expected"),
    [
        ("\nyear: ", "\nyear: {a: b\nyera: ", "yera", "is not YAML: did not find expected ',' or '}'"),
        ("\nyear: ", "\nyear: *nobody\nyera: ", "*nobody", "is not YAML: found undefined alias"),
        ("\nyear: 2023", "\nyear: 2023-13-45", "13-45", "year: '2023-13-45' is not a plain value"),
        ("\nyear: 2023", "\nyear: !!python/name:os.sep ''", "!!python", "year: '' is not a plain value"),
    ],
    ids=["unclosed", "alias", "date", "tag"],
)
def test_a_page_that_is_not_yaml(tmp_path, old, new, mark, expected):
    root = copy_pages(tmp_path)
    edit(root, RAC, old, new)
    assert message(root) == f"{RAC}:{line_of(root, RAC, mark)}: {expected}"


def test_a_page_that_cannot_be_read(tmp_path):
    root = copy_pages(tmp_path)
    page = root / RAC
    page.write_bytes("title: x\nauthors: Broom\xe9\n".encode("latin-1"))
    assert message(root) == f"{RAC}:2: is not UTF-8 text (byte 23)"
    page.write_text("- a\n- list\n")
    assert message(root) == f"{RAC}: a page is a mapping of keys to values, and this is not one"
    page.write_text("")
    assert message(root) == f"{RAC}: a page is a mapping of keys to values, and this is not one"
    page.write_text("title: &a [*a]\n")
    assert message(root) == f"{RAC}: is nested too deep, or an alias stands within itself"
    page.unlink()
    page.mkdir()
    assert message(root) == f"{RAC}: cannot be read: Is a directory"


@pytest.mark.parametrize(
    ("old", "new", "mark", "expected"),
    [
        (
            "  train: 4000",
            "  trian: 4000",
            "trian",
            "splits.trian: 'trian' is not known here; did you mean 'train'?",
        ),
        ("channels: 1", "chanels: 1", "chanels", "chanels: unknown key 'chanels'; did you mean 'channels'?"),
        ("channels: 1", "channels: 2", "channels", "channels: '2' is not known here; valid: 1, 3"),
        (
            "kind: temporal_shape",
            "kind: temporal_shap",
            "kind: temporal_shap",
            "generator.kind: unknown kind 'temporal_shap'; did you mean 'temporal_shape'?",
        ),
    ],
    ids=["split", "key", "value", "generator"],
)
def test_a_mistake_on_a_dataset_s_page(tmp_path, old, new, mark, expected):
    root = copy_pages(tmp_path)
    edit(root, DOT, old, new)
    assert message(root) == f"{DOT}:{line_of(root, DOT, mark)}: {expected}"


@pytest.mark.parametrize(
    ("old", "new", "mark", "expected"),
    [
        (
            "comparable",
            "comparabel",
            "comparabel",
            "comparabel: unknown key 'comparabel'; did you mean 'comparable'?",
        ),
        ("  rac:", "  rca:", "rca", "papers.rca: unknown paper 'rca'; did you mean 'rac'?"),
        ("seeds: 1", "sedes: 1", "sedes", "papers.rac.sedes: unknown key 'sedes'; did you mean 'seeds'?"),
        ("seeds: 1", "seeds: 0", "seeds", "papers.rac.seeds: should be greater than 0 (got 0)"),
        (
            "temporal-shape-mnist*",
            "temporal-shap-mnist*",
            "shap-mnist",
            "papers.rac.datasets.temporal-shap-mnist*: fits no name; did you mean 'temporal-shape-mnist'?",
        ),
        (
            "side: 16",
            "sides: 16",
            "sides",
            "papers.rac.datasets.temporal-shape-*.sides: unknown key 'sides'; did you mean 'side'?",
        ),
        (
            "side: 16",
            "side: -16",
            "-16",
            "papers.rac.datasets.temporal-shape-*.side: should be greater than 0 (got -16)",
        ),
        (
            "scikit-learn",
            "sklearn",
            "sklearn",
            "papers.rac.datasets.temporal-shape-mnist*.generator.digits: 'sklearn' is not known here; "
            "did you mean 'scikit-learn'?",
        ),
        (
            "temporal_shape*",
            "temporal_shap",
            "temporal_shap:",
            "papers.rac.protocols.temporal_shap: fits no name; did you mean 'temporal_shape'?",
        ),
        (
            "epochs: 20",
            "epoch: 20",
            "epoch:",
            "papers.rac.protocols.temporal_shape*.train.epoch: unknown key 'epoch'; did you mean 'epochs'?",
        ),
        (
            "batch: 8",
            "optimizer: {name: adam}",
            "optimizer",
            "papers.rac.protocols.temporal_shape*.train.optimizer: unknown key 'momentum'; "
            "valid: lr, name, weight_decay",
        ),
        (
            "family: cnn3d",
            "family: cnn4d",
            "- data",
            "papers.rac.only.0: no cell of rac has data temporal-shape-2dot, model family cnn4d, hidden 2",
        ),
        (
            "hidden: 2}",
            "hidden: [2, 3]}",
            "- data",
            "papers.rac.only.0: no cell of rac has data temporal-shape-2dot, model family cnn3d, hidden 3",
        ),
        (
            "    datasets:",
            "    families: {cnn4d: {hidden: 1}}\n    datasets:",
            "families",
            "papers.rac.families.cnn4d: no trained cell of rac has the family 'cnn4d'; did you mean 'cnn3d'?",
        ),
        (
            "    datasets:",
            "    families: {cnn3d: {hiden: 1}}\n    datasets:",
            "families",
            "papers.rac.families.cnn3d.hiden: unknown key 'hiden'; did you mean 'hidden'?",
        ),
        (
            "- data: ",
            "- date: ",
            "- date",
            "papers.rac.only.0: no cell of rac has date temporal-shape-2dot, model family cnn3d, hidden 2",
        ),
    ],
    ids=lambda value: value if len(value) < 20 else None,
)
def test_a_mistake_in_a_scale(tmp_path, old, new, mark, expected):
    root = copy_pages(tmp_path)
    edit(root, TINY, old, new)
    assert message(root) == f"{TINY}:{line_of(root, TINY, mark)}: {expected}"


@pytest.mark.parametrize(
    ("scale", "hint"),
    [("tinny", "did you mean 'tiny'?"), ("../tiny", "did you mean 'tiny'?"), ("x", "valid: paper, tiny")],
)
def test_a_scale_that_does_not_exist(tmp_path, scale, hint):
    assert message(copy_pages(tmp_path), scale) == f"scales/: there is no scale '{scale}'; {hint}"


@pytest.mark.parametrize(
    ("old", "new", "mark", "expected"),
    [
        ("\nscale:", "\nscal:", "scal:", "scal: unknown key 'scal'; did you mean 'scale'?"),
        ("\nmnist: data/mnist", "\nmnist: 3", "mnist: 3", "mnist: should be text (got 3)"),
        ("\nmnist: data/mnist", "", "scale: ", "mnist: is missing"),
    ],
    ids=["key", "value", "missing"],
)
def test_a_mistake_in_the_configuration(tmp_path, old, new, mark, expected):
    root = copy_pages(tmp_path)
    edit(root, config.FILE, old, new)
    with pytest.raises(UserError) as caught:
        config.load(root)
    assert str(caught.value) == f"{config.FILE}:{line_of(root, config.FILE, mark)}: {expected}"
