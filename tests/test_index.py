"""The page to open: whole by itself, escaped, and the same when made again."""

import base64
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest

from retrace.plan.layout import INDEX, collection_folder, run_folder, split_folder
from retrace.plan.plan import Plan
from retrace.report import figures, index
from retrace.report.outcome import run_label
from retrace.report.wording import MINUS
from small_plan import HOSTILE, count, first, plant, small_plan, write
from store import write_page

REPOSITORY = Path(__file__).parents[1]
GENERATOR = {
    "kind": "appearance",
    "seed": 1,
    "frames": [8, 8],
    "width": 32,
    "height": 32,
    "fps": [30],
    "clutter": 0,
}
VOID = {"meta", "img", "br", "hr", "link", "input"}


class Page(HTMLParser):
    """The tags of a page, in order and balanced, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict]] = []
        self.open: list[str] = []
        self.said: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.said.append(data)

    def all(self, tag: str) -> list[dict]:
        return [attributes for name, attributes in self.tags if name == tag]

    def text(self) -> str:
        return " ".join(" ".join(self.said).split())


def rendered(plan: Plan) -> str:
    index.render(plan)
    return (plan.root / INDEX.format(scale=plan.scale)).read_text()


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    plan = small_plan(tmp_path)
    plant(plan, lambda run, domain: first(0.5 if domain == "home" else 0.25))
    count(plan, 1000, 2_500_000_000)
    for run in plan.runs.values():
        write(plan, run, "spec.json", {})
    return plan


def test_the_page_shows_numbers_verdicts_claims_and_scale(plan):
    page = Page(rendered(plan))
    assert page.open == []
    text = page.text()
    assert "Scale paper: Full size. As printed." in text
    assert "1,000 (1,000) match" in text
    assert f"below {MINUS}1" in text and "a misprint" in text
    assert "undecided" in text and "The ConvLSTM is better away from home." in text
    assert "12 points as numbers" in text
    assert "a schematic" in text


def test_the_summary_counts_every_cell_once(plan):
    found = Page(rendered(plan))
    row = re.search(r'<tr><th><a href="#mini">.*?</tr>', rendered(plan), re.S).group()
    numbers = [int(n) for n in re.findall(r">(\d+)<", row)]
    cells = sum(len(plan.cells("mini", key)) for key in plan.papers["mini"].tables)
    assert sum(numbers) == cells
    assert "18 of 18" in found.text()


def test_it_needs_nothing_but_itself(plan):
    figures.render(plan, "mini", "figure-1")
    sheet = plan.root / split_folder(next(iter(plan.splits.values()))) / "contact-sheet.png"
    sheet.parent.mkdir(parents=True)
    drawn = (plan.root / "results/paper/figures/mini/figure-1.png").read_bytes()
    sheet.write_bytes(drawn)
    page = Page(rendered(plan))
    sources = [image["src"] for image in page.all("img")]
    assert len(sources) == 2 and all(source.startswith("data:image/png;base64,") for source in sources)
    assert base64.b64decode(sources[0].partition(",")[2]) == drawn
    assert not page.all("script") and not page.all("link")
    assert "url(" not in rendered(plan) and "@import" not in rendered(plan)


def test_numbers_link_to_what_made_them(plan):
    page = Page(rendered(plan))
    links = [a["href"] for a in page.all("a") if "train.json" in a["href"]]
    assert links
    for href in links:
        assert (plan.root / "results/paper" / href).resolve().is_file()
    assert "../costs/mini.json" in [a["href"] for a in page.all("a")]
    assert any("retrace why mini/table-1 cnn3d home" in a.get("title", "") for a in page.all("a"))
    anchors = {attributes["id"] for _, attributes in page.tags if "id" in attributes}
    inside = {a["href"][1:] for a in page.all("a") if a["href"].startswith("#")}
    assert inside <= anchors


def test_text_from_outside_stays_text(tmp_path):
    def change(paper):
        paper.update(title=HOSTILE, short=HOSTILE, authors=HOSTILE, text=HOSTILE, arxiv='"><script>')
        for item in (*paper["tables"].values(), *paper["figures"].values()):
            item.update(title=HOSTILE, place=HOSTILE, note=HOSTILE, number=HOSTILE)
        paper["tables"]["table-1"]["rows"][0].update(label=HOSTILE, note=HOSTILE)
        paper["tables"]["table-1"]["columns"][2].update(label=HOSTILE, not_run=HOSTILE)
        paper["figures"]["figure-1"]["panels"][0]["label"] = HOSTILE
        for claim in paper["claims"].values():
            claim.update(says=HOSTILE, place=HOSTILE)

    plan = small_plan(tmp_path, change=change)
    plant(plan, lambda run, domain: first(0.5))
    run = next(iter(plan.runs.values()))
    write(plan, run, "failure.json", {"reason": HOSTILE})
    write(plan, run, "env.json", {"gpu": HOSTILE})
    published(plan, hardware=HOSTILE)
    page = Page(rendered(plan))
    assert not page.all("script") and page.open == []
    assert page.text().count("<script>alert('x')</script>") > 10


def published(plan: Plan, hardware: str) -> None:
    line = {"run": run_label(next(iter(plan.runs.values()))), "view": "both", "domain": "home", "top1": 91.5}
    line |= {"n": 1000, "hardware": hardware, "hours": 1.25, "commit": "c0ffee", "date": "2030-01-01"}
    path = plan.root / "results/published/mini.csv"
    path.parent.mkdir(parents=True)
    pd.DataFrame([line]).to_csv(path, index=False)


def test_runs_on_record_are_shown_with_hardware_and_hours(plan):
    published(plan, "one big GPU")
    text = Page(rendered(plan)).text()
    assert "On record at full size" in text and "one big GPU" in text and "1.25" in text and "91.5" in text


def test_failed_runs_are_told(plan):
    run = next(iter(plan.runs.values()))
    write(plan, run, "failure.json", {"reason": "out of memory"})
    (plan.root / run_folder(run) / "train.json").unlink()
    assert "failed: out of memory" in Page(rendered(plan)).text()


def test_without_any_result_the_page_says_what_is_missing(tmp_path):
    text = Page(rendered(small_plan(tmp_path))).text()
    assert "no scores yet" in text and "Not made yet." in text and "0 of 18" in text


def test_the_page_of_all_papers_renders_without_any_result(tmp_path):
    plan = Plan(REPOSITORY, "demo")
    plan.root = tmp_path
    page = Page(rendered(plan))
    assert page.open == []
    for paper in plan.papers.values():
        assert paper.title in page.text()


def test_rendering_twice_gives_the_same_bytes(plan):
    assert rendered(plan) == rendered(small_plan(plan.root))


def test_prepared_videos_are_shown_with_their_counts_and_losses(plan):
    write_page(plan.root, generator=GENERATOR, title=HOSTILE)
    write_page(plan.root, "real", title="Real videos")
    (plan.root / "scales/paper.yaml").write_text(
        "title: t\nsays: s\ncomparable: true\nstand_ins: {real: tiny}\n"
    )
    again = Plan(plan.root, "paper")
    assert "Not made yet" in rendered(again)
    folder = again.root / collection_folder(again.collections["tiny"])
    folder.mkdir(parents=True)
    splits = {"train": {"kept": 7}, "val": {"kept": 3}}
    (folder / "audit.json").write_text(json.dumps({"splits": splits, "bytes": 2_500_000, "lost": [{}, {}]}))
    page = Page(rendered(again))
    said = " ".join(page.text().split())
    assert f"{HOSTILE} , in place of Real videos" in said.replace(f"{HOSTILE},", f"{HOSTILE} ,")
    assert "train 7 of 9 videos (printed: 10), val 3 of 3 videos" in said
    assert "2.5 MB as stored, 2 lost" in said
    assert not page.all("script")
