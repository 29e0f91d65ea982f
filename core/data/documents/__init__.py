"""Files that people have, to the plain text that questions are asked about."""

from core.data.documents.extracted import MAX_CHARACTERS, Extracted, clean_name, clean_title
from core.data.documents.formats import FORMATS, Format, extract, format_of

__all__ = [
    "FORMATS",
    "MAX_CHARACTERS",
    "Extracted",
    "Format",
    "clean_name",
    "clean_title",
    "extract",
    "format_of",
]
