"""How the Hugging Face hub is asked: no call waits for ever, and a failure is one line."""

from functools import cache
from typing import Any


@cache
def limit_waiting() -> None:
    """From now on a call ends with an error if the hub is silent for HF_HUB_DOWNLOAD_TIMEOUT.

    That variable of huggingface_hub's is 10 seconds where it is not set. It tries five times more.
    """
    from huggingface_hub import constants, get_session, set_client_factory  # slow to import

    longest = constants.HF_HUB_DOWNLOAD_TIMEOUT

    def limit(request: Any) -> None:
        # By hook, since some calls of huggingface_hub ask for a minute and some for no limit.
        limits = request.extensions["timeout"]
        request.extensions["timeout"] = {
            phase: min(seconds or longest, longest) for phase, seconds in limits.items()
        }

    usual = get_session()
    hooks = {**usual.event_hooks, "request": [*usual.event_hooks["request"], limit]}
    set_client_factory(
        lambda: type(usual)(event_hooks=hooks, follow_redirects=True, timeout=longest)
    )


def shorten_error(error: Exception) -> str:
    """What a library says, which may be several paragraphs."""
    return " ".join(f"{type(error).__name__}: {error}".split())
