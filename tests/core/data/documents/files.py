"""Files made by hand, whole or broken."""

from collections.abc import Sequence
from io import BytesIO

from pypdf import PdfWriter
from pypdf.generic import (
    ArrayObject,
    DecodedStreamObject,
    DictionaryObject,
    NameObject,
    NumberObject,
    TextStringObject,
)


def pdf(
    *pages: Sequence[str],
    title: str | None = None,
    password: str | None = None,
    algorithm: str = "AES-256",
) -> bytes:
    """Return a PDF with these lines on its pages, in whatever letters."""
    writer = PdfWriter()
    letters = sorted({letter for page in pages for line in page for letter in line})
    codes = {letter: code for code, letter in enumerate(letters, start=1)}
    font = writer._add_object(_font(writer, codes))
    for lines in pages:
        page = writer.add_blank_page(width=600, height=800)
        page[NameObject("/Resources")] = DictionaryObject(
            {NameObject("/Font"): DictionaryObject({NameObject("/F1"): font})}
        )
        shown = "".join(
            f"<{''.join(f'{codes[letter]:04x}' for letter in line)}> Tj 0 -14 Td\n"
            for line in lines
        )
        content = DecodedStreamObject()
        content.set_data(f"BT /F1 10 Tf 40 760 Td\n{shown}ET".encode())
        page[NameObject("/Contents")] = writer._add_object(content)
    if title is not None:
        writer.add_metadata({"/Title": title})
    if password is not None:
        writer.encrypt(password, algorithm=algorithm)
    file = BytesIO()
    writer.write(file)
    return file.getvalue()


def _font(writer: PdfWriter, codes: dict[str, int]) -> DictionaryObject:
    """Return a font whose codes mean what ``codes`` says; nobody looks at its shapes."""
    meant = "".join(
        f"<{code:04x}> <{letter.encode('utf-16-be').hex()}>\n" for letter, code in codes.items()
    )
    table = DecodedStreamObject()
    table.set_data(
        (
            "/CIDInit /ProcSet findresource begin 12 dict begin begincmap\n"
            "1 begincodespacerange <0000> <ffff> endcodespacerange\n"
            f"{len(codes)} beginbfchar\n{meant}endbfchar\n"
            "endcmap end end"
        ).encode()
    )
    beneath = DictionaryObject(
        {
            NameObject("/Type"): NameObject("/Font"),
            NameObject("/Subtype"): NameObject("/CIDFontType2"),
            NameObject("/BaseFont"): NameObject("/Made"),
            NameObject("/CIDSystemInfo"): DictionaryObject(
                {
                    NameObject("/Registry"): TextStringObject("Adobe"),
                    NameObject("/Ordering"): TextStringObject("Identity"),
                    NameObject("/Supplement"): NumberObject(0),
                }
            ),
            NameObject("/DW"): NumberObject(500),
        }
    )
    return DictionaryObject(
        {
            NameObject("/Type"): NameObject("/Font"),
            NameObject("/Subtype"): NameObject("/Type0"),
            NameObject("/BaseFont"): NameObject("/Made"),
            NameObject("/Encoding"): NameObject("/Identity-H"),
            NameObject("/DescendantFonts"): ArrayObject([writer._add_object(beneath)]),
            NameObject("/ToUnicode"): writer._add_object(table),
        }
    )
