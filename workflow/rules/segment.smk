# From labelled frames to the domains S1, S2 and T. One pass over the videos serves every domain made of it.
rule segmenter:
    """Fine-tune a segmenter on labelled frames. Killed, it goes on from its checkpoint."""
    input:
        labelled_frames,
    output:
        [f"{layout.SEGMENTER}/{name}" for name in layout.SEGMENTER_FILES],
        report(
            [f"{layout.SEGMENTER}/{name}" for name in layout.SEGMENTER_PICTURES],
            caption="../report/segmenter.rst",
            category="Data",
            labels={"segmenter": "{segmenter}"},
        ),
    log:
        "results/logs/segmenter/{segmenter}-{tuning}.log",
    benchmark:
        "results/logs/segmenter/{segmenter}-{tuning}.tsv"
    conda:
        "../../envs/retrace.yaml"
    resources:
        gpu=1,
        mem_mb=8000,
        runtime=1440,
    shell:
        f"exec python -m retrace segmenter {{wildcards.segmenter}} --data {DATA}"
        " --minutes {resources.runtime} >> {log} 2>&1"


rule segment:
    """Find the divers in the videos of one shard. Killed, it goes on where it stopped."""
    input:
        weights=trained_segmenter,
        videos=segmented_videos,
    output:
        layout.FOUND,
    log:
        "results/logs/segment/{dataset}-{segmenter}-{detections}/{shard}.log",
    benchmark:
        "results/logs/segment/{dataset}-{segmenter}-{detections}/{shard}.tsv"
    conda:
        "../../envs/retrace.yaml"
    resources:
        gpu=1,
        mem_mb=8000,
        runtime=720,
    shell:
        f"exec python -m retrace segment {{wildcards.segmenter}} {{wildcards.shard}} --data {DATA} >> {{log}} 2>&1"


rule compose:
    """Make one shard of a domain: the divers kept and all else blurred, or the divers painted over."""
    input:
        found,
    output:
        layout.COMPOSED,
    log:
        "results/logs/compose/{dataset}-{footage}/{shard}.log",
    benchmark:
        "results/logs/compose/{dataset}-{footage}/{shard}.tsv"
    conda:
        "../../envs/retrace.yaml"
    resources:
        mem_mb=4000,
        runtime=240,
    shell:
        f"python -m retrace compose {{wildcards.dataset}} {{wildcards.shard}} --data {DATA} >> {{log}} 2>&1"
