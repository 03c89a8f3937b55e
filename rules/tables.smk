# Tables, and the paper's claims.


rule table1_data:
    input:
        operating_points=evaluation("operating_points"),
        choices=choices(CATALOGUE.titles),
        data=prepared(),
        tokens=reference_tokens(),
    output:
        **table_files("table1_data"),
    log:
        "<logs>/table1_data.log",
    benchmark:
        "<benchmarks>/table1_data.tsv"
    localrule: True
    conda:
        "../environment.yml"
    params:
        titles=CATALOGUE.titles,
        ablations=EXPERIMENT.ablations,
        published=CATALOGUE.published,
    message:
        "Table 1: data and margins"
    script:
        "../workflow_scripts/table1_data.py"


# Tables of systems: Table 2, and 3, 6 and 7 where the configuration names their systems.
for table, systems in CATALOGUE.rows.items():
    # Table 6 names the architectures of its encoders.
    of_table = CATALOGUE.table6_encoders if table == "table6_backbone" else []
    named_encoders = encoders_there(of_table)

    rule:
        name:
            table
        input:
            operating_points=evaluation("operating_points"),
            encoders=[file for encoder in named_encoders for file in encoder_files(encoder)],
        output:
            **table_files(table),
        log:
            f"<logs>/{table}.log",
        benchmark:
            f"<benchmarks>/{table}.tsv"
        localrule: True
        conda:
            "../environment.yml"
        params:
            number=SYSTEM_TABLES[table],
            titles=systems,
            averaging=CATALOGUE.averaging,
            encoders=encoder_folders(named_encoders),
            published=CATALOGUE.published,
        message:
            f"Table {CATALOGUE.tables[table]}"
        script:
            "../workflow_scripts/table_of_systems.py"


rule curve_scores:
    input:
        curve_scores=evaluation("curve_scores"),
        probes=evaluation("probes"),
    output:
        **table_files("curve_scores"),
    log:
        "<logs>/curve_scores.log",
    benchmark:
        "<benchmarks>/curve_scores.tsv"
    localrule: True
    conda:
        "../environment.yml"
    params:
        titles=CATALOGUE.titles,
        reference=EXPERIMENT.reference_series,
    message:
        "the whole curve in one number"
    script:
        "../workflow_scripts/curve_scores.py"


rule probes:
    input:
        probes=evaluation("probes"),
    output:
        **table_files("probes"),
    log:
        "<logs>/probes.log",
    benchmark:
        "<benchmarks>/probes.tsv"
    localrule: True
    conda:
        "../environment.yml"
    params:
        titles=CATALOGUE.titles,
        pooling=CATALOGUE.pooling,
    message:
        "every exit beside a linear probe"
    script:
        "../workflow_scripts/probes.py"


if CATALOGUE.cascades:

    rule promises:
        input:
            promises=evaluation("promises"),
        output:
            **table_files("promises"),
        log:
            "<logs>/promises.log",
        benchmark:
            "<benchmarks>/promises.tsv"
        localrule: True
        conda:
            "../environment.yml"
        params:
            titles=CATALOGUE.titles_of(CATALOGUE.cascades),
        message:
            "promised and realised loss"
        script:
            "../workflow_scripts/promises.py"


if config["evaluation"]["temperature"]:

    rule temperature:
        input:
            temperature=evaluation("temperature"),
        output:
            **table_files("temperature"),
        log:
            "<logs>/temperature.log",
        benchmark:
            "<benchmarks>/temperature.tsv"
        localrule: True
        conda:
            "../environment.yml"
        params:
            titles=CATALOGUE.titles,
        message:
            "DIS and ECE with and without temperature scaling"
        script:
            "../workflow_scripts/temperature.py"


if CATALOGUE.multiclass_tasks:

    rule classes:
        input:
            classes=evaluation("classes", CATALOGUE.multiclass_tasks),
        output:
            **table_files("classes"),
        log:
            "<logs>/classes.log",
        benchmark:
            "<benchmarks>/classes.tsv"
        localrule: True
        conda:
            "../environment.yml"
        params:
            titles=CATALOGUE.titles,
            proposed=config["proposed"],
            full=EXPERIMENT.full_model,
        message:
            "F1 of each class"
        script:
            "../workflow_scripts/classes.py"


if "claims" in CATALOGUE.tables:

    rule claims:
        input:
            operating_points=evaluation("operating_points"),
            probes=evaluation("probes"),
            differences=evaluation("differences"),
            exit_differences=evaluation("exit_differences"),
            data=prepared(),
            predictions=system_predictions(CATALOGUE.claimed),
            choices=choices(CATALOGUE.claimed),
        output:
            **table_files("claims"),
        log:
            "<logs>/claims.log",
        benchmark:
            "<benchmarks>/claims.tsv"
        localrule: True
        conda:
            "../environment.yml"
        params:
            seed=config["seed"],
            resamples=config["evaluation"]["resamples"],
            systems=config["systems"],
            layerwise=config.get("layerwise"),
            proposed=config["proposed"],
            predictions=predictions_folder,
        message:
            "the paper's claims, one by one"
        script:
            "../workflow_scripts/claims.py"
