"""Measured requests as tables for other programs: CSV, and Parquet where pyarrow is installed. Made piece by piece."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Literal, Protocol

from services.errors import InputError
from services.measures import Measured

if TYPE_CHECKING:
    import pyarrow

SheetKind = Literal["csv", "parquet"]

MEDIA_TYPES: dict[SheetKind, str] = {"csv": "text/csv; charset=utf-8", "parquet": "application/vnd.apache.parquet"}

COLUMNS = (
    *("id", "at", "conversation_id", "endpoint", "model", "kind", "status", "error"),
    *("input", "cached_input", "output", "reasoning", "price_usd"),
    *("queue_s", "first_token_s", "total_s", "tokens_per_s", "retries", "cache_hit"),
)

_FORMULA = tuple("=+-@\t\r\n")
"""How a text begins that a spreadsheet would run."""

NO_PARQUET = (
    "Parquet needs pyarrow, which is not installed: pip install pyarrow, then start Panelist again. CSV needs nothing."
)


class Sheet(Protocol):
    """A table that is being made. Each method returns what there is more of the file; blocking."""

    def rows(self, some: Sequence[Measured]) -> bytes: ...

    def end(self) -> bytes: ...


def can_write_parquet() -> bool:
    """Whether what makes Parquet is installed; it is not loaded to find that out."""
    return find_spec("pyarrow") is not None


def sheet(kind: SheetKind) -> Sheet:
    """Return an empty table.

    Raises:
        InputError: what makes it is not installed.
    """
    return _Csv() if kind == "csv" else _Parquet()


class _Csv:
    def __init__(self) -> None:
        self._begun = False

    def rows(self, some: Sequence[Measured]) -> bytes:
        text = io.StringIO()
        writer = csv.writer(text)
        if not self._begun:
            writer.writerow(COLUMNS)
            self._begun = True
        for one in some:
            writer.writerow([cell(value) for value in _values(one)])
        return text.getvalue().encode()

    def end(self) -> bytes:
        return b"" if self._begun else self.rows(())


class _Parquet:
    def __init__(self) -> None:
        try:
            import pyarrow as pa  # noqa: PLC0415 - not everybody has it, and it takes long
            from pyarrow import parquet  # noqa: PLC0415
        except ImportError as error:
            raise InputError(NO_PARQUET) from error
        self._schema = _schema(pa)
        self._table = pa.Table
        self._out = io.BytesIO()
        self._writer = parquet.ParquetWriter(self._out, self._schema)

    def rows(self, some: Sequence[Measured]) -> bytes:
        columns = zip(*map(_values, some), strict=True)
        if some:
            arrays = dict(zip(COLUMNS, map(list, columns), strict=True))
            self._writer.write_table(self._table.from_pydict(arrays, schema=self._schema))
        return self._made()

    def end(self) -> bytes:
        self._writer.close()
        return self._made()

    def _made(self) -> bytes:
        made = self._out.getvalue()
        self._out.seek(0)
        self._out.truncate()
        return made


def _schema(pa: Any) -> pyarrow.Schema:
    kinds = {
        "at": pa.timestamp("ms", tz="UTC"),
        "price_usd": pa.decimal128(18, 9),
        "retries": pa.int32(),
        "cache_hit": pa.bool_(),
        **dict.fromkeys(("input", "cached_input", "output", "reasoning"), pa.int64()),
        **dict.fromkeys(("queue_s", "first_token_s", "total_s", "tokens_per_s"), pa.float64()),
    }
    return pa.schema([(name, kinds.get(name, pa.string())) for name in COLUMNS])


def _values(one: Measured) -> tuple[object, ...]:
    usage = one.usage
    counts = (usage.input, usage.cached_input, usage.output, usage.reasoning) if usage else (None,) * 4
    return (
        *(one.id, one.at, one.conversation_id, one.endpoint, one.model, one.kind, one.status, one.error),
        *counts,
        None if one.price is None else Decimal(one.price).scaleb(-9),
        *(one.queue_s, one.first_token_s, one.total_s, one.tokens_per_s, one.retries),
        None if usage is None else one.cache_hit,
    )


def markdown(head: Sequence[str], rows: Iterable[Sequence[str]], *, numbers: int = 0) -> str:
    """Return a table of Markdown whose last columns, so many, are numbers."""
    marks = ["---"] * (len(head) - numbers) + ["---:"] * numbers
    return "\n".join("| " + " | ".join(text.replace("|", "\\|") for text in row) + " |" for row in (head, marks, *rows))


def cell(value: object) -> str:
    """Return a value as a cell that no spreadsheet runs."""
    match value:
        case None:
            return ""
        case bool():
            return str(value).lower()
        case str():
            return f"'{value}" if value.startswith(_FORMULA) else value
        case Decimal():
            return f"{value:f}"
        case float():
            return repr(value)
    return value.isoformat(timespec="milliseconds") if isinstance(value, datetime) else str(value)
