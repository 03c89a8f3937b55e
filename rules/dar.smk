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

    for figure in ("figure_reliability", "figure_confidence"):

        rule:
            name:
                figure
            input:
                data=prepared(),
                predictions=system_predictions(CATALOGUE.ablated),
                choices=choices(CATALOGUE.ablated),
            output:
                **figure_files(figure),
            log:
                f"<logs>/{figure}.log",
            benchmark:
                f"<benchmarks>/{figure}.tsv"
            localrule: True
            conda:
                "../environment.yml"
            params:
                titles=CATALOGUE.titles,
                ablations=CATALOGUE.ablations,
                predictions=predictions_folder,
            message:
                CATALOGUE.figures[figure]
            script:
                "../workflow_scripts/figures_of_dar.py"
