# With and without difficulty-aware regularisation, if a system is the `ablation_of` another.

if CATALOGUE.ablations:

    rule table4_dar:
        input:
            operating_points=evaluation("operating_points"),
            differences=evaluation("differences"),
        output:
            **table_files("table4_dar"),
        log:
            "<logs>/table4_dar.log",
        benchmark:
            "<benchmarks>/table4_dar.tsv"
        localrule: True
        conda:
            "../environment.yml"
        params:
            titles=CATALOGUE.titles,
            ablations=CATALOGUE.ablations,
            published=CATALOGUE.published,
        message:
            "Table 4: with and without DAR"
        script:
            "../workflow_scripts/table4_dar.py"

    rule table5_calibration:
        input:
            exits=evaluation("exits"),
            exit_differences=evaluation("exit_differences"),
        output:
            **table_files("table5_calibration"),
        log:
            "<logs>/table5_calibration.log",
        benchmark:
            "<benchmarks>/table5_calibration.tsv"
        localrule: True
        conda:
            "../environment.yml"
        params:
            titles=CATALOGUE.titles,
            ablations=CATALOGUE.ablations,
            published=CATALOGUE.published,
        message:
            "Table 5: DIS, accuracy and ECE"
        script:
            "../workflow_scripts/table5_calibration.py"

    rule figure_reliability:
        input:
            data=prepared(),
            predictions=system_predictions(CATALOGUE.ablated),
            choices=choices(CATALOGUE.ablated),
        output:
            **figure_files("figure_reliability"),
        log:
            "<logs>/figure_reliability.log",
        benchmark:
            "<benchmarks>/figure_reliability.tsv"
        localrule: True
        conda:
            "../environment.yml"
        params:
            titles=CATALOGUE.titles,
            ablations=CATALOGUE.ablations,
            predictions=predictions_folder,
        message:
            "reliability diagrams"
        script:
            "../workflow_scripts/figure_reliability.py"

    rule figure_confidence:
        input:
            data=prepared(),
            predictions=system_predictions(CATALOGUE.ablated),
            choices=choices(CATALOGUE.ablated),
        output:
            **figure_files("figure_confidence"),
        log:
            "<logs>/figure_confidence.log",
        benchmark:
            "<benchmarks>/figure_confidence.tsv"
        localrule: True
        conda:
            "../environment.yml"
        params:
            titles=CATALOGUE.titles,
            ablations=CATALOGUE.ablations,
            predictions=predictions_folder,
        message:
            "confidence of easy and difficult examples"
        script:
            "../workflow_scripts/figure_confidence.py"
