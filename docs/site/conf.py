"""Settings of the site: the pages of docs/, and a page for every public name."""

from __future__ import annotations

import os
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

import formulas  # noqa: E402
import prose  # noqa: E402
import reference  # noqa: E402

import trajinfer  # noqa: E402

project = "trajinfer"
author = "trajinfer contributors"
copyright = author
version = release = trajinfer.__version__
extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
]
root_doc = "index"
exclude_patterns = ["site", "figures.py", "gallery.py", "_build"]
# a name of a room that is imported from the top as well stands in both lists, on one page
suppress_warnings = ["toc.multiple_toc_parents"]
html_math_renderer = "mathml"
html_theme = "furo"
html_title = "trajinfer"
html_static_path = ["../_static"]
html_theme_options = {"navigation_with_keys": True}
copybutton_prompt_text = r"\$ |>>> "
copybutton_prompt_is_regexp = True

myst_enable_extensions = ["dollarmath", "amsmath", "deflist"]
myst_heading_anchors = 4

autodoc_typehints = "none"
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
default_role = "code"

# Other projects' names are linked where their inventories can be reached.
if os.environ.get("TRAJINFER_SITE_ONLINE"):
    extensions.append("sphinx.ext.intersphinx")
    intersphinx_mapping = {
        "python": ("https://docs.python.org/3", None),
        "numpy": ("https://numpy.org/doc/stable", None),
        "pandas": ("https://pandas.pydata.org/docs", None),
        "torch": ("https://pytorch.org/docs/stable", None),
        "sklearn": ("https://scikit-learn.org/stable", None),
    }


def setup(app):
    """Write the reference pages before the sources are read; read docstrings as plain prose."""
    formulas.add_to(app)
    app.connect("builder-inited", lambda app: reference.write(Path(app.srcdir) / "reference"))
    app.connect("autodoc-process-docstring", lambda *event: prose.as_rst(event[-1]))
    app.connect("autodoc-skip-member", lambda *event: reference.is_foreign(event[3]))
