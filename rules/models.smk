# Making a family of complete encoders from raw text; defined only if the configuration has a
# section `pretraining`.

if PRETRAINING:

    wildcard_constraints:
        layers=r"\d+",
        shard=r"\d{4}",

    rule pretrain:
        input:
            [family_member(layers) for layers in DEPTHS],

    localrules:
        pretrain_corpus,

    rule pretrain_corpus:
        input:
            [corpus["file"] for corpus in PRETRAINING["corpora"] if "file" in corpus],
        output:
            sentences=f"{MADE}/sentences.txt",
        log:
            f"{RESULTS}/logs/pretrain_corpus.log",
        benchmark:
            f"{RESULTS}/benchmarks/pretrain_corpus.tsv"
        params:
            settings=part("corpora", "characters"),
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
            tokenizer=directory(f"{MADE}/tokenizer"),
            tokens=f"{MADE}/tokens.npz",
        log:
            f"{RESULTS}/logs/pretrain_vocabulary.log",
        benchmark:
            f"{RESULTS}/benchmarks/pretrain_vocabulary.tsv"
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
            space=f"{MADE}/space.npz",
        log:
            f"{RESULTS}/logs/pretrain_space.log",
        benchmark:
            f"{RESULTS}/benchmarks/pretrain_space.tsv"
        params:
            settings=lambda w, input: with_copies(
                part("teacher", "encoder", "max_tokens", "precision"), input
            ),
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
            shard=directory(f"{MADE}/teacher/{{shard}}"),
        log:
            f"{RESULTS}/logs/pretrain_teacher/{{shard}}.log",
        benchmark:
            f"{RESULTS}/benchmarks/pretrain_teacher/{{shard}}.tsv"
        params:
            settings=lambda w, input: with_copies(part("teacher", "max_tokens", "precision"), input),
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
            shallower=shallower,
        output:
            model=directory(f"{MADE}/layers-{{layers}}/model"),
            student=directory(f"{MADE}/layers-{{layers}}/student"),
            curve=f"{MADE}/layers-{{layers}}/curve.csv",
        log:
            f"{RESULTS}/logs/pretrain_encoder/{{layers}}.log",
        benchmark:
            f"{RESULTS}/benchmarks/pretrain_encoder/{{layers}}.tsv"
        params:
            settings=encoder_settings,
            seed=config["seed"],
            # Not an output: Snakemake deletes the outputs of a job that was interrupted.
            state=f"{MADE}/states/{{layers}}.safetensors",
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
            model=family_member("{layers}"),
        log:
            f"{RESULTS}/logs/pretrain_publish/{{layers}}.log",
        params:
            settings=part(
                *("teacher", "objectives", "held_out", "max_tokens", "depths"),
                *("start", "stacking", "card"),
            ),
        message:
            "model card of the encoder of {wildcards.layers} layers"
        script:
            "../workflow_scripts/pretrain_publish.py"
