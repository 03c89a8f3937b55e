# Making a family of complete encoders from raw text; defined only if the configuration asks for it.

PRETRAINING = config.get("pretraining")

if PRETRAINING:

    MADE = f"{RESULTS}/pretraining"
    DEPTHS = sorted(PRETRAINING["depths"])

    def made_encoder(depth):
        width = PRETRAINING["encoder"]["width"]
        return f"{PRETRAINING['folder']}/{PRETRAINING['name']}-{depth}x{width}"

    def shallower(w):
        """The next shallower encoder's stored training, where depths are stacked."""
        depth = DEPTHS.index(int(w.depth))
        if not PRETRAINING["stacking"] or depth == 0:
            return []
        return f"{MADE}/depth-{DEPTHS[depth - 1]}/student.pt"

    def shards(w):
        if "teacher" not in PRETRAINING:
            return []
        return [f"{MADE}/teacher/{i:04d}" for i in range(PRETRAINING["teacher"]["shards"])]

    rule pretrain:
        input:
            [made_encoder(depth) for depth in DEPTHS],

    rule pretrain_corpus:
        message: "sentences of the corpora"
        input:
            [corpus["file"] for corpus in PRETRAINING["corpora"] if "file" in corpus],
        output:
            sentences=f"{MADE}/sentences.txt",
        params:
            settings=PRETRAINING,
            seed=config["seed"],
        log:
            f"{RESULTS}/logs/pretrain_corpus.log",
        benchmark:
            f"{RESULTS}/benchmarks/pretrain_corpus.tsv"
        script:
            "../workflow_scripts/pretrain_corpus.py"

    rule pretrain_vocabulary:
        message: "vocabulary, and the corpus as token ids"
        input:
            sentences=rules.pretrain_corpus.output.sentences,
        output:
            tokenizer=directory(f"{MADE}/tokenizer"),
            tokens=f"{MADE}/tokens.npz",
        params:
            settings=PRETRAINING,
        log:
            f"{RESULTS}/logs/pretrain_vocabulary.log",
        benchmark:
            f"{RESULTS}/benchmarks/pretrain_vocabulary.tsv"
        script:
            "../workflow_scripts/pretrain_vocabulary.py"

    rule pretrain_space:
        message: "the teacher's principal axes"
        input:
            sentences=rules.pretrain_corpus.output.sentences,
        output:
            space=f"{MADE}/space.npz",
        params:
            settings=PRETRAINING,
        log:
            f"{RESULTS}/logs/pretrain_space.log",
        benchmark:
            f"{RESULTS}/benchmarks/pretrain_space.tsv"
        script:
            "../workflow_scripts/pretrain_space.py"

    rule pretrain_teacher:
        message: "the teacher's outputs, shard {wildcards.shard}"
        input:
            sentences=rules.pretrain_corpus.output.sentences,
            tokenizer=rules.pretrain_vocabulary.output.tokenizer,
            space=rules.pretrain_space.output.space,
        output:
            shard=directory(f"{MADE}/teacher/{{shard}}"),
        params:
            settings=PRETRAINING,
        log:
            f"{RESULTS}/logs/pretrain_teacher/{{shard}}.log",
        benchmark:
            f"{RESULTS}/benchmarks/pretrain_teacher/{{shard}}.tsv"
        script:
            "../workflow_scripts/pretrain_teacher.py"

    rule pretrain_encoder:
        message: "pre-training the encoder of {wildcards.depth} layers"
        input:
            tokenizer=rules.pretrain_vocabulary.output.tokenizer,
            tokens=rules.pretrain_vocabulary.output.tokens,
            shards=shards,
            shallower=shallower,
        output:
            model=directory(made_encoder("{depth}")),
            student=f"{MADE}/depth-{{depth}}/student.pt",
            curve=f"{MADE}/depth-{{depth}}/curve.csv",
        params:
            settings=PRETRAINING,
            seed=config["seed"],
            # Not an output: Snakemake deletes those of a job that was killed.
            state=f"{MADE}/states/{{depth}}.pt",
        log:
            f"{RESULTS}/logs/pretrain_encoder/{{depth}}.log",
        benchmark:
            f"{RESULTS}/benchmarks/pretrain_encoder/{{depth}}.tsv"
        script:
            "../workflow_scripts/pretrain_encoder.py"
