-- Every kind of value, what each format must escape, NULL, an empty text, no row, and a name twice.
SELECT 1 AS n, -12.50::DECIMAL(5, 2) AS amount, 0.1::DOUBLE AS ratio, true AS yes, DATE '2026-11-20' AS day,
    TIMESTAMPTZ '2026-11-20 08:00:00.5+00' AS at, [1, NULL, 3] AS list, {'a': 'x', 'b': NULL} AS pair,
    MAP {'k': 1} AS map, '\xAA\x00z'::BLOB AS bytes, NULL AS nothing;
SELECT * FROM (VALUES ('plain', 1), ('', NULL), (NULL, 3), ('a,b "c" ''d''', 4), (e'tab\tline\nend\r', 5), ('a|b\c', 6),
    ('größe 日本 🎉', 7), (e'\x1b[31m\x07', 8)) AS t(text, n);
SELECT 1 AS a, 2 AS a;
SELECT 'no row' AS text WHERE false;
CREATE TABLE t AS SELECT 1 AS i;
INSERT INTO t VALUES (2) RETURNING i;
