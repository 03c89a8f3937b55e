"""MkDocs: links to files outside docs/ lead to pages with the text of these files."""

import re
from pathlib import Path, PurePosixPath

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[2]
OUTWARD = re.compile(r"\[([^\]]+)\]\(((?:\.\./)+[^)#\s]+)(#[^)]*)?\)")
RELATIVE = re.compile(r"\[([^\]]+)\]\((?!https?:)[^)]*\)")
LANGUAGES = {".py": "python", ".yaml": "yaml"}


def find_outside(page: str, link: str) -> str | None:
    """The path, below the repository's root, of a file that a page links to outside docs/."""
    name = (ROOT / "docs" / page).parent.joinpath(link).resolve().relative_to(ROOT)
    return None if name.parts[0] == "docs" or not (ROOT / name).is_file() else name.as_posix()


def name_page(name: str) -> str:
    return f"source/{name.removesuffix('.md')}.md"


def show(name: str) -> str:
    """The page of a file. Its own links lead nowhere from here, so their words stay."""
    text = (ROOT / name).read_text(encoding="utf-8")
    if name.endswith(".md"):
        return RELATIVE.sub(r"\1", text)
    language = LANGUAGES.get(PurePosixPath(name).suffix, "text")
    return f"# {name}\n\n~~~~{language}\n{text}\n~~~~\n"


def on_files(files: Files, config: MkDocsConfig) -> Files:
    for page in list(files.documentation_pages()):
        for _, link, _ in OUTWARD.findall(page.content_string):
            name = find_outside(page.src_uri, link)
            if name and files.get_file_from_path(name_page(name)) is None:
                files.append(File.generated(config, name_page(name), content=show(name)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    def lead(match: re.Match[str]) -> str:
        said, link, _ = match.groups()
        if (ROOT / "docs" / page.file.src_uri).parent.joinpath(link).is_dir():
            return said
        if name := find_outside(page.file.src_uri, link):
            return f"[{said}]({'../' * page.file.src_uri.count('/')}{name_page(name)})"
        return match[0]

    return OUTWARD.sub(lead, markdown)
