# Input functions of pre-training.

PRETRAINING = EXPERIMENT.encoders.pretraining if "pretraining" in config else {}


def select_settings(*keys):
    """Parts of the section, so that a change in the others runs nothing again."""
    return {key: PRETRAINING[key] for key in keys if key in PRETRAINING}


def model_places(w, input):
    """Where the job finds the models that the settings name."""
    return {
        section: {key: staged_folder(PRETRAINING[section][key], input)}
        for section, key in EXPERIMENT.encoders.named_in_pretraining
    }


def vocabulary_settings():
    """With the teacher, where its vocabulary has to be the student's."""
    also = ["start", "teacher"] if "start" in PRETRAINING else []
    return select_settings("vocabulary", "encoder", "max_tokens", "held_out", *also)


def vocabulary_files(w):
    """With the teacher that encoders start as: its vocabulary and shape have to be theirs."""
    vocabulary = PRETRAINING["vocabulary"]
    files = model_files(vocabulary["from"]) if "from" in vocabulary else []
    return list(dict.fromkeys([*files, *start_files(w)]))


def teacher_files(w):
    return model_files(PRETRAINING["teacher"]["model"])


def teacher_shards(w):
    count = PRETRAINING["teacher"]["shards"] if "teacher" in PRETRAINING else 0
    return [f"<results>/pretraining/teacher/{i:04d}" for i in range(count)]


def shallower_student(w):
    """The student from which this depth starts, where depths are stacked."""
    below = EXPERIMENT.encoders.next_shallower(int(w.layers))
    return f"<results>/pretraining/layers-{below}/student" if below else []


def starts_as_teacher(w):
    return "start" in PRETRAINING and not shallower_student(w)


def start_files(w):
    """Of the teacher that the encoder, or a shallower one, starts as."""
    return teacher_files(w) if "start" in PRETRAINING else []


def start_space(w):
    """The space of the teacher's states, where the encoder starts in it."""
    return "<results>/pretraining/space.npz" if starts_as_teacher(w) else []


def encoder_settings(w):
    layers = int(w.layers)
    return {
        **select_settings("encoder", "teacher", "objectives", "start", "held_out", "precision"),
        "layers": layers,
        "shallower": EXPERIMENT.encoders.next_shallower(layers),
        "schedule": PRETRAINING["schedule"] | EXPERIMENT.encoders.depths[layers],
    }
