rule train:
    """Train one run. Killed, it goes on from its checkpoint, which is no declared output and so survives."""
    input:
        spec=ancient(f"{layout.RUN}/spec.json"),
        clips=training_clips,
    output:
        weights=f"{layout.RUN}/weights.safetensors",
        report=f"{layout.RUN}/train.json",
        environment=f"{layout.RUN}/env.json",
    log:
        "results/logs/train/{dataset}/{run}.log",
    benchmark:
        "results/logs/train/{dataset}/{run}.tsv"
    conda:
        "../../envs/retrace.yaml"
    resources:
        gpu=1,
        mem_mb=8000,
        runtime=1440,
    shell:
        "python -m retrace train --spec {input.spec} --minutes {resources.runtime} >> {log} 2>&1"
