rule generate:
    """Make one split of a generated dataset, with an audit and pictures to look at."""
    output:
        [f"{layout.SPLIT}/{name}" for name in layout.SPLIT_FILES],
    log:
        "results/logs/generate/{dataset}/{split}.log",
    benchmark:
        "results/logs/generate/{dataset}/{split}.tsv"
    conda:
        "../../envs/retrace.yaml"
    resources:
        mem_mb=2000,
        runtime=60,
    params:
        spec=f"{layout.SPLIT}/split.json",
    shell:
        f"python -m retrace generate --spec {{params.spec}} --scale {PLAN.scale} --mnist {MNIST} > {{log}} 2>&1"
