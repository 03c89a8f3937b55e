# Making a family of complete encoders from raw text; defined only if the configuration has a
# section `pretraining`.

if "pretraining" in config:

    wildcard_constraints:
        layers=r"\d+",
        shard=r"\d{4}",

    rule pretrain:
        input:
            [family_files(layers) for layers in EXPERIMENT.encoders.depths],

    rule pretrain_corpus:
        input:
            [corpus["file"] for corpus in PRETRAINING["corpora"] if "file" in corpus],
        output:
            sentences="<results>/pretraining/sentences.txt",
        log:
            "<logs>/pretrain_corpus.log",
        benchmark:
            "<benchmarks>/pretrain_corpus.tsv"
        localrule: True
        conda:
            "../environment.yml"
        params:
            settings=select_settings("corpora", "characters"),
            seed=config["seed"],
        message:
            "splitting the corpora into sentences"
        script:
            "../workflow_scripts/pretrain_corpus.py"

    rule pretrain_vocabulary:
        input:
            model=vocabulary_files,
            sentences=rules.pretrain_corpus.output.sentences,
        output:
            tokenizer=directory("<results>/pretraining/tokenizer"),
            tokens="<results>/pretraining/tokens.npz",
        log:
            "<logs>/pretrain_vocabulary.log",
        benchmark:
            "<benchmarks>/pretrain_vocabulary.tsv"
        conda:
            "../environment.yml"
        params:
            settings=vocabulary_settings(),
            models=model_places,
        message:
            "making the vocabulary, and the corpus as token ids"
        script:
            "../workflow_scripts/pretrain_vocabulary.py"

    rule pretrain_space:
        input:
            teacher=teacher_files,
            sentences=rules.pretrain_corpus.output.sentences,
        output:
            space="<results>/pretraining/space.npz",
        log:
            "<logs>/pretrain_space.log",
        benchmark:
            "<benchmarks>/pretrain_space.tsv"
        conda:
            "../environment.yml"
        params:
            settings=select_settings("teacher", "encoder", "max_tokens", "precision"),
            models=model_places,
        message:
            "finding the teacher's principal axes"
        script:
            "../workflow_scripts/pretrain_space.py"

    rule pretrain_teacher:
        input:
            teacher=teacher_files,
            sentences=rules.pretrain_corpus.output.sentences,
            tokenizer=rules.pretrain_vocabulary.output.tokenizer,
            space=rules.pretrain_space.output.space,
        output:
            shard=directory("<results>/pretraining/teacher/{shard}"),
        log:
            "<logs>/pretrain_teacher/{shard}.log",
        benchmark:
            "<benchmarks>/pretrain_teacher/{shard}.tsv"
        conda:
            "../environment.yml"
        params:
            settings=select_settings("teacher", "max_tokens", "precision"),
            models=model_places,
        message:
            "storing the teacher's outputs, shard {wildcards.shard}"
        script:
            "../workflow_scripts/pretrain_teacher.py"

    rule pretrain_encoder:
        input:
            tokenizer=rules.pretrain_vocabulary.output.tokenizer,
            tokens=rules.pretrain_vocabulary.output.tokens,
            shards=teacher_shards,
            teacher=start_files,
            space=start_space,
            shallower=shallower_student,
        output:
            model=directory("<results>/pretraining/layers-{layers}/model"),
            student=directory("<results>/pretraining/layers-{layers}/student"),
            curve="<results>/pretraining/layers-{layers}/curve.csv",
        log:
            "<logs>/pretrain_encoder/{layers}.log",
        benchmark:
            "<benchmarks>/pretrain_encoder/{layers}.tsv"
        conda:
            "../environment.yml"
        params:
            settings=encoder_settings,
            models=model_places,
            seed=config["seed"],
            store=f"{EXPERIMENT.results}/store",
        message:
            "pre-training the encoder of {wildcards.layers} layers"
        script:
            "../workflow_scripts/pretrain_encoder.py"

    rule pretrain_publish:
        input:
            model=rules.pretrain_encoder.output.model,
            curve=rules.pretrain_encoder.output.curve,
            tokens=rules.pretrain_vocabulary.output.tokens,
        output:
            model=family_files("{layers}"),
        log:
            "<logs>/pretrain_publish/{layers}.log",
        conda:
            "../environment.yml"
        params:
            settings=select_settings(
                "teacher",
                "objectives",
                "held_out",
                "max_tokens",
                "depths",
                "start",
                "stacking",
                "card",
            ),
        message:
            "model card of the encoder of {wildcards.layers} layers"
        script:
            "../workflow_scripts/pretrain_publish.py"
