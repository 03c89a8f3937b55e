"""Random seeds that depend on what a job is, not on when or where it runs."""

import hashlib


def derive_seed(base: int, *names: object) -> int:
    """A seed in [0, 2**31) for the job that `names` describe (task, run, fold, replicate...).

    The same base and names give the same seed in every process and on every machine.
    """
    text = "\x1f".join(map(str, (base, *names)))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") >> 1
