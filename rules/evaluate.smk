# Operating points, curves and measures: arithmetic on stored logits, no model is loaded.

# Tasks on which the same systems were run share a rule; without `only_finished` all do.
alike = {}
for task, systems in EXTENT.systems.items():
    alike.setdefault(tuple(systems), []).append(task)

scaling = {}
if config["evaluation"]["temperature"]:
    scaling["temperature"] = "<results>/evaluation/{task}/temperature.csv"


for number, (systems, tasks) in enumerate(alike.items()):

    rule:
        name:
            f"evaluate_{number}" if number else "evaluate"
        input:
            reference=encoder_files(config["reference"]),
            data="<results>/data/{task}",
            predictions=scored_predictions,
            times=exit_times,
        output:
            **scaling,
            operating_points="<results>/evaluation/{task}/operating_points.csv",
            curves="<results>/evaluation/{task}/curves.csv",
            curve_scores="<results>/evaluation/{task}/curve_scores.csv",
            exits="<results>/evaluation/{task}/exits.csv",
            probes="<results>/evaluation/{task}/probes.csv",
            differences="<results>/evaluation/{task}/differences.csv",
            classes="<results>/evaluation/{task}/classes.csv",
            promises="<results>/evaluation/{task}/promises.csv",
            exit_differences="<results>/evaluation/{task}/exit_differences.csv",
            choices=[f"<results>/evaluation/{{task}}/choices/{system}.json" for system in systems],
        log:
            "<logs>/evaluate/{task}.log",
        benchmark:
            "<benchmarks>/evaluate/{task}.tsv"
        wildcard_constraints:
            task="|".join(map(re.escape, tasks)),
        conda:
            "../environment.yml"
        params:
            **config["evaluation"],
            proposed=config["proposed"],
            systems={key: config["systems"][key] for key in systems},
            tuning=config["tuning"],  # choices name a candidate by its setting
            seed=config["seed"],
            reference=reference_folder,
            predictions=predictions_folder,
            times=times_folder,
        message:
            "{wildcards.task}: thresholds, scores, speed-ups and their intervals"
        script:
            "../workflow_scripts/evaluate.py"
