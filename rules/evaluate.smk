# Operating points, curves and measures: arithmetic on stored logits, no model is loaded.

# Tasks on which the same systems were run share a rule; without `only_finished` all do.
alike = {}
for task, systems in EXTENT.systems.items():
    alike.setdefault(tuple(systems), []).append(task)

for number, (systems, tasks) in enumerate(alike.items()):

    rule:
        name:
            f"evaluate_{number}" if number else "evaluate"
        input:
            reference=encoder_files(config["reference"]),
            data=f"{RESULTS}/data/{{task}}",
            predictions=lambda w: all_predictions(w.task),
        output:
            operating_points=f"{RESULTS}/evaluation/{{task}}/operating_points.csv",
            curves=f"{RESULTS}/evaluation/{{task}}/curves.csv",
            exits=f"{RESULTS}/evaluation/{{task}}/exits.csv",
            probes=f"{RESULTS}/evaluation/{{task}}/probes.csv",
            differences=f"{RESULTS}/evaluation/{{task}}/differences.csv",
            exit_differences=f"{RESULTS}/evaluation/{{task}}/exit_differences.csv",
            choices=[f"{RESULTS}/evaluation/{{task}}/choices/{system}.json" for system in systems],
        log:
            f"{RESULTS}/logs/evaluate/{{task}}.log",
        benchmark:
            f"{RESULTS}/benchmarks/evaluate/{{task}}.tsv"
        wildcard_constraints:
            task="|".join(map(re.escape, tasks)),
        conda:
            "../environment.yml"
        params:
            **config["evaluation"],
            proposed=config["proposed"],
            systems={key: config["systems"][key] for key in systems},
            seed=config["seed"],
            predictions=predictions_folder,
        message:
            "{wildcards.task}: thresholds, scores, speed-ups and their intervals"
        script:
            "../workflow_scripts/evaluate.py"
