-- One row: how the shop does. Orders are purchasing sessions. conversion is orders per session, abandonment the share of the sessions with a cart event that bought nothing; each is NULL where there is nothing to divide by.
WITH s AS (
  SELECT max(CASE WHEN event_type = 'view'     THEN 1 ELSE 0 END) AS viewed,
         max(CASE WHEN event_type = 'cart'     THEN 1 ELSE 0 END) AS carted,
         max(CASE WHEN event_type = 'purchase' THEN 1 ELSE 0 END) AS purchased
  FROM events WHERE user_session IS NOT NULL GROUP BY user_session
), t AS (
  SELECT count(*) AS sessions,
         count(*) FILTER (WHERE viewed = 1) AS viewed_sessions, count(*) FILTER (WHERE carted = 1) AS carted_sessions,
         count(*) FILTER (WHERE carted = 1 AND purchased = 0) AS abandoned_sessions,
         count(*) FILTER (WHERE purchased = 1) AS orders
  FROM s
), e AS (
  SELECT count(*) AS events, count(DISTINCT user_id) AS users,
         count(DISTINCT user_id) FILTER (WHERE event_type = 'purchase') AS buyers,
         coalesce(sum(price) FILTER (WHERE event_type = 'purchase'), 0) AS revenue
  FROM events
)
SELECT events, users, buyers, sessions, viewed_sessions, carted_sessions, abandoned_sessions, orders, revenue,
       revenue / nullif(orders, 0) AS average_order_value, orders / nullif(sessions, 0) AS conversion,
       abandoned_sessions / nullif(carted_sessions, 0) AS abandonment
FROM e CROSS JOIN t
