"""Reads the fields of a task's own page from its HTML, as far as they stand in it."""

from __future__ import annotations

from html.parser import HTMLParser

from ..blueprints.form_spec import (
    AnyField,
    CheckboxField,
    ChoiceField,
    FileField,
    SelectField,
    SliderField,
    TextAreaField,
    TextField,
)

_NO_ANSWER = frozenset({"submit", "button", "reset", "hidden", "image"})
#: The range of a number field whose page names none.
_DEFAULT_RANGE = (0.0, 10.0)
#: Elements that show something although there is no text in them.
_VISIBLE = frozenset({"img", "svg", "canvas", "video", "audio", "input", "textarea", "select", "button", "iframe"})
_HIDDEN = frozenset({"script", "style", "noscript", "template", "title", "head"})


class PageHtml(HTMLParser):
    """A page as its HTML describes it.

    Attributes:
        fields: its fields by name, or by id where they have no name.
        ids: the ids of its elements.
        scripts: the addresses of its scripts; those within the page are in `inline`.
        inline: the code of scripts within the page.
        has_content: True if something is visible before any script has run.
    """

    def __init__(self, text: str) -> None:
        """Read a page."""
        super().__init__()
        self.fields: dict[str, AnyField] = {}
        self.ids: set[str] = set()
        self.scripts: list[str] = []
        self.inline: list[str] = []
        self.has_content = False
        self._select: tuple[str, list[str]] | None = None
        self._in_script = False
        self._hidden = 0
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take an element."""
        given = {name: value or "" for name, value in attrs}
        if given.get("id"):
            self.ids.add(given["id"])
        self._hidden += tag in _HIDDEN
        if tag == "script":
            self._in_script = True
            if given.get("src"):
                self.scripts.append(given["src"])
        elif tag in _VISIBLE and not self._hidden and "hidden" not in given and given.get("type") != "hidden":
            self.has_content = True
        name = given.get("name") or given.get("id")
        if tag == "option" and self._select is not None:
            self._select[1].append(given.get("value", ""))
        elif name and tag in ("input", "textarea", "select"):
            self._take_field(tag, name, given)

    def handle_endtag(self, tag: str) -> None:
        """Leave an element."""
        self._hidden -= tag in _HIDDEN and self._hidden > 0
        if tag == "script":
            self._in_script = False
        if tag == "select" and self._select is not None:
            name, options = self._select
            self._select = None
            values = [option for option in dict.fromkeys(options) if option]
            if values:
                self.fields[name] = SelectField(name=name, options=values)

    def handle_data(self, data: str) -> None:
        """Take a text."""
        if self._in_script:
            self.inline.append(data)
        elif data.strip() and not self._hidden:
            self.has_content = True

    def _take_field(self, tag: str, name: str, given: dict[str, str]) -> None:
        required, kind = "required" in given, given.get("type", "text").lower()
        if tag == "select":
            self._select = (name, [])
        elif tag == "textarea":
            self.fields[name] = TextAreaField(name=name, required=required, max_length=_whole(given.get("maxlength")))
        elif kind in _NO_ANSWER:
            return
        elif kind == "checkbox":
            self.fields[name] = CheckboxField(name=name, required=required)
        elif kind == "file":
            self.fields[name] = FileField(name=name, accept=given.get("accept"), required=required)
        elif kind == "radio":
            known = self.fields.get(name)
            options = known.options if isinstance(known, ChoiceField) else []
            value = given.get("value", "on")
            self.fields[name] = ChoiceField(name=name, required=required, options=[*options, value])
        elif kind in ("number", "range"):
            least, most = _number(given.get("min"), _DEFAULT_RANGE[0]), _number(given.get("max"), _DEFAULT_RANGE[1])
            self.fields[name] = SliderField(name=name, required=required, min=least, max=max(most, least + 1))
        else:
            self.fields[name] = TextField(name=name, required=required, max_length=_whole(given.get("maxlength")))


def _whole(text: str | None) -> int | None:
    return int(text) if text is not None and text.isdecimal() else None


def _number(text: str | None, default: float) -> float:
    try:
        return default if text is None else float(text)
    except ValueError:
        return default
