-- How the share of sessions that buy moves with the price band, inside each category. Bands are half-open: lower <= price < upper.
-- Grain: one row a (category, band) that sessions touched, counted once each; purchasing_sessions bought something in it. Events without a
-- session are left out. share_low and share_high: Wilson's score interval of the share at 95 % (z = 1.96). relative_share: the band's
-- share by that of all bands of its category, NULL where none bought. Bands hold different products: what a product would sell
-- at another price, they do not tell. The eight lower bounds are a parameter; these are the defaults.
WITH banded AS (
  SELECT category_code, event_type, user_session,
         CASE WHEN price < 10 THEN 0 WHEN price < 25 THEN 10 WHEN price < 50 THEN 25 WHEN price < 100 THEN 50
              WHEN price < 250 THEN 100 WHEN price < 500 THEN 250 WHEN price < 1000 THEN 500 ELSE 1000 END AS band_from
  FROM events WHERE user_session IS NOT NULL
), touched AS (
  SELECT category_code, band_from, user_session, max(CASE WHEN event_type = 'purchase' THEN 1 ELSE 0 END) AS bought
  FROM banded GROUP BY category_code, band_from, user_session
), counted AS (
  SELECT category_code, band_from, count(*) AS sessions, count(*) FILTER (WHERE bought = 1) AS purchases
  FROM touched GROUP BY category_code, band_from
), summed AS (
  SELECT category_code, band_from, sessions, purchases, CAST(sessions AS DOUBLE) AS n, CAST(purchases AS DOUBLE) AS k,
         CAST(3.8416 AS DOUBLE) AS z2, CAST(sum(sessions) OVER (PARTITION BY category_code) AS DOUBLE) AS all_n,
         CAST(sum(purchases) OVER (PARTITION BY category_code) AS DOUBLE) AS all_k
  FROM counted
), spread AS (
  SELECT *, sqrt(z2 * (z2 + CAST(4 * k * (n - k) AS DOUBLE) / n)) AS root FROM summed
)
SELECT category_code, band_from, sessions, purchases AS purchasing_sessions, CAST(k AS DOUBLE) / n AS purchase_share,
       CAST(2 * k + z2 - root AS DOUBLE) / (2 * (n + z2)) AS share_low,
       1 - CAST(2 * (n - k) + z2 - root AS DOUBLE) / (2 * (n + z2)) AS share_high,
       CAST(k * all_n AS DOUBLE) / nullif(n * all_k, 0) AS relative_share
FROM spread
ORDER BY category_code ASC NULLS LAST, band_from
