rule score:
    """Ask a trained run one view: class scores of every clip of every domain."""
    input:
        weights=f"{layout.RUN}/weights.safetensors",
        clips=asked_clips,
    output:
        scores=f"{layout.VIEW}/scores.parquet",
        metrics=f"{layout.VIEW}/metrics.json",
    log:
        layout.SCORE_LOG,
    benchmark:
        "results/logs/score/{dataset}/{run}/{view}.tsv"
    conda:
        "../../envs/retrace.yaml"
    resources:
        gpu=1,
        nodes=1,
        mem_mb=8000,
        runtime=120,
    params:
        spec=f"{layout.VIEW}/view.json",
    shell:
        f"python -m retrace score --spec {{params.spec}} --scale {PLAN.scale}"
        " --gpus {resources.gpu} --nodes {resources.nodes} > {log} 2>&1"


rule maps:
    """Show a trained run some videos: what a figure draws over their frames."""
    input:
        weights=f"{layout.RUN}/weights.safetensors",
        videos=mapped_videos,
    output:
        f"{layout.MAPS}/maps.npz",
    log:
        "results/logs/maps/{dataset}/{run}/{maps}.log",
    benchmark:
        "results/logs/maps/{dataset}/{run}/{maps}.tsv"
    conda:
        "../../envs/retrace.yaml"
    resources:
        gpu=1,
        mem_mb=8000,
        runtime=60,
    params:
        spec=f"{layout.MAPS}/maps.json",
    shell:
        f"python -m retrace maps --spec {{params.spec}} --scale {PLAN.scale} > {{log}} 2>&1"


rule score_imported:
    """Ask weights that others released, put beside a run by `retrace import-weights`, one view of that run."""
    input:
        weights=f"{layout.IMPORTED}/weights.safetensors",
        clips=asked_clips,
    output:
        scores=f"{layout.IMPORTED_VIEW}/scores.parquet",
        metrics=f"{layout.IMPORTED_VIEW}/metrics.json",
    log:
        "results/logs/score/{dataset}/{run}/imported-{view}.log",
    benchmark:
        "results/logs/score/{dataset}/{run}/imported-{view}.tsv"
    conda:
        "../../envs/retrace.yaml"
    resources:
        gpu=1,
        nodes=1,
        mem_mb=8000,
        runtime=120,
    params:
        spec=f"{layout.IMPORTED_VIEW}/view.json",
    shell:
        f"python -m retrace score --spec {{params.spec}} --scale {PLAN.scale}"
        " --gpus {resources.gpu} --nodes {resources.nodes} > {log} 2>&1"


rule speed:
    """Measure speed, largest batch and memory of one paper's models on the machine that runs it."""
    output:
        layout.SPEEDS,
    log:
        "results/logs/speed/{scale}/{paper}.log",
    benchmark:
        "results/logs/speed/{scale}/{paper}.tsv"
    conda:
        "../../envs/retrace.yaml"
    resources:
        gpu=1,
        mem_mb=8000,
        runtime=60,
    params:
        cells=lambda wildcards: sorted(counted.speeds(PLAN, wildcards.paper)),
    shell:
        "python -m retrace speed {wildcards.paper} --scale {wildcards.scale} > {log} 2>&1"


rule cost:
    """Count parameters and multiply-adds of one paper's models at the paper's own sizes."""
    output:
        layout.COSTS,
    log:
        "results/logs/cost/{paper}.log",
    benchmark:
        "results/logs/cost/{paper}.tsv"
    group:
        "costs-{paper}"
    conda:
        "../../envs/retrace.yaml"
    params:
        cells=lambda wildcards: sorted(counted.costs(PLAN, wildcards.paper)),
        layers=lambda wildcards: counted.layers(PLAN, wildcards.paper),
    shell:
        "python -m retrace cost {wildcards.paper} > {log} 2>&1"
