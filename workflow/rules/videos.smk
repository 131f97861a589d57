# From a publisher's annotations and files to stored frames. The number of jobs is the number of shards.
rule manifest:
    """Read a publisher's annotations, find the videos, and list every duplicate, unknown label and missing file."""
    input:
        originals,
    output:
        [f"{layout.COLLECTION}/{name}" for name in layout.MANIFEST_FILES],
    log:
        "results/logs/manifest/{dataset}-{collection}.log",
    benchmark:
        "results/logs/manifest/{dataset}-{collection}.tsv"
    wildcard_constraints:
        dataset=one_of(LIBRARY.wholes),
    conda:
        "../../envs/retrace.yaml"
    resources:
        mem_mb=4000,
        runtime=240,
    shell:
        f"python -m retrace manifest {{wildcards.dataset}} --data {DATA} > {{log}} 2>&1"


rule subsample:
    """Choose the videos of a mini set: some classes of its whole, drawn by a seed or listed."""
    input:
        whole_manifest,
    output:
        [f"{layout.COLLECTION}/{name}" for name in layout.MANIFEST_FILES],
    log:
        "results/logs/subsample/{dataset}-{collection}.log",
    benchmark:
        "results/logs/subsample/{dataset}-{collection}.tsv"
    wildcard_constraints:
        dataset=one_of(LIBRARY.subset_names()),
    conda:
        "../../envs/retrace.yaml"
    resources:
        mem_mb=4000,
        runtime=60,
    shell:
        "python -m retrace subsample {wildcards.dataset} > {log} 2>&1"


rule extract:
    """Store the frames of one shard: one short-side file a video. Killed, it goes on where it stopped."""
    input:
        manifest=ancient(f"{layout.COLLECTION}/manifest.parquet"),
    output:
        layout.SHARD,
    log:
        "results/logs/extract/{dataset}-{collection}/{shard}.log",
    benchmark:
        "results/logs/extract/{dataset}-{collection}/{shard}.tsv"
    conda:
        "../../envs/retrace.yaml"
    resources:
        mem_mb=2000,
        runtime=1440,
    shell:
        f"python -m retrace extract {{wildcards.dataset}} {{wildcards.shard}} --data {DATA}"
        f" --max-missing {CONFIG.max_missing} >> {{log}} 2>&1"


rule audit:
    """Count what is stored against what was promised, list every loss, and draw a contact sheet."""
    input:
        shards,
        manifest=ancient(f"{layout.COLLECTION}/manifest.parquet"),
    output:
        [f"{layout.COLLECTION}/{name}" for name in layout.COLLECTION_FILES if name != layout.SHEET],
        report(
            f"{layout.COLLECTION}/{layout.SHEET}",
            caption="../report/contact-sheet.rst",
            category="Data",
            labels={"dataset": "{dataset}"},
        ),
    log:
        "results/logs/audit/{dataset}-{collection}.log",
    benchmark:
        "results/logs/audit/{dataset}-{collection}.tsv"
    conda:
        "../../envs/retrace.yaml"
    resources:
        mem_mb=4000,
        runtime=60,
    shell:
        "python -m retrace audit {wildcards.dataset}" f" --max-missing {CONFIG.max_missing} > {{log}} 2>&1"
