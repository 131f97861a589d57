rule train:
    """Train one run. Killed, it goes on from its checkpoint, which is no declared output and so survives."""
    input:
        clips=training_clips,
        parent=parent_weights,
    output:
        weights=f"{layout.RUN}/weights.safetensors",
        report=f"{layout.RUN}/train.json",
        environment=f"{layout.RUN}/env.json",
    log:
        layout.TRAIN_LOG,
    benchmark:
        "results/logs/train/{dataset}/{run}.tsv"
    conda:
        "../../envs/retrace.yaml"
    resources:
        gpu=1,
        nodes=1,
        mem_mb=8000,
        runtime=1440,
    params:
        spec=f"{layout.RUN}/spec.json",
    # exec: a signal to this job has to reach the training, and a shell around it would die first.
    shell:
        f"exec python -m retrace train --spec {{params.spec}} --scale {PLAN.scale}"
        " --gpus {resources.gpu} --nodes {resources.nodes} --minutes {resources.runtime} >> {log} 2>&1"
