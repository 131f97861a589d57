rule specs:
    """Write what every step is told to do: one small JSON file per run, view and split."""
    output:
        [str(path) for path, _ in all_specs(PLAN)],
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
