-- What happened each day (UTC), by event type, category and brand: the smallest table that can be filtered by all of them. revenue is that of purchases.
SELECT CAST(event_time AS DATE) AS day, event_type, category_code, brand, count(*) AS events,
       coalesce(sum(price) FILTER (WHERE event_type = 'purchase'), 0) AS revenue
FROM events GROUP BY CAST(event_time AS DATE), event_type, category_code, brand
ORDER BY day, event_type, category_code ASC NULLS LAST, brand ASC NULLS LAST
