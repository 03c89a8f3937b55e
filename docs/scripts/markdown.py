"""What the generated pages of docs/reference share."""

MADE = "<!-- Made by `make reference`; do not edit. -->"


def escape(text: str) -> str:
    """Keeps <name> from being a tag of HTML, which it is not in `code`."""
    parts = text.split("`")
    return "`".join(p if i % 2 else p.replace("<", "&lt;") for i, p in enumerate(parts))
