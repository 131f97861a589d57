# Every table and figure by name, so that `snakemake gta_table_3` makes that one and what it needs.
rule tables_now:
    """Render all tables, figures and the page from the scores that exist; missing cells say why."""
    input:
        existing_answers,
    log:
        f"results/logs/now-{PLAN.scale}.log",
    localrule: True
    conda:
        "../../envs/retrace.yaml"
    params:
        scale=PLAN.scale,
    shell:
        "python -m retrace now --scale {params.scale} > {log} 2>&1"


for dataset in LIBRARY.videos:

    rule:
        name:
            data_target(dataset)
        input:
            audits([dataset]),

    workflow.get_rule(data_target(dataset)).docstring = (
        f"{LIBRARY.videos[dataset].title}: manifest, stored frames, audit, contact sheet"
    )


for paper, key in all_items():

    rule:
        name:
            target(paper, key)
        input:
            item_outputs(paper, key),

    workflow.get_rule(target(paper, key)).docstring = (
        f"{PLAN.item(paper, key).number}: {PLAN.item(paper, key).title}"
    )
