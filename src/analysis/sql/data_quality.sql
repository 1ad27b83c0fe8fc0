-- One row: what events lack or have that is strange. other_type counts the types besides view, cart, remove_from_cart and purchase.
SELECT count(*) AS events,
       count(*) FILTER (WHERE category_code IS NULL) AS missing_category,
       count(*) FILTER (WHERE brand IS NULL) AS missing_brand,
       count(*) FILTER (WHERE user_session IS NULL) AS missing_session,
       count(*) FILTER (WHERE price = 0) AS zero_price,
       count(*) FILTER (WHERE price < 0) AS negative_price,
       count(*) FILTER (WHERE event_type NOT IN ('view', 'cart', 'remove_from_cart', 'purchase')) AS other_type
FROM events
