"""Whether an engine's answer is cartlog's: row by row, in order; doubles to a billionth of their value."""

import numpy
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet

TOLERANCE = 1e-9


class Difference(AssertionError):
    """The first difference of two answers, told with both rows."""


def read(path):
    return pyarrow.parquet.read_table(path)


def compare(what, got, expected):
    """Raises `Difference` unless both tables hold the same; types may differ where values don't.

    Whole numbers in a column of money are cents.
    """
    if got.num_rows != expected.num_rows:
        raise Difference(f"{what}: {got.num_rows} rows, expected {expected.num_rows}")
    if set(got.column_names) != set(expected.column_names):
        raise Difference(f"{what}: columns {got.column_names}, expected {expected.column_names}")
    for name in expected.column_names:
        mine, other = (table[name].combine_chunks() for table in (got, expected))
        different = differing(mine, other)
        if different.any():
            row = int(different.argmax())
            raise Difference(f"{what}: row {row}, {name} of\n{got.slice(row, 1).to_pylist()}\nexpected\n"
                             f"{expected.slice(row, 1).to_pylist()}")


def differing(got, expected):
    """Which places differ."""
    nulls = got.is_null().to_numpy(zero_copy_only=False) != expected.is_null().to_numpy(zero_copy_only=False)
    if pa.types.is_floating(expected.type):
        mine, other = numbers(got), numbers(expected)
        return nulls | (numpy.abs(mine - other) > TOLERANCE * numpy.abs(other))
    if pa.types.is_decimal(expected.type):
        mine = numbers(got) if pa.types.is_integer(got.type) else numpy.rint(numbers(got) * 100)
        return nulls | (mine != numpy.rint(numbers(expected) * 100))
    if pa.types.is_integer(expected.type):
        return nulls | (numbers(got) != numbers(expected))
    equal = pc.equal(plain(got).cast(plain(expected).type), plain(expected)).fill_null(True)
    return nulls | ~equal.to_numpy(zero_copy_only=False)


def numbers(column):
    """As 64-bit numbers, a missing one as zero."""
    kind = pa.int64() if pa.types.is_integer(column.type) or pa.types.is_boolean(column.type) else pa.float64()
    return column.cast(kind).fill_null(0).to_numpy(zero_copy_only=False)


def plain(column):
    return column.cast(column.type.value_type) if pa.types.is_dictionary(column.type) else column
