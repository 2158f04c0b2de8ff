"""What can be told from plain text in linear time: tokens, code, language, words."""

import math
import re
import string
import unicodedata

import re2

_SAMPLE = 2_000
"""Characters at the end of a text by which its language is told: what was said last."""

_SCRIPTS = (
    ("ja", re2.compile(r"[\p{Hiragana}\p{Katakana}]+")),
    ("zh", re2.compile(r"\p{Han}+")),
    ("ko", re2.compile(r"\p{Hangul}+")),
    ("ru", re2.compile(r"\p{Cyrillic}+")),
    ("el", re2.compile(r"\p{Greek}+")),
    ("ar", re2.compile(r"\p{Arabic}+")),
    ("he", re2.compile(r"\p{Hebrew}+")),
    ("hi", re2.compile(r"\p{Devanagari}+")),
    ("th", re2.compile(r"\p{Thai}+")),
)
"""Script → the language that is most written in it. Japanese first: it uses Han as well."""

_STOP_WORDS = (
    ("en", "the and is are of to that it you for with what how this please"),
    ("de", "der die das und ist nicht ein eine ich wie zu mit für auf bitte"),
    ("fr", "le les des et est une dans que pour pas vous je avec comment qui"),
    ("es", "el los las y es una que por para con como del qué se está"),
    ("it", "il che di non è per una sono come della gli con mi cosa questo"),
    ("pt", "o os não que uma para com como do da em você é um isso"),
    ("nl", "het een van en ik niet dat met hoe voor je zijn wat op maar"),
)
_KNOWN = [(code, frozenset(words.split())) for code, words in _STOP_WORDS]

_KEYWORDS = 20_000
"""Characters at the end of a text whose words are its keywords."""

_MARKS = "".join(
    char for char in map(chr, range(0x300, 0x1D00)) if unicodedata.category(char).startswith("M")
)
"""Accents and vowel signs, which Python's regexes do not count as part of a word."""

# One class after another and nothing to go back for, so it is linear, and ten times quicker than
# RE2's Python binding is at so many short matches.
_words = re.compile(rf"[^\W_][\w+#{_MARKS}-]*").findall

_BREAKS = str.maketrans(dict.fromkeys(string.punctuation + string.digits + "¿¡«»„“”…\u2019", " "))

_looks_like_code = re2.compile(
    r"(?m)"
    r"^\s*(?:async )?(?:def|class) \w+.*:\s*$"  # Python
    r"|^\s*from [\w.]+ import \w|^\s*import [\w.]+(?: as \w+|;)?\s*$"
    r"|^\s*#include\s*[<\"]"  # C
    r"|^\s*(?:\w+ )*(?:function|class|interface|struct|func|fn)\b[^\n.!?]*\{\s*$"
    r"|^\s*(?:const|let|var) [\w{},\s]+="  # JavaScript
    r"|^\s*SELECT\s.+\sFROM\s"
    r"|[;{]\s*\n[^\n]*[;}]\s*$"  # two lines of anything with braces
).search


def tokens(text: str) -> int:
    """Estimate tokens: ceil(ASCII characters / 4 + UTF-8 bytes of all others / 3).

    Four characters a token is OpenAI's rule of thumb for English. A CJK character has three bytes
    and is about one token; letters of two bytes (é, ж) come to two thirds of one.
    """
    if text.isascii():
        return math.ceil(len(text) / 4)
    ascii_chars = len(text.encode("ascii", "ignore"))
    return math.ceil(ascii_chars / 4 + (len(text.encode()) - ascii_chars) / 3)


def has_code(text: str) -> bool:
    """Whether there is a fenced block, or lines that look like source code."""
    return "```" in text or _looks_like_code(text) is not None


def language(text: str) -> str:
    """Return the ISO 639-1 code of the text's last `_SAMPLE` characters, ``und`` when unsure.

    A script other than Latin with a third of the letters decides. Else the language with the most
    different stop words does, if they are at least two and more than any other language has.
    """
    words = text[-_SAMPLE:].lower().translate(_BREAKS).split()
    letters = "".join(words)
    if not letters.isascii():
        for code, script in _SCRIPTS:
            if 3 * sum(map(len, script.findall(letters))) >= len(letters):
                return code
    spoken = set(words)
    hits = sorted((len(known & spoken), code) for code, known in _KNOWN)
    (second, _), (most, code) = hits[-2:]
    return code if most >= 2 and most > second else "und"


def keywords(text: str) -> tuple[str, ...]:
    """Return the distinct words, lower-case, of the text's last `_KEYWORDS` characters, in order.

    A word is made of letters and digits of any script, with ``_ - + #`` inside and ``+ #`` at its
    end (``c++``, ``c#``, ``gpt-4o``). A word that the limit cuts in two does not count.
    """
    tail = text[-_KEYWORDS:]
    if len(text) > _KEYWORDS:
        tail = tail.partition(" ")[2] or tail
    return tuple(dict.fromkeys([word.rstrip("_-") for word in _words(tail.lower())]))
