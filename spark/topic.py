"""Events straight from the topic, by Spark's Kafka source: the rows that `cartlog ingest` would store.

A record that names a byte range of a source in its headers (cartlog's own) holds lines of CSV, and what another record of the
same source holds already is a duplicate: a producer's retry, a second run, two runs that cut a file at other places. Any other
record is a message: one JSON event, an array of them, or lines. A line is CSV of nine fields, or a JSON object where it starts with
`{`. What is no event is rejected, by the rules of cartlog's parser (docs/ANALYSES.md and src/event); the README beside this file
names the few that differ.

All of it are expressions of Spark's own SQL, so that no row passes through Python.
"""

from pyspark import StorageLevel
from pyspark.sql import functions as f

# The nine columns, and what the text of each has to be.
COLUMNS = [
    "event_time", "event_type", "product_id", "category_id", "category_code", "brand", "price", "user_id", "user_session",
]
NUMBERS = {"product_id", "category_id", "price", "user_id"}
OPTIONAL = {"category_code", "brand", "user_session"}
LONGEST_TEXT, LONGEST_LINE = 64 << 10, 8 << 20

# What can't be told of a topic is not guessed: it is read as far as transactions are over.
DEFAULTS = {
    "startingOffsets": "earliest", "endingOffsets": "latest", "includeHeaders": "true", "failOnDataLoss": "true",
    "kafka.isolation.level": "read_committed",
}

HEADERS = {
    "source": ("cartlog.source", 128), "name": ("cartlog.name", 16 << 10), "range": ("cartlog.range", 41),
    "line": ("cartlog.line", 20),
}
NUMBER = r"(?:0|[1-9]\\d*)"
# The end of a text; `$` would also match before a line end.
END = r"\\z"
# A field begins with a quote and ends with the next one that is not doubled, or has none at its start.
FIELD = r'(?:"[^"]*+(?:""[^"]*+)*+"|(?!")[^,]*+)'
QUOTED_LINE = ",".join([f"({FIELD})"] * len(COLUMNS))

TIME = (
    r"\\d{4}-\\d\\d-\\d\\d[ Tt]\\d\\d:\\d\\d:\\d\\d(\\.\\d+)?"
    r"(| ?(UTC|[Zz]|[+-]\\d\\d(:?\\d\\d)?))"
)
MICROS = {"day": "86400000000L", "hour": "3600000000L", "minute": "60000000L", "second": "1000000L"}
YEARS = ("-62135596800000000L", "253402300800000000L")


def open_topic(spark, brokers, topic, options):
    """The rows of a topic, each with its nine columns (typed, or missing where the row is none) and its `fate`."""
    records = read(spark, brokers, topic, options)
    lines = lines_of(records, known_bytes(records))
    rows = fates(texts(lines)).select(*COLUMNS, "fate")
    # They are asked for by every analysis, and parsing them costs more than writing them down once.
    return rows.persist(StorageLevel.MEMORY_AND_DISK)


def read(spark, brokers, topic, options):
    """The records: place, value, and which bytes of which source they hold, if they say so."""
    reader = spark.read.format("kafka").option("kafka.bootstrap.servers", brokers).option("subscribe", topic)
    records = reader.options(**(DEFAULTS | options)).load()
    for name, (key, limit) in HEADERS.items():
        # Of several headers with the same name the last one counts.
        last = f"try_element_at(filter(headers, header -> header.key = '{key}'), -1).value"
        records = records.withColumn(name, f.expr(
            f"CASE WHEN octet_length({last}) <= {limit} AND is_valid_utf8(CAST({last} AS STRING)) THEN CAST({last} AS STRING) END"
        ))
    records = records.withColumn("value", f.expr("coalesce(value, X'')")).withColumn("length", f.expr("octet_length(value)"))
    for name, place in [("start", 1), ("end", 2)]:
        number = rf"try_cast(regexp_extract(`range`, '^({NUMBER})-({NUMBER})\\z', {place}) AS DECIMAL(20,0))"
        records = records.withColumn(name, f.expr(number))
    ours = (
        rf"source RLIKE '^[!-~]+\\z' AND name IS NOT NULL AND `line` RLIKE '^[1-9]\\d*\\z' "
        "AND length > 0 AND `end` - start = length"
    )
    records = records.withColumn("source", f.expr(f"CASE WHEN {ours} THEN source END"))
    return records.select("partition", "offset", "value", "length", "source", "start", "end")


def known_bytes(records):
    """For each record that holds bytes which another one holds as well: how many at its start are the other's."""
    before = (
        "max(`end`) OVER (PARTITION BY source ORDER BY start, `end` DESC, partition, offset "
        "ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)"
    )
    places = records.where("source IS NOT NULL").select("partition", "offset", "length", f.expr(f"{before} - start").alias("known"))
    return places.where("known > 0").select("partition", "offset", f.expr("CAST(least(known, length) AS INT)").alias("known"))


def lines_of(records, known):
    """One row a line, or a JSON element, with `is_known` where another record holds it as well."""
    # A few bytes a record, and of few records: sent to everyone, so that no value has to move.
    records = records.join(f.broadcast(known), ["partition", "offset"], "left")
    # As Latin-1 each byte is a character, so that a damaged line doesn't damage its neighbours.
    bytewise = "decode(value, 'ISO-8859-1')"
    lines = (
        f"CASE WHEN is_valid_utf8(CAST(value AS STRING)) THEN split(CAST(value AS STRING), '\\n') "
        f"ELSE transform(split({bytewise}, '\\n'), line -> CAST(encode(line, 'ISO-8859-1') AS STRING)) END"
    )
    # A line of which only the end is new was cut off when its start was read: it is read again as a whole.
    start = "substring(decode(value, 'ISO-8859-1'), 1, known)"
    newlines = f"known - length(replace({start}, '\\n', ''))"
    known_lines = f"CASE WHEN known IS NULL THEN 0 WHEN known >= length THEN {2**31 - 1} ELSE {newlines} END"
    elements = (
        "CASE WHEN source IS NULL AND substring(trim(BOTH ' \\t\\n\\u000C\\r' FROM CAST(value AS STRING)), 1, 1) IN ('{', '[') "
        "AND is_valid_utf8(CAST(value AS STRING)) "
        "THEN try_parse_json(concat('[', CAST(value AS STRING), ']')) END"
    )
    records = records.withColumn("whole", f.expr(f"CAST({elements} AS ARRAY<VARIANT>)"))
    json = (
        "CASE WHEN schema_of_variant(whole[0]) LIKE 'ARRAY%' THEN CAST(whole[0] AS ARRAY<VARIANT>) ELSE whole END"
    )
    # The array around the number has it counted once a record, and not once a line.
    rows = (
        "CASE WHEN size(whole) = 1 "
        f"THEN transform({json}, element -> {row('NULL', 'element', 'false')}) "
        f"ELSE transform(array({known_lines}), known_lines -> transform({lines}, (line, place) -> "
        f"{row('line', 'NULL', 'place < known_lines')}))[0] END"
    )
    rows = records.select(f.explode(f.expr(rows)).alias("row")).select("row.*")
    return rows.where("line IS NULL OR line NOT IN ('', '\\r')")


def row(line, element, is_known):
    return (
        f"named_struct('line', CAST({line} AS STRING), 'element', CAST({element} AS VARIANT), 'is_known', {is_known})"
    )


def texts(lines):
    """The nine texts of each line or element; none at all where it has no nine."""
    # A carriage return belongs to the line's end.
    lines = lines.withColumn("line", f.expr(
        f"CASE WHEN is_valid_utf8(line) AND octet_length(line) <= {LONGEST_LINE} THEN CASE WHEN line LIKE '%\\r' THEN substring(line, 1, length(line) - 1) ELSE line END END"
    ))
    lines = lines.withColumn("element", f.expr(
        "coalesce(element, CASE WHEN line LIKE '{%' THEN try_parse_json(concat('[', line, ']')) END)"
    ))
    # A line is wrapped, so that nothing may stand behind the object; an element of a message is not.
    lines = lines.withColumn("element", f.expr(
        "CASE WHEN line IS NULL THEN element WHEN size(CAST(element AS ARRAY<VARIANT>)) = 1 THEN CAST(element AS ARRAY<VARIANT>)[0] END"
    ))
    plain = f"CASE WHEN size(split(line, ',', -1)) = {len(COLUMNS)} THEN split(line, ',', -1) END"
    unquoted = "CASE WHEN field LIKE '\"%' THEN replace(substring(field, 2, length(field) - 2), '\"\"', '\"') ELSE field END"
    fields = ", ".join(f"regexp_extract(line, '^{QUOTED_LINE}{END}', {place})" for place in range(1, len(COLUMNS) + 1))
    quoted = f"CASE WHEN line RLIKE '^{QUOTED_LINE}{END}' THEN transform(array({fields}), field -> {unquoted}) END"
    members = ", ".join(member(name) for name in COLUMNS)
    return lines.select("is_known", f.expr(
        "CASE WHEN element IS NOT NULL THEN CASE WHEN schema_of_variant(element) LIKE 'OBJECT%' "
        f"AND {' AND '.join(fits(name) for name in COLUMNS)} THEN array({members}) END "
        "WHEN line LIKE '{%' THEN NULL "
        f"WHEN instr(line, '\"') > 0 THEN {quoted} ELSE {plain} END"
    ).alias("texts"))


def kind(name):
    return f"schema_of_variant(variant_get(element, '$.{name}', 'VARIANT'))"


def fits(name):
    """Whether a member is text, nothing, or a number where there may be one. A double has lost its digits."""
    kinds = "kind IN ('STRING', 'VOID') OR kind IS NULL"
    kinds += " OR kind = 'BIGINT'" if name in NUMBERS else ""
    kinds += " OR kind LIKE 'DECIMAL%'" if name == "price" else ""
    return f"({kinds.replace('kind', kind(name))})"


def member(name):
    return f"coalesce(variant_get(element, '$.{name}', 'STRING'), '')"


def fates(rows):
    """The typed columns of each row, and whether it is `stored`, `rejected` or a `duplicate`."""
    values = {name: f.expr(f"nullif(texts[{place}], '')") for place, name in enumerate(COLUMNS)}
    rows = rows.select("is_known", *(value.alias(name) for name, value in values.items()))
    typed = {name: value(name) for name in COLUMNS}
    rows = rows.withColumns({f"typed_{name}": f.expr(value) for name, value in typed.items()})
    needed = [f"typed_{name} IS NOT NULL" for name in COLUMNS if name not in OPTIONAL]
    needed += [f"({name} IS NULL OR typed_{name} IS NOT NULL)" for name in sorted(OPTIONAL)]
    fate = f"CASE WHEN is_known THEN 'duplicate' WHEN {' AND '.join(needed)} THEN 'stored' ELSE 'rejected' END"
    return rows.select(f.expr(fate).alias("fate"), *(f.col(f"typed_{name}").alias(name) for name in COLUMNS))


def value(name):
    """The expression of a column's value from its text; missing where the text is none."""
    if name == "event_time":
        return instant(name)
    if name == "price":
        return (
            rf"CASE WHEN price RLIKE '^[+-]?(?=\\.?\\d)\\d*(\\.\\d{{0,4}}0*)?\\z' THEN try_cast(price AS DECIMAL(18,4)) END"
        )
    if name in NUMBERS:
        return rf"CASE WHEN {name} RLIKE '^[+-]?\\d+\\z' THEN try_cast({name} AS BIGINT) END"
    return f"CASE WHEN octet_length({name}) <= {LONGEST_TEXT} THEN {name} END"


def instant(name):
    """The time of a text that has the form of one: places are fixed up to the seconds, the zone is counted from the end."""
    def digits(place, count=2):
        return f"try_cast(substring({name}, {place}, {count}) AS INT)"

    rest = f"substring({name}, 20)"
    fraction = rf"rpad(substring(regexp_extract({rest}, '^\\.(\\d+)', 1), 1, 3), 3, '0')"
    # Hours and minutes without what stands between them.
    zone = rf"replace(regexp_extract({rest}, '[+-]\\d\\d(:?\\d\\d)?\\z', 0), ':', '')"
    hours = f"try_cast(substring({zone}, 2, 2) AS INT)"
    minutes = f"try_cast(rpad(substring({zone}, 4, 2), 2, '0') AS INT)"
    ahead = (
        f"CASE WHEN {zone} = '' THEN 0 WHEN {hours} > 23 OR {minutes} > 59 THEN NULL "
        f"ELSE if({zone} LIKE '-%', -1, 1) * ({hours} * {MICROS['hour']} + {minutes} * {MICROS['minute']}) END"
    )
    day = f"unix_date(try_cast(substring({name}, 1, 10) AS DATE))"
    micros = (
        f"{day} * {MICROS['day']} + {digits(12)} * {MICROS['hour']} + {digits(15)} * {MICROS['minute']} "
        f"+ {digits(18)} * {MICROS['second']} + try_cast({fraction} AS INT) * 1000 - ({ahead})"
    )
    within = f"{digits(1, 4)} >= 1 AND {digits(12)} <= 23 AND {digits(15)} <= 59 AND {digits(18)} <= 59"
    first, behind = YEARS
    return (
        f"CASE WHEN {name} RLIKE '^{TIME}{END}' AND {within} AND {micros} >= {first} AND {micros} < {behind} "
        f"THEN timestamp_micros({micros}) END"
    )
