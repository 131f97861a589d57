"""Official annotations: what is read from sound ones, and how unsound ones are turned down."""

import json

import pytest

from official import DIVES, DIVING, HEADER, KINETICS, V2, write
from retrace.data.sources.entry import Entry
from retrace.data.sources.read import check_labels, entries
from retrace.errors import UserError


def read(tmp_path, form, content, split="train", classes=(), name=None):
    name = name or {"something-v2": "a__json", "diving48": "a__json"}.get(form, "a__csv")
    write(tmp_path, **{name: content})
    return list(entries(form, tmp_path / name.replace("__", "."), split, classes))


def refusal(tmp_path, form, content, **options) -> str:
    with pytest.raises(UserError) as error:
        read(tmp_path, form, content, **options)
    return str(error.value)


# --- what sound files say


def test_kinetics_rows_are_read_by_the_names_of_the_columns(tmp_path):
    text = 'split,time_end,label,time_start,youtube_id\ntrain,17,"air drumming, ""live""",7,-3B32lodo2M\n'
    found = read(tmp_path, "kinetics", text)
    assert found == [Entry("-3B32lodo2M_000007_000017", "-3B32lodo2M", KINETICS[1], 7.0, 17.0, 2)]


def test_kinetics_labels_keep_quotes_commas_and_brackets(tmp_path):
    text = (
        HEADER
        + "passing American football (in game),aaaaaaaaaaa,0,10,train,0\nperson's head,b,1,2.5,train,0\n"
    )
    assert [entry.label for entry in read(tmp_path, "kinetics", text)] == [KINETICS[2], KINETICS[3]]


def test_a_kinetics_test_split_may_lack_labels(tmp_path):
    bare = read(tmp_path, "kinetics", "youtube_id,time_start,time_end,split\nx,1,2,test\n", split="test")
    blank = read(tmp_path, "kinetics", "label,youtube_id,time_start,time_end\n,x,1,2\n", split="test")
    assert [entry.label for entry in bare + blank] == [None, None]


@pytest.mark.parametrize("word", ["val", "validate", "holdout", ""])
def test_a_kinetics_validation_split_goes_by_several_names(tmp_path, word):
    text = f"label,youtube_id,time_start,time_end,split\na,x,1,2,{word}\n"
    assert len(read(tmp_path, "kinetics", text, split="val")) == 1


def test_something_v1_lines_are_id_and_class(tmp_path):
    found = read(tmp_path, "something-v1", f"100218;{V2[0]}\r\n24413;{V2[1]}\r\n")
    assert found == [
        Entry("100218", "100218", V2[0], None, None, 1),
        Entry("24413", "24413", V2[1], None, None, 2),
    ]
    assert [e.label for e in read(tmp_path, "something-v1", "1\n2\n", split="test")] == [None, None]


def test_something_v2_class_is_the_template_without_brackets(tmp_path):
    row = {
        "id": "78687",
        "label": "holding potato",
        "template": "Holding [something]",
        "placeholders": ["potato"],
    }
    assert read(tmp_path, "something-v2", [row]) == [Entry("78687", "78687", V2[1], None, None, 1)]


def test_something_v2_test_split_has_ids_alone_or_the_answers(tmp_path):
    bare = read(tmp_path, "something-v2", [{"id": "1420"}], split="test")
    answered = read(tmp_path, "something-v2", f"1420;{V2[2]}\n", split="test", name="answers__csv")
    assert (bare[0].label, answered[0].label) == (None, V2[2])
    assert bare[0].id == answered[0].id == "1420"


def test_moments_id_is_the_path_without_its_extension(tmp_path):
    found = read(tmp_path, "moments", "clapping/flickr-0-1.2_3.mp4,clapping,3,0\n")
    assert found == [Entry("clapping/flickr-0-1.2_3", "clapping/flickr-0-1.2_3", "clapping", None, None, 1)]


def test_diving48_label_is_an_index_and_its_times_are_frames(tmp_path):
    row = {"vid_name": "_8Vy3dlHg2w_00000", "label": 1, "start_frame": 0, "end_frame": 85}
    found = read(tmp_path, "diving48", [row, {"vid_name": 7, "label": 0}], classes=DIVING)
    assert found[0] == Entry("_8Vy3dlHg2w_00000", "_8Vy3dlHg2w_00000", DIVING[1], 0.0, 85.0, 1)
    assert found[1] == Entry("7", "7", DIVING[0], None, None, 2)


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\n\n"])
def test_byte_order_marks_line_ends_and_empty_lines_change_nothing(tmp_path, mark, end):
    text = end.join([HEADER.strip(), "a,x,1,2,train,0", "b,y,3,4,train,0"])
    found = read(tmp_path, "kinetics", mark + text.encode())
    assert [(entry.label, entry.id) for entry in found] == [
        ("a", "x_000001_000002"),
        ("b", "y_000003_000004"),
    ]
    number = [{"id": 5, "template": "T"}]
    assert read(tmp_path, "something-v2", mark + json.dumps(number).encode())[0].id == "5"


# --- what unsound files are told

ROW = "a,x,1,2,train,0\n"
CSV_MISTAKES = {
    "empty": ("", "line 1: expected a header with one column 'label', got an empty file"),
    "header only": (HEADER, "lists no video of train"),
    "no header": (ROW, "expected a header with one column 'label'"),
    "column twice": ("label,label,youtube_id,time_start,time_end\n", "one column 'label'"),
    "too few columns": (HEADER + ROW + "a,x,1\n", "line 3: expected the 6 columns of the header, got 3"),
    "too many columns": (
        HEADER + "a, b,x,1,2,train,0\n",
        "line 2: expected the 6 columns of the header, got 7",
    ),
    "no number": (HEADER + "a,x,soon,2,train,0\n", "line 2: expected a number of at least 0 as 'time_start'"),
    "not a number": (HEADER + "a,x,1,nan,train,0\n", "'time_end', got 'nan'"),
    "infinity": (HEADER + "a,x,1,inf,train,0\n", "'time_end', got 'inf'"),
    "negative": (HEADER + "a,x,-1,2,train,0\n", "'time_start', got '-1'"),
    "NUL in a number": (HEADER + "a,x,1\0,2,train,0\n", r"'time_start', got '1\x00'"),
    "ends first": (HEADER + "a,x,9,2,train,0\n", "line 2: time_end 2 is before time_start 9"),
    "another split": (HEADER + "a,x,1,2,test,0\n", "line 2: expected a video of train, the row says 'test'"),
    "open quote": (HEADER + ROW + '"a,x,1,2,train,0\n' + ROW, "line 3: expected a row of a CSV file"),
    "quote over lines": (
        HEADER + 'a,"x\ny",1,2,train,0\n',
        "line 2: a quote opens here and closes on line 3",
    ),
    "quote and more": (HEADER + '"a"b,x,1,2,train,0\n', "line 2: expected a row of a CSV file"),
    "latin-1": ((HEADER + ROW).encode() + b"caf\xe9,x,1,2,train,0\n", "line 3: expected UTF-8 text"),
    "utf-16": ((HEADER + ROW).encode("utf-16"), "line 1: expected UTF-8 text"),
    "a video": (b"\x1aE\xdf\xa3\x9fB\x86\x81\x01" * 99, "line 1: expected UTF-8 text"),
    "long line": (HEADER + "a" * (1 << 20) + ROW, "line 2: the line has more than 1048576 characters"),
    "long field": (HEADER + "a" * (1 << 18) + ROW, "line 2: expected a row of a CSV file (field larger"),
}


@pytest.mark.parametrize("content,told", CSV_MISTAKES.values(), ids=CSV_MISTAKES.keys())
def test_a_csv_file_that_is_not_kinetics_is_refused_with_its_line(tmp_path, content, told):
    message = refusal(tmp_path, "kinetics", content)
    assert told in message and message.startswith(str(tmp_path / "a.csv")) and len(message) < 400


def test_one_bad_row_is_found_among_many(tmp_path):
    lines = [f"a,v{i},1,2,train,0" for i in range(100_000)]
    lines[76_543] = "a,v,1,2,train"
    message = refusal(tmp_path, "kinetics", HEADER + "\n".join(lines))
    assert "line 76545: expected the 6 columns of the header, got 5" in message


def test_text_that_is_not_utf8_is_placed_exactly_however_far_the_decoder_has_read(tmp_path):
    lines = [b"a,v%d,1,2,train,0" % i for i in range(9_000)]
    lines[4_321] = b"\xff,v,1,2,train,0"
    assert "line 4323: expected UTF-8" in refusal(tmp_path, "kinetics", HEADER.encode() + b"\n".join(lines))


JSON_MISTAKES = {
    "empty": ("", "expected JSON"),
    "no video": ("[]", "lists no video of train"),
    "object for list": ("{}", "expected a list, got an object"),
    "number for list": ("7", "expected a list, got 7"),
    "null": ("null", "expected a list, got nothing"),
    "text for object": ('[{"id": 1, "template": "T"}, "x"]', "entry 2: expected an object, got 'x'"),
    "no id": (
        '[{"template": "T"}]',
        "entry 1: expected an id under 'id', text or a whole number, got nothing",
    ),
    "fraction": ('[{"id": 1.5, "template": "T"}]', "whole number, got 1.5"),
    "truth": ('[{"id": true, "template": "T"}]', "whole number, got true"),
    "list for id": ('[{"id": ["1"], "template": "T"}]', "whole number, got a list"),
    "no template": ('[{"id": 1}]', "entry 1: expected text under 'template', got nothing"),
    "number for text": ('[{"id": 1, "template": 3}]', "expected text under 'template', got 3"),
    "NaN": ('[{"id": NaN, "template": "T"}]', "expected JSON (NaN is no number)"),
    "huge number": ('[{"id": ' + "9" * 5000 + "}]", "expected JSON (Exceeds the limit"),
    "deep": ("[" * 100_000, "expected JSON (maximum recursion depth exceeded"),
    "two documents": ('[{"id": 1, "template": "T"}]\n[]', "line 2, column 1: expected JSON (Extra data)"),
    "latin-1": (b'[{"id": 1,\n "template": "caf\xe9"}]', "line 2: expected UTF-8"),
}


@pytest.mark.parametrize("content,told", JSON_MISTAKES.values(), ids=JSON_MISTAKES.keys())
def test_a_json_file_that_is_not_something_v2_is_refused(tmp_path, content, told):
    message = refusal(tmp_path, "something-v2", content)
    assert told in message and message.startswith(str(tmp_path / "a.json")) and len(message) < 400


def test_a_json_file_cut_anywhere_is_refused(tmp_path):
    whole = json.dumps([{"id": "1", "template": "[T]", "placeholders": ["a"]}, {"id": 2, "template": "T"}])
    for end in range(len(whole)):
        message = refusal(tmp_path, "something-v2", whole[:end])
        assert "expected JSON" in message and message.endswith("is it cut off here?")


@pytest.mark.parametrize(
    "fields,told",
    [
        ({"vid_name": "x"}, "entry 1: expected a whole number under 'label', got nothing"),
        ({"vid_name": "x", "label": "1"}, "'label', got '1'"),
        ({"vid_name": "x", "label": False}, "'label', got false"),
        (
            {"vid_name": "x", "label": 1, "end_frame": "9"},
            "entry 1: expected a whole number under 'end_frame'",
        ),
        (
            {"vid_name": "x", "label": 1, "start_frame": -1},
            "expected a number of at least 0 as 'start_frame'",
        ),
        ({"vid_name": "x", "label": 1, "start_frame": 10**400}, "expected a number of at least 0"),
        ({"vid_name": None, "label": 1}, "expected an id under 'vid_name'"),
    ],
)
def test_a_json_file_that_is_not_diving48_is_refused(tmp_path, fields, told):
    assert told in refusal(tmp_path, "diving48", [fields], classes=DIVING)


@pytest.mark.parametrize("label", [-1, 3, 48])
def test_a_diving48_index_without_a_class_is_no_class_of_the_list(tmp_path, label):
    found = read(tmp_path, "diving48", [{"vid_name": "x", "label": label}], classes=DIVING)
    assert found[0].label not in DIVING


@pytest.mark.parametrize(
    "form,content,told",
    [
        (
            "moments",
            "clapping/a.mp4,clapping,3\n",
            "line 1: expected 'file,class,agree,disagree', got 3 columns",
        ),
        (
            "moments",
            "clapping/a.mp4,clapping,3,many\n",
            "line 1: expected a number of at least 0 as 'disagree'",
        ),
        ("something-v1", "1;a\n2\n", "line 2: expected 'id;class', got 1 parts between semicolons"),
        ("something-v1", "1;a;b\n", "line 1: expected 'id;class', got 3 parts"),
        ("something-v1", "", "lists no video of train"),
    ],
)
def test_other_csv_files_are_refused_with_their_line(tmp_path, form, content, told):
    assert told in refusal(tmp_path, form, content)


def test_a_folder_in_the_place_of_an_annotation_is_refused(tmp_path):
    (tmp_path / "a.csv").mkdir()
    with pytest.raises(UserError, match="cannot be read: Is a directory"):
        list(entries("kinetics", tmp_path / "a.csv", "train", ()))


# --- the publisher's own lists of labels


def checked(tmp_path, form, content, classes):
    write(tmp_path, labels=content)
    check_labels(form, tmp_path / "labels", tuple(classes))


LABELS = {
    "something-v1": ("\n".join(V2) + "\n", V2),
    "something-v2": ({V2[2]: "2", V2[0]: "0", V2[1]: 1}, V2),
    "moments": ("clapping,1\nadult+female+singing,0\n", ("adult+female+singing", "clapping")),
    "diving48": ([list(parts) for parts in DIVES], DIVING),
}


@pytest.mark.parametrize("form", LABELS)
def test_labels_that_agree_pass_and_another_order_is_refused_at_the_first_difference(tmp_path, form):
    content, classes = LABELS[form]
    checked(tmp_path, form, content, classes)
    with pytest.raises(UserError) as error:
        checked(tmp_path, form, content, [*classes[:-2], classes[-1], classes[-2]])
    assert f"label {len(classes) - 2} is {classes[-2]!r}" in str(error.value)
    assert f"has {classes[-1]!r}. The classes are the same, the order is not" in str(error.value)


def test_a_class_more_or_less_is_refused(tmp_path):
    content, classes = LABELS["diving48"]
    with pytest.raises(UserError, match="label 3 is nothing, the page's class list has 'more'"):
        checked(tmp_path, "diving48", content, [*classes, "more"])
    with pytest.raises(
        UserError, match="label 2 is 'Forward_Dive_NoTwis_PIKE', the page's class list has nothing"
    ):
        checked(tmp_path, "diving48", content, classes[:-1])


def test_the_classes_of_kinetics_are_in_alphabetical_order():
    check_labels("kinetics", None, tuple(sorted(KINETICS)))
    with pytest.raises(
        UserError, match=r"alphabetical order.*: label 0 is 'a', the page's class list has 'b'"
    ):
        check_labels("kinetics", None, ("b", "a"))


@pytest.mark.parametrize(
    "form,content,told",
    [
        ("something-v2", {"a": "0", "b": "0"}, "expected the indices 0 to 1, each once; 'b' has '0'"),
        ("something-v2", {"a": "0", "b": "2"}, "'b' has '2'"),
        ("something-v2", {"a": "zero"}, "'a' has 'zero'"),
        ("something-v2", {"a": True}, "'a' has true"),
        ("something-v2", {"a": 0.0}, "'a' has 0.0"),
        ("something-v2", {"a": "²"}, "'a' has '²'"),
        ("something-v2", {"a": [0]}, "'a' has a list"),
        ("something-v2", ["a"], "expected an object, got a list"),
        ("moments", "a,b,0\n", "line 1: expected 'class,index', got 3 columns"),
        ("moments", "a\n", "line 1: expected 'class,index', got 1 columns"),
        ("diving48", ["a_b_c_d"], "entry 1: expected a list of strings, got 'a_b_c_d'"),
        ("diving48", [["a", 1]], "entry 1: expected a list of strings, got a list"),
        ("diving48", {"a": 0}, "expected a list, got an object"),
    ],
)
def test_lists_of_labels_that_are_none_are_refused(tmp_path, form, content, told):
    with pytest.raises(UserError) as error:
        checked(tmp_path, form, content, ("a",))
    assert told in str(error.value)
