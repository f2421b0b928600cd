"""Text files as decoded pieces, in bounded memory, whatever is in them.

Bytes that the encoding does not know become lone surrogates (PEP 383), which no
well-formed text holds: so one bad byte marks its line and nothing else.
"""

import codecs
import gzip
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, cast

from ml.errors import DatasetError, Finding
from ml.intake.files import LandingFile
from ml.intake.session import first_line

CHUNK_BYTES = 1 << 22
INVALID = re.compile("[\ud800-\udfff]")
TORN_MENDS = {
    "parquet": "write it again: a Parquet file is whole only with its footer; write under another name, then rename",
    "json": "write one JSON object a line (.jsonl), or one whole array of objects (.json)",
    "delimited": "check that it is text, and set delimiter:, quote: and encoding: to the file's own",
}


def decoded_pieces(file: LandingFile) -> Iterator[str]:
    """A text file in pieces of a few MiB; undecodable bytes as lone surrogates.

    Raises `DatasetError` naming the file where it is torn, no gzip, or cannot be opened.
    """
    encoding = "utf-8-sig" if file.options.encoding == "utf-8" else file.options.encoding
    decoder = codecs.getincrementaldecoder(encoding)(errors="surrogateescape")
    try:
        with _open_bytes(file) as handle:
            for chunk in _whole_lines(handle, num_bytes=file.num_bytes) if file.options.growing else _chunks(handle):
                yield decoder.decode(chunk)
        yield decoder.decode(b"", final=True)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        what = f"is torn or no gzip file: {error}"
        raise unreadable(file, what, "copy it again from where it came; `gzip -t` tells when it is whole") from error
    except UnicodeDecodeError as error:
        raise unreadable(file, f"cannot be read as {file.options.encoding}: {error.reason}", "set encoding: to the file's own") from error
    except OSError as error:
        raise unreadable(file, f"cannot be opened: {error.strerror or error}", "check that it may be read") from error


def decoded_lines(file: LandingFile) -> Iterator[list[str]]:
    """The same as batches of lines, split at line feeds alone; a carriage return before one is dropped."""
    rest = ""
    for piece in decoded_pieces(file):
        *lines, rest = (rest + piece).replace("\r\n", "\n").split("\n")
        yield lines
    if rest:
        yield [rest]


def is_well_formed(file: LandingFile) -> bool:
    """Whether every byte can be decoded; reads the whole file, so a torn one is found here."""
    well_formed = True
    for piece in decoded_pieces(file):
        # No early exit: a torn end after a bad byte must show too.
        well_formed = well_formed and is_clean(piece)
    return well_formed


def is_clean(text: str) -> bool:
    """Whether every byte of a decoded text could be decoded."""
    # A text knows whether it is ASCII, and then there is nothing to look for.
    return text.isascii() or INVALID.search(text) is None


def mended(text: str) -> str:
    """The text with a replacement character for each undecodable byte."""
    return INVALID.sub("\ufffd", text)


def unreadable(file: LandingFile, what: str, mend: str) -> DatasetError:
    """The error for a file of which nothing can be used."""
    return DatasetError(file.name, [Finding(file.name, what, mend)])


def torn(file: LandingFile, error: Exception) -> DatasetError:
    """The error for a file that DuckDB could not read to its end, in DuckDB's words."""
    mend = TORN_MENDS[file.format]
    if file.is_remote:
        mend += "; for s3:// install DuckDB's httpfs extension on this machine and give it credentials"
    return unreadable(file, f"cannot be read: {first_line(error)}", mend)


def _chunks(handle: BinaryIO) -> Iterator[bytes]:
    while chunk := handle.read(CHUNK_BYTES):
        yield chunk


def _whole_lines(handle: BinaryIO, *, num_bytes: int) -> Iterator[bytes]:
    """The lines that end within the first `num_bytes`: what a growing file held when it was found, whatever was appended since."""
    rest = b""
    while num_bytes > 0 and (chunk := handle.read(min(CHUNK_BYTES, num_bytes))):
        num_bytes -= len(chunk)
        lines, feed, rest = (rest + chunk).rpartition(b"\n")
        yield lines + feed


def _open_bytes(file: LandingFile) -> BinaryIO:
    return cast(BinaryIO, gzip.open(file.location, "rb")) if file.is_compressed else Path(file.location).open("rb")
