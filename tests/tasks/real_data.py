"""Real data where it lies, and databases that are built under its schemas."""

import json
import os
import random
import shutil
import sqlite3
from pathlib import Path

import pytest

from kdzoo.tasks.sql.fuzz.constants import constants_of
from kdzoo.tasks.sql.fuzz.random_database import write_random_database
from kdzoo.tasks.sql.fuzz.schema import read_schema

REPOSITORY = Path(__file__).resolve().parents[2]
ROOT = Path(os.environ.get("KDZOO_DATA", REPOSITORY / ".." / "shared" / "data"))


def spider_folder():
    """The real Spider data; a test without it is skipped."""
    path = ROOT / "spider"
    if not path.is_dir():
        pytest.skip(f"the Spider data is not at {path}; KDZOO_DATA names the folder that holds spider/")
    return path


def bird_folder():
    """BIRD's real mini dev set, without contents; a test without it is skipped."""
    path = ROOT / "bird_mini_dev"
    if not path.is_dir():
        pytest.skip(f"BIRD's mini dev set is not at {path}; KDZOO_DATA names the folder that holds it")
    return path


def build_mini_dev(bird, root):
    """Write the mini dev set below ``root`` in the official layout; random rows under the official schemas."""
    dev = root / "dev"
    dev.mkdir()
    shutil.copy(bird / "mini_dev_sqlite.json", dev / "dev.json")
    shutil.copy(bird / "mini_dev_sqlite_tables.json", dev / "dev_tables.json")
    questions = json.loads((dev / "dev.json").read_text(encoding="utf-8"))
    for schema in json.loads((dev / "dev_tables.json").read_text(encoding="utf-8")):
        name = schema["db_id"]
        place = dev / "dev_databases" / name
        described = bird / "dev_databases" / name / "database_description"
        shutil.copytree(described, place / "database_description")
        _write_schema(schema, root / "empty.sqlite")
        constants = constants_of(q["SQL"] for q in questions if q["db_id"] == name)
        write_random_database(
            place / f"{name}.sqlite", read_schema(root / "empty.sqlite"), constants, random.Random(1)
        )
    return root


def _write_schema(schema, path):
    path.unlink(missing_ok=True)
    with sqlite3.connect(path) as connection:
        for number, table in enumerate(schema["table_names_original"]):
            columns = [
                f'"{column}" {kind}'
                for (owner, column), kind in zip(
                    schema["column_names_original"], schema["column_types"], strict=True
                )
                if owner == number
            ]
            connection.execute(f'CREATE TABLE "{table}" ({", ".join(columns)})')
    connection.close()
