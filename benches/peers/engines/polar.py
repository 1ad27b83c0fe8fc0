"""Polars, lazily over its own Arrow file in memory: expressions by hand, one function an analysis.

Texts are Enums (sorted, so that they order as texts do), sessions Categoricals, prices whole cents: sums are exact, and
an average is an exact sum divided once. Each analysis runs on both of its engines, in memory and streaming; the faster
one counts.
"""

import os

os.environ["POLARS_MAX_THREADS"] = "2"

import polars as pl  # noqa: E402
from polars import col  # noqa: E402

from .base import COLUMNS, TEXTS, Engine  # noqa: E402

KINDS = {"views": "view", "carts": "cart", "purchases": "purchase"}
CENTS = 100


class Polars(Engine):
    def load(self):
        types = {name: pl.String for name in COLUMNS} | {
            "product_id": pl.Int32, "category_id": pl.Int64, "price": pl.Float64, "user_id": pl.Int32,
        }
        rows = pl.scan_csv(self.file, schema=types)
        texts = {name: rows.select(col(name).drop_nulls().unique()).collect(engine="streaming").to_series().sort()
                 for name in TEXTS}
        rows = rows.with_columns(
            col("event_time").str.to_datetime("%Y-%m-%d %H:%M:%S UTC", time_unit="ms"),
            (col("price") * CENTS).round().cast(pl.Int64),
            *(col(name).cast(pl.Enum(values)) for name, values in texts.items()),
            col("user_session").cast(pl.Categorical),
        )
        rows.collect().rechunk().write_ipc(self.folder / "events.arrow", compression="uncompressed")

    def open(self):
        self.events = pl.read_ipc(self.folder / "events.arrow").rechunk().lazy()
        return pl.__version__

    def ways(self, name):
        query = ANALYSES[name](self.events)
        return [lambda: query.collect(engine="in-memory"), lambda: query.collect(engine="streaming")]

    def table(self, name):
        return ANALYSES[name](self.events).collect().to_arrow()


def kind(name):
    return col("event_type") == name


def counted():
    """Views, carts and purchases."""
    return [kind(value).sum().alias(name) for name, value in KINDS.items()]


def revenue():
    return col("price").filter(kind("purchase")).sum().alias("revenue")


def average():
    return (col("price").sum() / (pl.len() * CENTS)).alias("average_price")


def ordered(rows, *terms):
    """Sorted by these columns, `-name` downwards; missing values last."""
    return rows.sort([term.lstrip("-") for term in terms], descending=[term.startswith("-") for term in terms],
                     nulls_last=True)


def user_top_category_brand(events):
    counts = events.group_by("user_id", "category_code", "brand").agg(pl.len().alias("interaction_count"))
    most = counts.filter(col("interaction_count") == col("interaction_count").max().over("user_id"))
    first = ordered(most, "user_id", "category_code", "brand")
    return first.unique("user_id", keep="first", maintain_order=True)


def most_engaged_users(events):
    counts = events.group_by("category_code", "brand", "user_id").agg(pl.len().alias("max_count"))
    most = counts.filter(col("max_count") == col("max_count").max().over("category_code", "brand"))
    return ordered(most, "-max_count", "category_code", "brand", "user_id")


def price_sensitivity(events):
    price = col("price")
    quantiles = {"p25_price": 0.25, "median_price": 0.5, "p75_price": 0.75}
    rows = events.group_by("category_code").agg(
        pl.len().alias("interaction_count"), average(), price.max().alias("max_price"), price.min().alias("min_price"),
        *(price.quantile(share, "equiprobable").cast(pl.Int64).alias(name) for name, share in quantiles.items()),
    )
    return ordered(rows, "-average_price", "category_code")


def band():
    bounds = [10, 25, 50, 100, 250, 500, 1000]
    band = pl.lit(bounds[-1], pl.Int32)
    for lower, upper in reversed(list(zip([0, *bounds], bounds))):
        band = pl.when(col("price") < upper * CENTS).then(pl.lit(lower, pl.Int32)).otherwise(band)
    return band.alias("band_from")


def price_bands(events):
    rows = events.group_by("category_code", band()).agg(
        *counted(), col("user_id").n_unique().alias("users"), revenue()
    )
    return ordered(rows, "category_code", "band_from")


def top_categories(events):
    rows = events.group_by("category_id", "category_code").agg(pl.len().alias("interaction_count"))
    return ordered(rows, "-interaction_count", "category_id", "category_code").head(10)


def top_category_prices(events):
    rows = events.filter(col("category_code").is_not_null()).group_by("category_code").agg(
        average(), col("price").max().alias("max_price"), col("price").min().alias("min_price")
    )
    return ordered(rows, "-average_price", "category_code").head(10)


def top_interactions(events):
    rows = events.group_by("user_id", "category_code").agg(pl.len().alias("count"))
    return ordered(rows, "-count", "user_id", "category_code").head(10)


def sales_history(events):
    orders = col("user_session").filter(kind("purchase")).drop_nulls().n_unique()
    rows = events.group_by(col("event_time").dt.date().alias("day")).agg(
        *counted(), col("user_id").n_unique().alias("visitors"),
        col("user_id").filter(kind("purchase")).n_unique().alias("buyers"), revenue(), orders.alias("orders"),
    )
    value = pl.when(col("orders") > 0).then(col("revenue") / (col("orders") * CENTS))
    return ordered(rows.with_columns(value.alias("average_order_value")).drop("orders"), "day")


def stages(rows, *keys):
    """Sessions by these keys, and what each of them did."""
    did = {"viewed": "view", "carted": "cart", "purchased": "purchase"}
    sessions = rows.filter(col("user_session").is_not_null()).group_by(*keys, "user_session")
    return sessions.agg(*(kind(value).any().alias(name) for name, value in did.items()))


def abandoned():
    return (col("carted") & ~col("purchased")).sum()


def conversion_funnel(events):
    rows = stages(events, "category_code").group_by("category_code").agg(
        pl.len().alias("sessions"), col("viewed").sum(), col("carted").sum(), col("purchased").sum(),
        abandoned().alias("abandoned"),
    )
    return ordered(rows, "-sessions", "category_code")


def session_metrics(events):
    seconds = col("event_time").dt.epoch("s")
    sessions = events.filter(col("user_session").is_not_null()).group_by("user_session").agg(
        pl.len().alias("n"), (seconds.max() - seconds.min()).alias("seconds"), kind("purchase").any().alias("purchased")
    )
    return sessions.select(
        pl.len().alias("sessions"), col("n").sum().alias("events"), (col("n") == 1).sum().alias("bounces"),
        col("purchased").sum().alias("purchasing_sessions"),
        col("n").quantile(0.5, "equiprobable").alias("median_events"),
        col("seconds").quantile(0.5, "equiprobable").alias("median_seconds"),
        col("seconds").quantile(0.9, "equiprobable").alias("p90_seconds"),
    )


def customer_segments(events):
    last = events.select(col("event_time").max().dt.date().alias("day"))
    buyers = events.filter(kind("purchase")).group_by("user_id").agg(
        col("event_time").max().dt.date().alias("last_day"),
        (col("user_session").drop_nulls().n_unique() + col("user_session").null_count()).alias("orders"),
        col("price").sum().alias("spent"),
    )
    scored = buyers.join(last, how="cross").with_columns(
        (col("day") - col("last_day")).dt.total_days().alias("recency_days")
    )
    recency, orders = col("recency_days"), col("orders")
    segment = (
        pl.when((recency <= 7) & (orders >= 5)).then(pl.lit("champion")).when(orders >= 5).then(pl.lit("loyal"))
        .when(recency <= 7).then(pl.lit("recent")).when(recency <= 21).then(pl.lit("promising"))
        .when(orders >= 2).then(pl.lit("at_risk")).otherwise(pl.lit("dormant"))
    )
    rows = scored.group_by(segment.alias("segment")).agg(
        pl.len().alias("users"), orders.sum(), col("spent").sum().alias("revenue"),
        recency.mean().alias("average_recency_days"),
    )
    return ordered(rows, "-revenue", "segment")


def product_performance(events):
    # The latest event's price, of several the highest: the largest of (seconds, cents) in one number.
    room = 1 << 31
    latest = (col("event_time").dt.epoch("s") * room + col("price")).max() % room
    rows = events.group_by("product_id").agg(
        *counted(), col("user_id").n_unique().alias("visitors"), revenue(), latest.alias("last_price")
    )
    return ordered(rows, "-revenue", "-views", "product_id")


def brand_performance(events):
    rows = events.group_by("brand").agg(
        *counted(), col("user_id").n_unique().alias("visitors"), col("product_id").n_unique().alias("products"), revenue()
    )
    return ordered(rows, "-revenue", "brand")


def hourly_activity(events):
    time = col("event_time").dt
    rows = events.group_by(time.weekday().alias("weekday"), time.hour().alias("hour")).agg(*counted())
    return ordered(rows, "weekday", "hour")


def cohort_retention(events):
    week = col("event_time").dt.truncate("1w").dt.date()
    buys = events.filter(kind("purchase")).select("user_id", week.alias("week")).unique()
    firsts = buys.group_by("user_id").agg(col("week").min().alias("cohort"))
    later = ((col("week") - col("cohort")).dt.total_days() // 7).alias("weeks_later")
    rows = buys.join(firsts, on="user_id").group_by("cohort", later).agg(pl.len().alias("buyers"))
    return ordered(rows, "cohort", "weeks_later")


def daily_activity(events):
    keys = [col("event_time").dt.date().alias("day"), "event_type", "category_code", "brand"]
    rows = events.group_by(*keys).agg(pl.len().alias("events"), revenue())
    return ordered(rows, "day", "event_type", "category_code", "brand")


def key_figures(events):
    sessions = stages(events).select(
        pl.len().alias("sessions"), col("viewed").sum().alias("viewed_sessions"),
        col("carted").sum().alias("carted_sessions"), abandoned().alias("abandoned_sessions"),
        col("purchased").sum().alias("orders"),
    )
    rows = events.select(
        pl.len().alias("events"), col("user_id").n_unique().alias("users"),
        col("user_id").filter(kind("purchase")).n_unique().alias("buyers"), revenue(),
    )

    def share(above, below):
        return pl.when(below > 0).then(above / below)

    return rows.join(sessions, how="cross").select(
        "events", "users", "buyers", "sessions", "viewed_sessions", "carted_sessions", "abandoned_sessions", "orders",
        "revenue", share(col("revenue"), col("orders") * CENTS).alias("average_order_value"),
        share(col("orders"), col("sessions")).alias("conversion"),
        share(col("abandoned_sessions"), col("carted_sessions")).alias("abandonment"),
    )


def data_quality(events):
    known = {"view", "cart", "remove_from_cart", "purchase"}
    others = [value for value in events.collect_schema()["event_type"].categories if value not in known]
    missing = {"missing_category": "category_code", "missing_brand": "brand", "missing_session": "user_session"}
    return events.select(
        pl.len().alias("events"), *(col(column).is_null().sum().alias(name) for name, column in missing.items()),
        (col("price") == 0).sum().alias("zero_price"), (col("price") < 0).sum().alias("negative_price"),
        sum((kind(value).sum() for value in others), pl.lit(0)).alias("other_type"),
    )


def category_affinity(events):
    touched = events.filter(col("category_code").is_not_null()).select("user_id", "category_code").unique()
    sizes = touched.group_by("category_code").agg(pl.len().cast(pl.Int64).alias("n"))
    pairs = touched.join(touched, on="user_id", suffix="_2").filter(col("category_code") < col("category_code_2"))
    pairs = pairs.group_by("category_code", "category_code_2").agg(pl.len().cast(pl.Int64).alias("users"))
    pairs = pairs.filter(col("users") >= 10).join(sizes, on="category_code")
    pairs = pairs.join(sizes, left_on="category_code_2", right_on="category_code", suffix="_2")
    rows = pairs.join(touched.select(col("user_id").n_unique().cast(pl.Int64).alias("everyone")), how="cross").select(
        "category_code", col("category_code_2").alias("other_category_code"), "users",
        col("n").alias("category_users"), col("n_2").alias("other_category_users"),
        (col("users") / col("everyone")).alias("support"), (col("users") / col("n")).alias("confidence"),
        (col("users") / col("n_2")).alias("reverse_confidence"),
        ((col("users") * col("everyone")) / (col("n") * col("n_2"))).alias("lift"),
    )
    return ordered(rows, "-lift", "-users", "category_code", "other_category_code").head(100)


def price_elasticity(events):
    touched = events.filter(col("user_session").is_not_null()).group_by("category_code", band(), "user_session").agg(
        kind("purchase").any().alias("bought")
    )
    counted = touched.group_by("category_code", "band_from").agg(
        pl.len().alias("sessions"), col("bought").sum().alias("purchasing_sessions")
    )
    n, k = (col(name).cast(pl.Float64) for name in ["sessions", "purchasing_sessions"])
    all_n, all_k = (whole.sum().over("category_code") for whole in (n, k))
    z2 = 3.8416
    root = (z2 * (z2 + 4 * k * (n - k) / n)).sqrt()
    rows = counted.with_columns(
        (k / n).alias("purchase_share"), ((2 * k + z2 - root) / (2 * (n + z2))).alias("share_low"),
        (1 - (2 * (n - k) + z2 - root) / (2 * (n + z2))).alias("share_high"),
        pl.when(all_k > 0).then(k * all_n / (n * all_k)).alias("relative_share"),
    )
    return ordered(rows, "category_code", "band_from")


ANALYSES = {
    analysis.__name__: analysis
    for analysis in [
        user_top_category_brand, most_engaged_users, price_sensitivity, price_bands, top_categories, top_category_prices,
        top_interactions, sales_history, conversion_funnel, session_metrics, customer_segments, product_performance,
        brand_performance, hourly_activity, cohort_retention, daily_activity, key_figures,
        data_quality, category_affinity, price_elasticity,
    ]
}
