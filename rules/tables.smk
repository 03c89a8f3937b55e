# The paper's tables, one rule each, and its claims. Tables 3, 6 and 7 are defined only if the
# configuration names their systems.


rule table1_data:
    input:
        operating_points=evaluations["operating_points"],
        data=[f"{RESULTS}/data/{task}" for task in TASKS],
    output:
        **tabulated("table1_data"),
    log:
        f"{RESULTS}/logs/table1_data.log",
    benchmark:
        f"{RESULTS}/benchmarks/table1_data.tsv"
    conda:
        "../environment.yml"
    params:
        titles=titles,
        ablations=EXPERIMENT.ablations,
        published=PUBLISHED,
    message:
        "Table 1: data and margins"
    script:
        "../workflow_scripts/table1_data.py"


rule table2_main:
    input:
        operating_points=evaluations["operating_points"],
    output:
        **tabulated("table2_main"),
    log:
        f"{RESULTS}/logs/table2_main.log",
    benchmark:
        f"{RESULTS}/benchmarks/table2_main.tsv"
    conda:
        "../environment.yml"
    params:
        titles=titled(ROWS["table2_main"]),
        averaging=averaging,
        published=PUBLISHED,
    message:
        "Table 2: score at equal speed"
    script:
        "../workflow_scripts/table2_main.py"


if "table3_distillation" in TABLES:

    rule table3_distillation:
        input:
            operating_points=evaluations["operating_points"],
        output:
            **tabulated("table3_distillation"),
        log:
            f"{RESULTS}/logs/table3_distillation.log",
        benchmark:
            f"{RESULTS}/benchmarks/table3_distillation.tsv"
        conda:
            "../environment.yml"
        params:
            titles=titled(ROWS["table3_distillation"]),
            averaging=averaging,
            published=PUBLISHED,
        message:
            "Table 3: against distilled students"
        script:
            "../workflow_scripts/table3_distillation.py"


rule table4_dar:
    input:
        operating_points=evaluations["operating_points"],
        differences=evaluations["differences"],
    output:
        **tabulated("table4_dar"),
    log:
        f"{RESULTS}/logs/table4_dar.log",
    benchmark:
        f"{RESULTS}/benchmarks/table4_dar.tsv"
    conda:
        "../environment.yml"
    params:
        titles=titles,
        ablations=EXPERIMENT.ablations,
        published=PUBLISHED,
    message:
        "Table 4: with and without DAR"
    script:
        "../workflow_scripts/table4_dar.py"


rule table5_calibration:
    input:
        exits=evaluations["exits"],
        exit_differences=evaluations["exit_differences"],
    output:
        **tabulated("table5_calibration"),
    log:
        f"{RESULTS}/logs/table5_calibration.log",
    benchmark:
        f"{RESULTS}/benchmarks/table5_calibration.tsv"
    conda:
        "../environment.yml"
    params:
        titles=titles,
        ablations=EXPERIMENT.ablations,
        published=PUBLISHED,
    message:
        "Table 5: DIS, accuracy and ECE"
    script:
        "../workflow_scripts/table5_calibration.py"


if "table6_backbone" in TABLES:

    rule table6_backbone:
        input:
            encoders=[file for name in backbone() for file in encoder_files(name)],
            operating_points=evaluations["operating_points"],
        output:
            **tabulated("table6_backbone"),
        log:
            f"{RESULTS}/logs/table6_backbone.log",
        benchmark:
            f"{RESULTS}/benchmarks/table6_backbone.tsv"
        conda:
            "../environment.yml"
        params:
            titles=titled(ROWS["table6_backbone"]),
            averaging=averaging,
            encoders=copied_encoders(backbone()),
            published=PUBLISHED,
        message:
            "Table 6: without a pre-trained small model"
        script:
            "../workflow_scripts/table6_backbone.py"


if "table7_fastbert" in TABLES:

    rule table7_fastbert:
        input:
            operating_points=evaluations["operating_points"],
        output:
            **tabulated("table7_fastbert"),
        log:
            f"{RESULTS}/logs/table7_fastbert.log",
        benchmark:
            f"{RESULTS}/benchmarks/table7_fastbert.tsv"
        conda:
            "../environment.yml"
        params:
            titles=titled(ROWS["table7_fastbert"]),
            averaging=averaging,
            published=PUBLISHED,
        message:
            "Table 7: against FastBERT"
        script:
            "../workflow_scripts/table7_fastbert.py"


rule probes:
    input:
        probes=evaluations["probes"],
    output:
        **tabulated("probes"),
    log:
        f"{RESULTS}/logs/probes.log",
    benchmark:
        f"{RESULTS}/benchmarks/probes.tsv"
    conda:
        "../environment.yml"
    params:
        titles=titles,
        pooling=pooling,
    message:
        "every exit beside a linear probe"
    script:
        "../workflow_scripts/probes.py"


rule claims:
    input:
        operating_points=evaluations["operating_points"],
        differences=evaluations["differences"],
        exit_differences=evaluations["exit_differences"],
        data=[f"{RESULTS}/data/{task}" for task in TASKS],
        predictions=predictions_of(CLAIMED),
        choices=choices(CLAIMED),
    output:
        **tabulated("claims"),
    log:
        f"{RESULTS}/logs/claims.log",
    benchmark:
        f"{RESULTS}/benchmarks/claims.tsv"
    conda:
        "../environment.yml"
    params:
        seed=config["seed"],
        resamples=config["evaluation"]["resamples"],
        systems=config["systems"],
        layerwise=LAYERWISE,
        proposed=config["proposed"],
        predictions=predictions_folder,
    message:
        "the paper's claims, one by one"
    script:
        "../workflow_scripts/claims.py"
