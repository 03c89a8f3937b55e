"""Random seeds that depend on a job's name, not on the time or machine of its run."""

import hashlib


def derive_seed(base: int, *names: object) -> int:
    """Returns a seed in [0, 2**31) for the job that `names` describe (task, run, replicate...).

    The same base and names give the same seed in every process and on every machine.
    """
    text = "\x1f".join(map(str, (base, *names)))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") >> 1
