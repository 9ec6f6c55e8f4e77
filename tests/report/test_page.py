"""The page of a comparison: what it says, that nothing in it is executed, and how Chromium shows it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browser import CHROMIUM, Browser
from made_runs import EVALUATE, FINETUNE, HEAD, SFT, MadeRun, kid

from kdzoo.errors import RunError
from kdzoo.report.comparison import Comparison, compare
from kdzoo.report.page import page, write_page
from kdzoo.report.runs_read import read_runs

HOSTILE = "</script><script>alert('{n}')</script><img src=x onerror=alert(1)>\" & {model}"
ALPHAS = (0.1, 0.2, 0.3)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """A sweep of three values and two seeds, whose questions and queries are hostile."""
    parent = tmp_path_factory.mktemp("runs")
    random = np.random.default_rng(0)

    def answers(share: float) -> dict[str, Any]:
        return {"embedded": {"ex": (random.random(60) < share).astype(float).tolist()}}

    def logs(method: str) -> list[dict[str, Any]]:
        more = {"agreement": 0.5} if method == "kid" else {}
        lines = [{"step": step, "loss": 3.0 / step, **more} for step in range(1, 30)]
        return [*lines, {"step": 29, "set": "embedded", "examples": 20, "scores": {"ex": 0.25}}]

    folders = []
    for seed in (0, 1):
        shared = {"sft": answers(0.3), "teacher": answers(0.9)}
        for alpha in ALPHAS:
            run = MadeRun(
                [FINETUNE, SFT, kid(alpha), EVALUATE],
                {**shared, "kid": answers(0.4 + alpha)},
                {
                    name: {"step_seconds": s, "peak_memory_bytes": 5 << 28}
                    for name, s in (("sft", 0.2), ("kid", 0.3))
                },
                details={"kid": {"exaccerr": {"score": 20.0, "curve": [None, 10.0, 20.0]}}},
                logs={"sft": logs("sft"), "kid": logs("kid")},
                fingerprints={"sft": f"sft-{seed}", "finetune": f"teacher-{seed}"},
                seed=seed,
                question=HOSTILE.replace("{model}", ""),
                gold=HOSTILE,
                prediction=HOSTILE,
            )
            folders.append(run.write(parent / f"run-{seed}-{alpha}"))
    return folders


@pytest.fixture(scope="module")
def comparison(folders: list[Path]) -> Comparison:
    return compare(read_runs(folders))


@pytest.fixture(scope="module")
def file(comparison: Comparison, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("page") / "page.html"
    write_page(file, comparison)
    return file


class Elements(HTMLParser):
    """All elements and the text of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.names: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.texts: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def table(text: str, name: str) -> list[list[str]]:
    """The cells of a table, without what draws a row's line."""
    inner = re.search(rf'<table id="{name}">(.*?)</table>', text, re.DOTALL)
    assert inner is not None
    cells = re.sub(r"<svg.*?</svg>", "", inner[1], flags=re.DOTALL)
    rows = re.findall(r"<tr>(.*?)</tr>", cells, re.DOTALL)
    return [[re.sub("<[^>]*>", "", cell) for cell in re.findall(r"<t[hd].*?</t[hd]>", row)] for row in rows]


class TestWhatItSays:
    def test_the_figures_are_those_of_scores_json(self, file: Path, folders: list[Path]) -> None:
        heading, *rows = table(file.read_text(), "models")
        assert heading[:3] == ["model", "EX", "ExAccErr"]
        shown = {row[0]: dict(zip(heading, row, strict=True)) for row in rows}
        measured: dict[str, list[float]] = {}
        for folder in folders:
            scores = json.loads((folder / "evaluate" / "scores.json").read_text())
            for model, result in scores.items():
                label = f"kid, alpha = {folder.name[-3:]}" if model == "kid" else model
                measured.setdefault(label, []).append(result["sets"]["embedded"]["scores"]["ex"])
        assert list(shown) == ["teacher", "sft", *(f"kid, alpha = {alpha}" for alpha in ALPHAS)]
        for label, row in shown.items():
            mean = sum(measured[label]) / len(measured[label])
            assert row["EX"].startswith(f"{100 * mean:.1f}% [")
            assert row["seeds"] == "2"
        assert shown["kid, alpha = 0.1"]["relative to SFT"] == "1.50"
        assert shown["kid, alpha = 0.1"]["ExAccErr"] == "20.0%"
        assert shown["kid, alpha = 0.1"]["peak memory"] == "1.2 GiB"

    def test_differences_have_their_tests(self, file: Path, comparison: Comparison) -> None:
        heading, *rows = table(file.read_text(), "tests")
        assert heading == ["model", "score", "points", "verdict", "p", "questions", "test"]
        assert len(rows) == comparison.tests == 3
        assert {row[6] for row in rows} == {"sign-flip permutation test"}

    def test_every_picture_is_there_with_its_title(self, file: Path) -> None:
        titles = re.findall(
            r"<figure>\s*<h3>(.*?)</h3>\s*<svg role=\"img\".*?><title>(.*?)</title>", file.read_text()
        )
        assert all(heading == title for heading, title in titles)
        assert [title for _, title in titles] == [
            "EX against cost",
            "EX of kid over alpha",
            "EX while training",
            "Loss while training",
            "Agreement of student and teacher",
            "ExAccErr over length",
        ]

    def test_questions_that_one_model_gets_are_told_and_counted(self, file: Path) -> None:
        summaries = re.findall(r"<summary>(.*?)</summary>", file.read_text())
        assert re.fullmatch(r"kid, alpha = 0.1 right, sft wrong: \d+ questions? \(EX\)", summaries[0])
        assert re.fullmatch(r"sft right, kid, alpha = 0.1 wrong: \d+ questions? \(EX\)", summaries[1])

    def test_what_is_unfinished_or_damaged_is_told(self, tmp_path: Path) -> None:
        run = MadeRun(
            [SFT, EVALUATE],
            logs={"sft": [{"step": 1, "loss": 1.0}]},
            unfinished=["evaluate"],
            status="failed",
        )
        folder = run.write(tmp_path / "r")
        (folder / "sft" / "metrics.jsonl").write_text('{"step": 1, "loss": 2.0}\n{"st\n')
        text = page(compare(read_runs([folder])))
        assert "failed; not finished: evaluate" in text
        assert "metrics.jsonl:2: not valid JSON" in text
        assert "not evaluated" in text

    def test_runs_have_their_seeds(self, tmp_path: Path) -> None:
        made = [MadeRun([SFT, EVALUATE], seed=4), MadeRun([SFT, EVALUATE], head=f"student_seed = 7\n{HEAD}")]
        text = page(compare(read_runs([run.write(tmp_path / f"r{n}") for n, run in enumerate(made)])))
        assert [row[2] for row in table(text, "runs")] == ["seed", "4", "0 (students 7)"]

    def test_a_long_list_is_cut_and_that_is_told(self, tmp_path: Path) -> None:
        answers = {"sft": {"embedded": {"ex": [0.0] * 40}}, "kid": {"embedded": {"ex": [1.0] * 40}}}
        text = page(compare(read_runs([MadeRun([SFT, kid(0.1), EVALUATE], answers).write(tmp_path / "r")])))
        assert "The first 25 of 40" in text
        assert text.count('<div class="question">') == 25

    def test_a_long_answer_is_cut(self, tmp_path: Path) -> None:
        answers = {"sft": {"embedded": {"ex": [0.0]}}, "kid": {"embedded": {"ex": [1.0]}}}
        run = MadeRun([SFT, kid(0.1), EVALUATE], answers, prediction="word " * 10_000).write(tmp_path / "r")
        assert max(map(len, Elements(page(compare(read_runs([run])))).texts)) < 5000


class TestSafety:
    def test_what_models_and_data_say_is_text(self, file: Path) -> None:
        found = Elements(file.read_text())
        assert "script" not in found.names
        assert "img" not in found.names
        assert not [name for name, _ in found.attributes if name.startswith("on")]
        assert any(HOSTILE.format(n=n, model="kid") in found.texts for n in range(60))

    def test_it_refers_to_nothing_outside(self, file: Path) -> None:
        found = Elements(file.read_text())
        for name, value in found.attributes:
            if name in ("src", "href", "xlink:href", "action", "srcset"):
                assert value is not None
                assert value.startswith("#") or value == "data:,"
        assert "@import" not in file.read_text()

    def test_settings_are_text_too(self, tmp_path: Path) -> None:
        head = HEAD.replace('path = "s"', 'path = "<b onclick=x>{}$x_"')
        runs = [
            MadeRun([SFT, EVALUATE], {"sft": {"embedded": {"ex": [1, 0]}}}, head=head.replace("{}", n))
            for n in "abc"
        ]
        folders = [run.write(tmp_path / f"r{n}") for n, run in enumerate(runs)]
        found = Elements(page(compare(read_runs(folders))))
        assert "b" not in found.names
        assert any("<b onclick=x>a$x_" in text for text in found.texts)


def test_the_same_runs_give_the_same_page(folders: list[Path], file: Path) -> None:
    assert page(compare(read_runs(folders))) == file.read_text()


def test_a_page_that_cannot_be_written_is_told_and_leaves_what_was_there(
    comparison: Comparison, tmp_path: Path
) -> None:
    with pytest.raises(RunError, match="cannot be written: No such file or directory"):
        write_page(tmp_path / "absent" / "page.html", comparison)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium")
class TestInChromium:
    @pytest.fixture(scope="class")
    def browser(self, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
        browser = Browser(tmp_path_factory.mktemp("profile"))
        yield browser
        browser.close()

    @pytest.mark.parametrize("width", [1280, 390])
    @pytest.mark.parametrize("dark", [False, True])
    def test_it_opens_without_a_word_and_asks_for_nothing(
        self, browser: Browser, file: Path, width: int, dark: bool
    ) -> None:
        browser.open(file, width=width, dark=dark)
        told = (
            "Log.entryAdded",
            "Runtime.consoleAPICalled",
            "Runtime.exceptionThrown",
            "Page.javascriptDialogOpening",
        )
        assert [event for event in browser.events if event.get("method") in told] == []
        requests = [
            e["params"]["request"]["url"]
            for e in browser.events
            if e.get("method") == "Network.requestWillBeSent"
        ]
        assert [url for url in requests if not url.startswith("data:")] == [file.as_uri()]

    @pytest.mark.parametrize("width", [1280, 390])
    def test_nothing_is_wider_than_the_screen_and_pictures_stand_side_by_side_where_there_is_room(
        self, browser: Browser, file: Path, width: int
    ) -> None:
        browser.open(file, width=width)
        browser.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
        assert browser.evaluate("innerWidth") == width
        assert browser.evaluate("document.documentElement.scrollWidth") <= width
        rows = browser.evaluate(
            "new Set([...document.querySelectorAll('figure')].map(f => f.offsetTop)).size"
        )
        assert rows == (2 if width == 1280 else 6)

    def test_pictures_have_axes_with_labels_that_can_be_read_on_a_phone(
        self, browser: Browser, file: Path
    ) -> None:
        browser.open(file, width=390)
        texts = browser.evaluate(
            "[...document.querySelectorAll('figure svg[role=img]')].map(s => [...s.querySelectorAll('text')]"
            ".map(t => [t.textContent, t.getBoundingClientRect().height]))"
        )
        labels = [("median time of a step (relative to the SFT student)", "EX (%)"), ("alpha", "EX (%)")]
        for of, (x_label, y_label) in zip(texts, labels, strict=False):
            words = [word for word, _ in of]
            assert {x_label, y_label} <= set(words)
            assert sum(bool(re.fullmatch(r"[\d.−]+", word)) for word in words) >= 4
        assert min(height for of in texts for _, height in of) >= 9

    @pytest.mark.parametrize("dark", [False, True])
    def test_text_in_pictures_has_the_page_s_colour(self, browser: Browser, file: Path, dark: bool) -> None:
        browser.open(file, dark=dark)
        colours = browser.evaluate(
            "[document.body, document.querySelector('figure svg text'), document.querySelector('figure')]"
            ".map((e, n) => getComputedStyle(e)[['color', 'fill', 'backgroundColor'][n]])"
        )
        text, label, ground = ([int(c) for c in re.findall(r"\d+", colour)[:3]] for colour in colours)
        assert label == text
        assert abs(sum(text) - sum(ground)) > 3 * 150
        assert (sum(ground) < 3 * 60) == dark
