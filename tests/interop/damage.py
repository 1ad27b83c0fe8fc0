"""A hundred kinds of damaged lines, each with what its reason must say."""

GOOD = [
    "2019-10-01 00:00:05 UTC", "view", "1004856", "2053013555631882655", "electronics.smartphone", "samsung", "130.76",
    "541312140", "d7fa3d4b-63b1-4d53-a2d8-0f7cb2ae2e05",
]
IDS = {"product_id": 2, "category_id": 3, "user_id": 7}
GOOD_LINE = ",".join(GOOD)


def with_field(index, value):
    return ",".join(GOOD[:index] + [value] + GOOD[index + 1 :])


def kinds():
    """(name, line without its end as bytes, regular expression that the reason matches)."""
    found = []

    def add(name, line, reason):
        found.append((name, line if isinstance(line, bytes) else line.encode(), reason))

    for value in [
        "", "not a time", "2019-13-01 00:00:00 UTC", "2019-02-29 00:00:00 UTC", "2019-10-32 00:00:00 UTC",
        "2019-10-00 00:00:00 UTC", "2019-00-01 00:00:00 UTC", "2019-10-01 24:00:01 UTC", "2019-10-01 00:60:00 UTC",
        "2019-10-01 00:00:61 UTC", "2019-10-01", "2019-10-01 00:00 UTC", "01/10/2019 00:00:00", "1569888000",
        "2019-10-01 00:00:00 CEST", "2019-10-01 00:00:00 +99:00", " 2019-10-01 00:00:00 UTC", "12019-10-01 00:00:00 UTC",
        "2019-10-01 00:00:00 UTC UTC", "2019-10-01_00:00:00", "####", "43739.5", "NaT", "2019-1-1 0:0:0",
    ]:
        add(f"event_time {value!r}", with_field(0, value), "event_time")
    add("event_type ''", with_field(1, ""), "event_type")
    for name, index in IDS.items():
        for value in [
            "", "abc", "2.05301E+18", "1e9", "12.0", "9223372036854775808", "-9223372036854775809", " 12", "12 ",
            "0x1F", "1_000", "nan", "NULL", "\u0661\u0662", "1'000", "--1",
        ]:
            add(f"{name} {value!r}", with_field(index, value), name)
        add(f"{name} with separators", with_field(index, '"1,004,856"'), name)
    for value in [
        "", "abc", "1.2.3", "$5.00", "5 USD", "nan", "inf", "1e3", "2.5E+02", "12.34567", ".", "-", "--5", "0x10", " 5",
        "5 ", "99999999999999999999", "\u0665", "5\u20ac",
    ]:
        add(f"price {value!r}", with_field(6, value), "price")
    add("price with a comma", with_field(6, '"130,76"'), "price")
    for fields in range(1, 9):
        add(f"{fields} fields", ",".join(GOOD[:fields]), f"fields.*{fields}")
    add("10 fields", GOOD_LINE + ",extra", "fields.*10")
    add("10 fields, the last empty", GOOD_LINE + ",", "fields.*10")
    add("two rows glued", GOOD_LINE + GOOD_LINE, "fields.*17")
    add("two rows with a comma", GOOD_LINE + "," + GOOD_LINE, "fields.*18")
    add("price with a free comma", with_field(6, "130,76"), "fields.*10")
    add("semicolons", GOOD_LINE.replace(",", ";"), "fields.*1")
    add("tabs", GOOD_LINE.replace(",", "\t"), "fields.*1")
    add("an index in front", "17," + GOOD_LINE, "fields.*10")
    add("a second header", ",".join([
        "event_time", "event_type", "product_id", "category_id", "category_code", "brand", "price", "user_id",
        "user_session"]), "header")
    add("a comment", "# exported on Monday", "fields.*1")
    add("commas alone", ",,,,,,,,", "event_time")
    add("a page", "<html><body>504 Gateway Timeout</body></html>", "fields.*1")
    add("binary", bytes(range(1, 10)) + bytes(range(14, 32)), "fields.*1")
    add("zero bytes", b"\0" * 40, "fields.*1")
    add("a quote left open", with_field(5, '"samsung'), "quote")
    add("a quote left open at the start", '"' + GOOD_LINE, "quote")
    add("text after a quote", with_field(5, '"sam"sung'), "quote")
    add("text after a quote in a number", with_field(2, '"1004856"x'), "quote")
    add("a whole row quoted", '"' + GOOD_LINE + '"', "fields.*1")
    latin = "caf\u00e9".encode("latin-1")
    for index, name in [(1, "event_type"), (4, "category_code"), (5, "brand"), (8, "user_session")]:
        fields = [field.encode() for field in GOOD]
        fields[index] = latin
        add(f"Latin-1 in {name}", b",".join(fields), "UTF-8")
    for name, bad in [
        ("a continuation byte alone", b"\x80"), ("an overlong form", b"\xc0\xaf"), ("a surrogate", b"\xed\xa0\x80"),
        ("a cut sequence", b"\xe2\x82"), ("0xff", b"\xff"), ("beyond Unicode", b"\xf4\x90\x80\x80"),
    ]:
        add(f"UTF-8: {name}", with_field(5, "X").encode().replace(b"X", bad), "UTF-8")
    add("UTF-16", GOOD_LINE.encode("utf-16-le").replace(b"\n", b""), "fields|event_time|UTF-8")
    add("columns in another order", ",".join(GOOD[1:] + GOOD[:1]), "event_time")
    add("a shifted row", ",".join(GOOD[:4] + GOOD[5:] + [""]), "price|user_id")
    add("a brand of 70,000 bytes", with_field(5, "b" * 70_000), "brand")
    add("a category of 100,000 bytes", with_field(4, "c" * 100_000), "category_code")
    return found
