"""What texts say and in which fonts: plain text unless marked as math, in every script."""

from __future__ import annotations

import re
import sys
import unicodedata
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

from trainviz._common.terminal import warn

__all__ = [
    "display_width",
    "for_tex",
    "is_math",
    "is_right_to_left",
    "literally",
    "math",
    "prepare_texts",
    "without_glyph_warnings",
]

_MARK = "\N{FUNCTION APPLICATION}"
"""Around math: an invisible character, which survives files, lists and other texts around it."""

_CJK = "Chinese, Japanese or Korean", "Noto Sans CJK", "fonts-noto-cjk"
_SCRIPTS = {
    "CJK": _CJK, "FULLWIDTH": _CJK, "IDEOGRAPHIC": _CJK, "HIRAGANA": _CJK, "KATAKANA": _CJK,
    "HANGUL": _CJK,
}  # fmt: skip
"""The first word of a character's Unicode name: the script, a font and its package in Debian."""

_RIGHT_TO_LEFT = re.compile("[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufeff]")


def math(text: str) -> str:
    r"""Return a text whose parts between dollar signs are drawn as math, by matplotlib's mathtext.

    Titles, labels and the names of classes, features and metrics are plain
    text, so that ``"$5-$10"`` is what it says.

    Parameters
    ----------
    text : str
        Without any dollar sign, all of it is math.

    Returns
    -------
    str
        The text between invisible marks; it may be part of a longer text, which
        then has only the characters of matplotlib's math fonts.

    Raises
    ------
    TypeError
        If it is not a text.

    Examples
    --------
    >>> import trainviz as tv
    >>> names = ["$5-$10", tv.math(r"\alpha"), tv.math(r"noise $\sigma^2$")]
    >>> [name.strip("\u2061") for name in names]
    ['$5-$10', '$\\alpha$', 'noise $\\sigma^2$']
    """
    if not isinstance(text, str):
        raise TypeError(f"text={text!r}: expected a text, e.g. math(r'\\alpha')")
    text = text.replace(_MARK, "")
    return f"{_MARK}{text if '$' in text else f'${text}$'}{_MARK}"


def prepare_texts(figure: Any, texts: Iterable[Any] | None = None) -> None:
    """Make the texts of a figure plain, except for math, and give them fonts with their glyphs.

    Once for a text, when it is complete; it is measured afterwards.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
    texts : iterable of matplotlib.text.Text, optional
        Only these; default: all of the figure, but no tick labels that are numbers.

    Warns
    -----
    UserWarning
        If no installed font has some characters: once, with their scripts and fonts to install.

    Raises
    ------
    ValueError
        If matplotlib cannot read what is marked as math.
    """
    lacking: dict[str, str] = {}
    for text in _texts(figure) if texts is None else texts:
        literally(text)
        # LaTeX and mathtext have fonts of their own.
        if not (text.get_text().isascii() or text.get_usetex() or text.get_parse_math()):
            lacking.update(_find_fonts(text))
    if lacking:
        _warn(lacking)


def literally(text: Any) -> None:
    """Make one text plain, except for what is marked as math."""
    words = text.get_text()
    marked = is_math(words)
    text.set_parse_math(marked)
    if text.get_usetex():
        text.set_text("".join(_alternately(words, for_tex)))
    elif marked:
        text.set_text("".join(_alternately(words, lambda part: part.replace("$", r"\$"))))
        _check_math(text.get_text())
    elif is_right_to_left(words):
        text.set_text(_in_visual_order(words))


@contextmanager
def without_glyph_warnings() -> Iterator[None]:
    """Leave out matplotlib's warning of each missing glyph: :func:`prepare_texts` has warned."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        yield


def is_math(words: str) -> bool:
    """Tell whether a part of a text is marked as math."""
    return _MARK in words


def is_right_to_left(text: str) -> bool:
    """Tell whether a part of a text is written from right to left."""
    return _RIGHT_TO_LEFT.search(text) is not None


def display_width(text: str) -> int:
    """Return how many columns a text takes: wide characters, such as Chinese ones, take two.

    Examples
    --------
    >>> display_width("abc"), display_width("数字")
    (3, 4)
    """
    return sum(1 + (unicodedata.east_asian_width(character) in "WF") for character in text)


def _texts(figure: Any) -> Iterator[Any]:
    yield from figure.texts
    for legend in [*figure.legends, *(ax.get_legend() for ax in figure.axes)]:
        if legend is not None:
            yield from [*legend.get_texts(), legend.get_title()]
    for ax in figure.axes:
        yield from (ax.title, ax._left_title, ax._right_title, *ax.texts)
        for axis in (ax.xaxis, ax.yaxis):
            yield axis.label
            if _has_names(axis):
                yield from axis.get_ticklabels()


def _has_names(axis: Any) -> bool:
    """Tell whether ticks bear names; numbers may be math, such as powers of ten."""
    from matplotlib.category import StrCategoryFormatter
    from matplotlib.ticker import FixedFormatter

    return isinstance(axis.get_major_formatter(), (FixedFormatter, StrCategoryFormatter))


def _alternately(words: str, outside: Any) -> Iterator[str]:
    """Yield the parts of a text, those that are not math changed by a function."""
    for number, part in enumerate(words.split(_MARK)):
        yield part if number % 2 else outside(part)


_TEX = {
    "\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
}  # fmt: skip


def for_tex(words: str) -> str:
    r"""Return LaTeX that shows a plain text.

    Examples
    --------
    >>> for_tex("$5 & more")
    '\\$5 \\& more'
    """
    return "".join(_TEX.get(character, character) for character in words)


def _check_math(text: str) -> None:
    from matplotlib.mathtext import MathTextParser

    try:
        MathTextParser("path").parse(text)
    except ValueError as error:
        raise ValueError(f"math({text!r}): matplotlib's mathtext cannot read it: {error}") from None


def _in_visual_order(words: str) -> str:
    """Return a text from right to left as a matplotlib draws it that does not order it itself."""
    import matplotlib.ft2font

    # From version 3.11 on, matplotlib orders and joins letters by libraqm.
    if hasattr(matplotlib.ft2font, "__libraqm_version__"):
        return words
    try:
        from arabic_reshaper import reshape
        from bidi.algorithm import get_display
    except ImportError:
        warn(
            f"{words!r} is written from right to left, but this matplotlib draws it from left to "
            "right: install matplotlib 3.11 or later, or python-bidi and arabic-reshaper",
            stacklevel=_outside(),
        )
        return words
    return str(get_display(reshape(words)))


def _find_fonts(text: Any) -> dict[str, str]:
    """Give a text fonts to fall back on; return what no font has, with the text."""
    from matplotlib.font_manager import FontProperties, findfont

    fonts: Any = text.get_fontproperties()
    own = []
    for family in fonts.get_family():
        single = FontProperties(
            family=family, style=fonts.get_style(), weight=fonts.get_weight()
        )  # fmt: skip
        own.append(str(findfont(single)))
    words = text.get_text()
    wanted = {sign for sign in words if not (sign.isascii() or _is_invisible(sign))}
    missing = {sign for sign in wanted if not any(_has(path, sign) for path in own)}
    families: list[str] = []
    for part in _by_script(missing):
        family, covered = _family_for(part)
        if family:
            families.append(family)
            missing -= covered
    if families:
        text.set_fontfamily([*fonts.get_family(), *dict.fromkeys(families)])
    return dict.fromkeys(missing, words)


def _is_invisible(sign: str) -> bool:
    if ord(sign) & 0xFFFE == 0xFFFE:
        # What Unicode reserves never to be a character.
        return True
    return sign.isspace() or unicodedata.category(sign) in ("Cc", "Cf", "Cs", "Mn")


def _by_script(signs: set[str]) -> list[frozenset[str]]:
    """Return characters by script; Japanese and Chinese ones together, as one font has both."""
    found: dict[str, set[str]] = {}
    for sign in signs:
        found.setdefault(_described(sign)[1], set()).add(sign)
    return [frozenset(found[name]) for name in sorted(found)]


def _script(sign: str) -> str:
    return unicodedata.name(sign, "UNKNOWN").split()[0].split("-")[0]


@lru_cache(maxsize=256)
def _family_for(signs: frozenset[str]) -> tuple[str, frozenset[str]]:
    """Return the installed family that has most of some characters, and these."""
    best: tuple[str, frozenset[str]] = "", frozenset()
    for family, path in _installed(_region(signs)):
        covered = frozenset(sign for sign in signs if _has(path, sign))
        if len(covered) > len(best[1]):
            best = family, covered
        if len(covered) == len(signs):
            break
    return best


def _region(signs: frozenset[str]) -> str:
    """Return the suffix of the fonts whose forms of shared characters suit a text."""
    scripts = {_script(sign) for sign in signs}
    if scripts & {"HIRAGANA", "KATAKANA"}:
        return " jp"
    return " kr" if "HANGUL" in scripts else " sc"


def _installed(region: str) -> list[tuple[str, str]]:
    """Return the installed families with a file of each, those without serifs first."""
    from matplotlib.font_manager import fontManager

    upright = [font for font in fontManager.ttflist if font.style == "normal"]
    regular: dict[str, Any] = {}
    for font in sorted(upright, key=lambda font: abs(int(font.weight) - 400)):
        # Its glyphs are boxes that name the block of a missing character.
        if not font.name.lower().startswith("last resort"):
            regular.setdefault(font.name, font.fname)

    def rank(entry: tuple[str, str]) -> tuple[bool, bool, bool, bool, str]:
        name = entry[0].lower()
        plain = "sans" in name and "mono" not in name
        return (
            not plain,
            not name.startswith("noto"),
            not name.endswith(region),
            "mono" in name,
            name,
        )

    return sorted(regular.items(), key=rank)


@lru_cache(maxsize=65536)
def _has(path: str, sign: str) -> bool:
    from matplotlib.font_manager import get_font

    try:
        return bool(get_font(path).get_char_index(ord(sign)))
    except (OSError, RuntimeError, ValueError):
        # A file that was removed or that FreeType cannot read has no glyphs.
        return False


def _warn(lacking: dict[str, str]) -> None:
    scripts: dict[tuple[str, str, str], list[str]] = {}
    for sign in sorted(lacking):
        scripts.setdefault(_described(sign), []).append(sign)
    parts = []
    for (script, font, package), signs in scripts.items():
        examples = " ".join(signs[:3]) + (" ..." if len(signs) > 3 else "")
        parts.append(
            f"{script} ({examples}, in {lacking[signs[0]]!r}): install a font such as {font} "
            f"(on Debian and Ubuntu: apt install {package}), or name one in "
            "matplotlib.rcParams['font.family']"
        )
    warn(
        "no installed font has these characters, which are drawn as boxes: " + "; ".join(parts),
        stacklevel=_outside(),
    )


def _described(sign: str) -> tuple[str, str, str]:
    script = _script(sign)
    if script in _SCRIPTS:
        return _SCRIPTS[script]
    if unicodedata.category(sign) in ("So", "Sk", "Sm", "Co", "Cn"):
        return "symbols", "Noto Emoji", "fonts-noto-core fonts-noto-color-emoji"
    return script.title(), f"Noto Sans {script.title()}", "fonts-noto-core"


def _outside() -> int:
    """Return the stack level of the caller outside of this package, for a warning."""
    level, frame = 1, sys._getframe(1)
    ours = ("trainviz", "contextlib", "functools")
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith(ours):
        level, frame = level + 1, frame.f_back
    return level
