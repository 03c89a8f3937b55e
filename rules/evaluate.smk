# Operating points, curves and measures: arithmetic on stored logits, no model is loaded.


rule evaluate:
    input:
        reference=encoder_files(config["reference"]),
        data=rules.prepare_task.output.data,
        predictions=all_predictions,
    output:
        operating_points=f"{RESULTS}/evaluation/{{task}}/operating_points.csv",
        curves=f"{RESULTS}/evaluation/{{task}}/curves.csv",
        exits=f"{RESULTS}/evaluation/{{task}}/exits.csv",
        differences=f"{RESULTS}/evaluation/{{task}}/differences.csv",
        exit_differences=f"{RESULTS}/evaluation/{{task}}/exit_differences.csv",
        choices=[
            f"{RESULTS}/evaluation/{{task}}/choices/{system}.json" for system in EXPERIMENT.systems
        ],
    log:
        f"{RESULTS}/logs/evaluate/{{task}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/evaluate/{{task}}.tsv"
    conda:
        "../environment.yml"
    params:
        **config["evaluation"],
        proposed=config["proposed"],
        systems=config["systems"],
        seed=config["seed"],
        predictions=lambda w: f"{RESULTS}/predictions",
    message:
        "{wildcards.task}: thresholds, scores, speed-ups and their intervals"
    script:
        "../workflow_scripts/evaluate.py"
