rule table:
    """Render one table: the paper's numbers, ours, the uncertainty and a verdict in every cell."""
    input:
        lambda wildcards: item_inputs(wildcards.paper, wildcards.table),
    output:
        [layout.TABLE + suffix for suffix in layout.TABLE_SUFFIXES if suffix != ".csv"],
        report(
            f"{layout.TABLE}.csv",
            caption="../report/table.rst",
            category=lambda wildcards: PLAN.papers[wildcards.paper].short,
            subcategory="tables",
            labels=lambda wildcards: labels(wildcards.paper, wildcards.table),
        ),
    log:
        "results/logs/table/{scale}/{paper}/{table}.log",
    benchmark:
        "results/logs/table/{scale}/{paper}/{table}.tsv"
    group:
        lambda wildcards: quick(wildcards.paper, wildcards.table)
    conda:
        "../../envs/retrace.yaml"
    params:
        content=lambda wildcards: fingerprint.of_item(PLAN, wildcards.paper, wildcards.table),
    shell:
        "python -m retrace table {wildcards.paper}/{wildcards.table} --scale {wildcards.scale} > {log} 2>&1"


rule figure:
    """Draw one figure from scores, with the plotted points beside it as csv."""
    input:
        lambda wildcards: item_inputs(wildcards.paper, wildcards.figure),
    output:
        [layout.FIGURE + suffix for suffix in layout.FIGURE_SUFFIXES if suffix != ".png"],
        report(
            f"{layout.FIGURE}.png",
            caption="../report/figure.rst",
            category=lambda wildcards: PLAN.papers[wildcards.paper].short,
            subcategory="figures",
            labels=lambda wildcards: labels(wildcards.paper, wildcards.figure),
        ),
    log:
        "results/logs/figure/{scale}/{paper}/{figure}.log",
    benchmark:
        "results/logs/figure/{scale}/{paper}/{figure}.tsv"
    group:
        lambda wildcards: quick(wildcards.paper, wildcards.figure)
    conda:
        "../../envs/retrace.yaml"
    params:
        content=lambda wildcards: fingerprint.of_item(PLAN, wildcards.paper, wildcards.figure),
    shell:
        "python -m retrace figure {wildcards.paper}/{wildcards.figure} --scale {wildcards.scale} > {log} 2>&1"


rule claims:
    """Decide what the papers argue on our scores: holds, fails or undecided."""
    input:
        claim_scores,
    output:
        report(layout.CLAIMS, caption="../report/claims.rst", category="All papers"),
    log:
        "results/logs/claims/{scale}.log",
    benchmark:
        "results/logs/claims/{scale}.tsv"
    conda:
        "../../envs/retrace.yaml"
    params:
        content=lambda wildcards: fingerprint.of_claims(PLAN),
    shell:
        "python -m retrace claims --scale {wildcards.scale} > {log} 2>&1"


rule ledger:
    """List every value that no paper prints, its reason and the cells that rest on it."""
    output:
        [f"{layout.LEDGER}.csv"],
        report(f"{layout.LEDGER}.md", caption="../report/ledger.rst", category="All papers"),
    log:
        "results/logs/ledger/{scale}.log",
    benchmark:
        "results/logs/ledger/{scale}.tsv"
    conda:
        "../../envs/retrace.yaml"
    params:
        content=lambda wildcards: fingerprint.of_ledger(PLAN),
    shell:
        "python -m retrace ledger --scale {wildcards.scale} > {log} 2>&1"


rule page:
    """Write the page to open: papers, tables, figures, claims, ledger, all in one file."""
    input:
        [item_outputs(*item) for item in all_items()],
        [path for paper in PLAN.papers for path in on_record(paper)],
        layout.CLAIMS,
        f"{layout.LEDGER}.md",
        contact_sheets,
        all_audits,
        all_segmenters,
    output:
        layout.INDEX,
    log:
        "results/logs/page/{scale}.log",
    benchmark:
        "results/logs/page/{scale}.tsv"
    conda:
        "../../envs/retrace.yaml"
    params:
        content=lambda wildcards: fingerprint.of_page(PLAN),
    shell:
        "python -m retrace page --scale {wildcards.scale} > {log} 2>&1"
