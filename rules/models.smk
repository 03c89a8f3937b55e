# Making a family of complete encoders from raw text; defined only if the configuration has a
# section `pretraining`.

if "pretraining" in config:
    PRETRAINING = EXPERIMENT.pretraining

    def select_settings(*keys):
        """Parts of the section, so that a change in the others runs nothing again."""
        return {key: PRETRAINING[key] for key in keys if key in PRETRAINING}

    def stage_models(settings, inputs):
        """Settings with the folders of the models as a job with these inputs finds them."""
        for section, key in (("teacher", "model"), ("vocabulary", "from")):
            if key in settings.get(section, {}):
                place = staged_folder(settings[section][key], inputs)
                settings = {**settings, section: {**settings[section], key: place}}
        return settings

    def vocabulary_settings(w, input):
        """With the teacher, where its vocabulary has to be the student's."""
        settings = select_settings("vocabulary", "encoder", "max_tokens", "held_out")
        if "start" in PRETRAINING:
            settings |= select_settings("start", "teacher")
        return stage_models(settings, input)

    def vocabulary_files(w):
        vocabulary = PRETRAINING["vocabulary"]
        return model_files(vocabulary["from"]) if "from" in vocabulary else []

    def space_settings(w, input):
        settings = select_settings("teacher", "encoder", "max_tokens", "precision")
        return stage_models(settings, input)

    def teacher_settings(w, input):
        return stage_models(select_settings("teacher", "max_tokens", "precision"), input)

    def teacher_files(w):
        return model_files(PRETRAINING["teacher"]["model"])

    def teacher_shards(w):
        count = PRETRAINING["teacher"]["shards"] if "teacher" in PRETRAINING else 0
        return [f"<results>/pretraining/teacher/{i:04d}" for i in range(count)]

    def shallower_student(w):
        """The student from which this depth starts, where depths are stacked."""
        below = EXPERIMENT.next_shallower(int(w.layers))
        return f"<results>/pretraining/layers-{below}/student" if below else []

    def starts_as_teacher(w):
        return "start" in PRETRAINING and not shallower_student(w)

    def start_files(w):
        return teacher_files(w) if starts_as_teacher(w) else []

    def start_space(w):
        """The space of the teacher's states, where the encoder starts in it."""
        return "<results>/pretraining/space.npz" if starts_as_teacher(w) else []

    def encoder_settings(w, input):
        layers = int(w.layers)
        settings = select_settings(
            "encoder", "teacher", "objectives", "start", "held_out", "precision"
        )
        return {
            **stage_models(settings, input),
            "layers": layers,
            "shallower": EXPERIMENT.next_shallower(layers),
            "schedule": PRETRAINING["schedule"] | EXPERIMENT.pretrained_depths[layers],
        }

    wildcard_constraints:
        layers=r"\d+",
        shard=r"\d{4}",

    rule pretrain:
        input:
            [family_files(layers) for layers in EXPERIMENT.pretrained_depths],

    localrules:
        pretrain_corpus,

    rule pretrain_corpus:
        input:
            [corpus["file"] for corpus in PRETRAINING["corpora"] if "file" in corpus],
        output:
            sentences="<results>/pretraining/sentences.txt",
        log:
            "<logs>/pretrain_corpus.log",
        benchmark:
            "<benchmarks>/pretrain_corpus.tsv"
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
        params:
            settings=vocabulary_settings,
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
        params:
            settings=space_settings,
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
        params:
            settings=teacher_settings,
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
        params:
            settings=encoder_settings,
            seed=config["seed"],
            # Not an output: Snakemake deletes the outputs of a job that was interrupted.
            state="<results>/pretraining/states/{layers}.safetensors",
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
