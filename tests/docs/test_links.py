"""Every link in the documents leads somewhere."""

from __future__ import annotations

from pathlib import Path

from tests.docs.markdown import DOCUMENTS, ROOT, anchors, everywhere


def test_the_documents_are_read() -> None:
    assert {"README.md", "docs/glossary.md", "docs/reference/models.md"} <= set(DOCUMENTS)
    assert len(everywhere("links")) > 50


def test_every_relative_link_names_a_file_and_a_heading_of_it() -> None:
    wrong = []
    for document, link in everywhere("links"):
        if "://" in link:
            continue
        name, _, anchor = link.partition("#")
        path = (ROOT / document).parent / name if name else ROOT / document
        if not path.exists():
            wrong.append(f"{document}: {link}: there is no such file")
        elif anchor and anchor not in anchors(path.read_text(encoding="utf-8")):
            wrong.append(f"{document}: {link}: there is no such heading")
    assert not wrong, "\n".join(wrong)


def test_every_page_of_docs_is_linked_from_the_readme_or_another_page() -> None:
    linked = {
        ((ROOT / document).parent / link.partition("#")[0]).resolve()
        for document, link in everywhere("links")
        if "://" not in link
    }
    pages = [Path(ROOT / name) for name in DOCUMENTS if name.startswith("docs/")]
    assert not [str(page) for page in pages if page.resolve() not in linked]


def test_no_page_holds_the_address_of_a_package_index() -> None:
    addresses = ("pypi.org", "files.pythonhosted", "download.pytorch.org")
    wrong = [name for name, text in DOCUMENTS.items() if any(a in text for a in addresses)]
    assert not wrong
