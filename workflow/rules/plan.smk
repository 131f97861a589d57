rule specs:
    """Write what every step is told to do: one small JSON file per run, view and split.

    Only their list is declared: a thousand outputs of one job would slow every step of Snakemake.
    """
    output:
        SPECS,
    log:
        f"results/logs/specs-{PLAN.scale}.log",
    benchmark:
        f"results/logs/specs-{PLAN.scale}.tsv"
    localrule: True
    conda:
        "../../envs/retrace.yaml"
    params:
        scale=PLAN.scale,
    shell:
        "python -m retrace specs --scale {params.scale} > {log} 2>&1"
