-- Pairs of categories that the same users interact with; the missing category is left out, and a user counts once in a pair.
-- Users are those with any category. support: the share of them with both; confidence: of the users of category_code, the share with
-- other_category_code as well (reverse_confidence: the other way round); lift: how many times as many have both as would by chance.
-- The smallest number of users (10) and the limit (100) are parameters. Over purchases alone: what the same users bought.
WITH touched AS (
  SELECT DISTINCT user_id, category_code FROM events WHERE category_code IS NOT NULL
), sizes AS (
  SELECT category_code, count(*) AS users FROM touched GROUP BY category_code
), pairs AS (
  SELECT a.category_code AS category_code, b.category_code AS other_category_code, count(*) AS users
  FROM touched a JOIN touched b ON b.user_id = a.user_id
  WHERE a.category_code < b.category_code
  GROUP BY a.category_code, b.category_code HAVING count(*) >= 10
), everyone AS (SELECT count(DISTINCT user_id) AS users FROM touched)
SELECT pairs.category_code AS category_code, pairs.other_category_code AS other_category_code, pairs.users AS users,
       mine.users AS category_users, other.users AS other_category_users,
       CAST(pairs.users AS DOUBLE) / everyone.users AS support,
       CAST(pairs.users AS DOUBLE) / mine.users AS confidence, CAST(pairs.users AS DOUBLE) / other.users AS reverse_confidence,
       CAST(pairs.users * everyone.users AS DOUBLE) / (mine.users * other.users) AS lift
FROM pairs JOIN sizes mine ON mine.category_code = pairs.category_code
           JOIN sizes other ON other.category_code = pairs.other_category_code CROSS JOIN everyone
ORDER BY lift DESC, users DESC, category_code, other_category_code
LIMIT 100
