"""Databases, and what kdzoo score reads."""

from __future__ import annotations

from broken_inputs.rows import CHECK, DATABASE, DRY_SPIDER, SCORE, all_of, cut, remove, row, write

for command in (CHECK, DRY_SPIDER):
    row(f"{command[:4]}: a torn database", command, DATABASE, break_=cut(DATABASE), code=1)
    row(
        f"{command[:4]}: no database",
        command,
        DATABASE,
        "is not a database",
        break_=write(DATABASE, "x" * 5000),
        code=1,
    )
row(
    "a database that is gone",
    CHECK,
    "train_spider.json: entry 0",
    "shop",
    break_=remove("spider/database/shop"),
)
row(
    "a folder for a database",
    CHECK,
    "entry 0",
    "shop",
    break_=all_of(remove(DATABASE), lambda world: (world / DATABASE).mkdir()),
)
row(
    "fuzz of no database",
    "data fuzz spider/database --questions spider/dev.json --out suite",
    DATABASE,
    break_=write(DATABASE, "x" * 5000),
    code=1,
)

row(
    "score: no questions file",
    SCORE,
    "spider/dev.json: there is no such file",
    break_=remove("spider/dev.json"),
)
row("score: torn questions", SCORE, "spider/dev.json:", "not valid JSON", break_=cut("spider/dev.json"))
row(
    "score: no predictions", SCORE, "predictions.sql: there is no such file", break_=remove("predictions.sql")
)
row(
    "score: too few predictions",
    SCORE,
    "predictions.sql: ",
    "3",
    break_=write("predictions.sql", "SELECT 1\n"),
)
row(
    "score: predictions in another encoding",
    SCORE,
    "predictions.sql:1: not UTF-8 text",
    break_=write("predictions.sql", b"\xff\n" * 3),
)
row(
    "score: no database",
    SCORE,
    "no gold query runs",
    "shop.sqlite",
    break_=write(DATABASE, "x" * 5000),
    code=1,
)
row(
    "score: no folder of databases",
    SCORE,
    "spider/database: there is no such folder",
    break_=remove("spider/database"),
)
