# Operating points, curves and measures: arithmetic on stored logits, no model is loaded.


def all_predictions(w):
    return [folder for run in EXPERIMENT.runs for folder in predictions(w.task, run)]


rule evaluate:
    message: "{wildcards.task}: thresholds, scores, speed-ups and their intervals"
    input:
        reference=encoder_files(config["reference"]),
        data=rules.prepare_task.output.data,
        predictions=all_predictions,
    output:
        points=f"{RESULTS}/evaluation/{{task}}/operating_points.csv",
        curves=f"{RESULTS}/evaluation/{{task}}/curves.csv",
        exits=f"{RESULTS}/evaluation/{{task}}/exits.csv",
        differences=f"{RESULTS}/evaluation/{{task}}/differences.csv",
        choices=[
            f"{RESULTS}/evaluation/{{task}}/choices/{system}.json" for system in EXPERIMENT.systems
        ],
    params:
        **config["evaluation"],
        proposed=config["proposed"],
        systems=config["systems"],
        seed=config["seed"],
        predictions=f"{RESULTS}/predictions",
    log:
        f"{RESULTS}/logs/evaluate/{{task}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/evaluate/{{task}}.tsv"
    script:
        "../workflow_scripts/evaluate.py"
