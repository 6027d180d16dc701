"""Sphinx: `bash scripts/build_docs.sh`. The source is the repository, so that links to model cards are checked too."""

project = "kidneyseg"
html_title = "kidneyseg"
extensions = ["myst_parser"]
root_doc = "docs/index"
include_patterns = ["docs/*.md", "model_zoo/**.md", "CHANGELOG.md", "CONTRIBUTING.md"]
exclude_patterns = [".*", "docs/_build"]
html_theme = "furo"
html_copy_source = False
myst_heading_anchors = 3  # GitHub's anchors, so that the same links work there


def setup(app):
    app.connect("source-read", _mark_scores)


def _mark_scores(app, name, source):
    """Tables of scores are reached from the model cards: they need no place in the table of contents."""
    if name.rsplit("/", 1)[-1].startswith("scores"):
        source[0] = f"---\norphan: true\n---\n{source[0]}"
