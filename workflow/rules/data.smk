rule generate:
    """Make one split of a dataset of generated clips, with an audit and pictures to look at."""
    output:
        [f"{layout.SPLIT}/{name}" for name in layout.SPLIT_FILES],
    log:
        "results/logs/generate/{dataset}/{split}.log",
    benchmark:
        "results/logs/generate/{dataset}/{split}.tsv"
    wildcard_constraints:
        dataset=one_of(PLAN.datasets),
    conda:
        "../../envs/retrace.yaml"
    resources:
        mem_mb=2000,
        runtime=60,
    params:
        spec=f"{layout.SPLIT}/split.json",
    shell:
        f"python -m retrace generate --spec {{params.spec}} --scale {PLAN.scale} --mnist {MNIST} > {{log}} 2>&1"


rule paths:
    """Make the first videos of a split of SyncMNIST and say where their digits go. The split need not be there."""
    output:
        layout.PATHS,
    log:
        "results/logs/paths/{dataset}/{split}-{videos}.log",
    benchmark:
        "results/logs/paths/{dataset}/{split}-{videos}.tsv"
    conda:
        "../../envs/retrace.yaml"
    params:
        spec=f"{layout.SPLIT}/split.json",
    shell:
        f"python -m retrace paths --spec {{params.spec}} --videos {{wildcards.videos}} --scale {PLAN.scale}"
        f" --mnist {MNIST} > {{log}} 2>&1"


rule synthesize:
    """Generate the videos of one dataset, in the format of the dataset it stands for."""
    output:
        f"{layout.ORIGINALS}/complete.json",
    log:
        "results/logs/synthesize/{dataset}-{footage}.log",
    benchmark:
        "results/logs/synthesize/{dataset}-{footage}.tsv"
    conda:
        "../../envs/retrace.yaml"
    resources:
        mem_mb=2000,
        runtime=120,
    shell:
        "python -m retrace synthesize {wildcards.dataset} > {log} 2>&1"
