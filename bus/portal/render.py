"""Pages as HTML: templates, with all text escaped, in the reader's language."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from bus import __version__
from bus.portal import words
from bus.portal.language import Language, iso, languages
from bus.portal.sentences import told, translated
from bus.portal.shown import clipped, visible, visible_lines
from bus.portal.trust import words as trust_words


class Templates:
    """The templates."""

    def __init__(self) -> None:
        self._environment = _environment()

    @property
    def names(self) -> Sequence[str]:
        """The templates' names."""
        return self._environment.list_templates()

    def compile(self, template: str) -> None:
        """Compile a template, unless it is; that takes up to 80 ms."""
        self._environment.get_template(template)

    def render(self, template: str, say: Language, now: float, values: Mapping[str, Any]) -> str:
        """Return a template as HTML.

        Args:
            template: its file's name.
            say: the language.
            now: seconds since 1970, which ages are told from.
            values: what it shows, by name.
        """
        return self._environment.get_template(template).render(
            _=say.gettext,
            ngettext=say.ngettext,
            say=say,
            now=now,
            languages=languages(),
            words=words,
            **values,
        )


@cache
def _environment() -> Environment:
    """Return what templates are compiled in, once for all that use them in this process."""
    environment = Environment(
        loader=PackageLoader("bus.portal"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.filters |= {
        "visible": visible,
        "clipped": clipped,
        "visible_lines": visible_lines,
        "iso": iso,
    }
    environment.globals |= {
        "version": __version__,
        "told": told,
        "translated": translated,
        "trust_words": trust_words,
    }
    return environment
