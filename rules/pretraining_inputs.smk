# Input functions of pre-training.

PRETRAINING = EXPERIMENT.encoders.pretraining if "pretraining" in config else {}


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
    below = EXPERIMENT.encoders.next_shallower(int(w.layers))
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
    settings = select_settings("encoder", "teacher", "objectives", "start", "held_out", "precision")
    return {
        **stage_models(settings, input),
        "layers": layers,
        "shallower": EXPERIMENT.encoders.next_shallower(layers),
        "schedule": PRETRAINING["schedule"] | EXPERIMENT.encoders.depths[layers],
    }
