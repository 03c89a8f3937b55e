"""Settings for calls to the Hugging Face hub: no call waits for ever, and an error is one line."""

from functools import cache
from typing import Any


@cache
def limit_waiting() -> None:
    """Makes calls to the hub end with an error if it is silent for HF_HUB_DOWNLOAD_TIMEOUT.

    This environment variable of huggingface_hub is 10 seconds by default. huggingface_hub repeats a
    failed call five times.
    """
    from huggingface_hub import constants, get_session, set_client_factory  # slow to import

    longest = constants.HF_HUB_DOWNLOAD_TIMEOUT

    def limit(request: Any) -> None:
        # A hook, since some calls of huggingface_hub set a minute and some no limit of their own.
        limits = request.extensions["timeout"]
        request.extensions["timeout"] = {
            phase: min(seconds or longest, longest) for phase, seconds in limits.items()
        }

    usual = get_session()
    hooks = {**usual.event_hooks, "request": [*usual.event_hooks["request"], limit]}
    set_client_factory(
        lambda: type(usual)(event_hooks=hooks, follow_redirects=True, timeout=longest)
    )


def shorten_error(error: BaseException) -> str:
    """Returns type and message of an error in one line; a library's message may have paragraphs."""
    return " ".join(f"{type(error).__name__}: {error}".split())
