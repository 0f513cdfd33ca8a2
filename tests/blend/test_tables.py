"""Weight tables are read without executing a pickle; aliases and lists of tables are resolved."""

from __future__ import annotations

import csv
import pickle
import re
import struct
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any, List, Sequence, Tuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from blend import naming, pickled, scores_text, tables
from leapkit.core.columns import GROUP_NAMES
from leapkit.core.errors import KitError
from leapkit.core.layout import Results
from tests.conftest import REPOSITORY
from tests.helpers import crafted
from tests.helpers.crafted import (
    BUILD,
    EMPTY_DICT,
    EMPTY_TUPLE,
    FALSE,
    PROTOCOL,
    REDUCE,
    STOP,
    call,
    group,
    name,
    text,
)
from tests.helpers.refusals import refused

V10 = tables.find("v10").rows
NONE, TRUE, NEWOBJ, APPENDS, EMPTY_LIST = b"N", b"\x88", b"\x81", b"e", b"]"


# ---- a frame, opcode by opcode -------------------------------------------------------------------


def integer(value: int) -> bytes:
    return b"J" + struct.pack("<i", value)  # torch.save has no use for crafted's long integers


def listed(*items: bytes) -> bytes:
    return EMPTY_LIST + b"(" + b"".join(items) + APPENDS


def pair(**items: bytes) -> bytes:
    return crafted.mapping(items)


def encoded(raw: bytes, codec: str = "latin1") -> bytes:
    return call(name("_codecs", "encode"), text(raw.decode("latin1")), text(codec))


def array(
    shape: Sequence[int], kind: str, order: str, content: bytes, core: str = "numpy.core.multiarray"
) -> bytes:
    dtype = (
        call(name("numpy", "dtype"), text(kind), FALSE, TRUE)
        + group(integer(3), text(order), NONE, NONE, NONE, integer(-1), integer(-1), integer(0))
        + BUILD
    )
    empty_array = call(
        name(core, "_reconstruct"), name("numpy", "ndarray"), group(integer(0)), encoded(b"b")
    )
    return (
        empty_array + group(integer(1), group(*map(integer, shape)), dtype, FALSE, content) + BUILD
    )


def names(shape: Sequence[int], values: Sequence[str], **more: Any) -> bytes:
    return array(shape, "O8", "|", listed(*map(text, values)), **more)


def floats(values: Sequence[float]) -> bytes:
    return struct.pack(f"<{len(values)}d", *values)


def block(values: bytes, position: int, stop: int = 0) -> bytes:
    placement = call(
        name("__builtin__", "slice"), integer(position), integer(stop or position + 1), integer(1)
    )
    return call(name("pandas._libs.internals", "_unpickle_block"), values, placement, integer(2))


def index(values: bytes) -> bytes:
    return call(
        name("pandas.core.indexes.base", "_new_Index"),
        name("pandas.core.indexes.base", "Index"),
        pair(data=values, name=NONE),
    )


def frame(
    rows: Sequence[Tuple[str, float]], columns: Sequence[str] = ("model", "weight"), **other: Any
) -> bytes:
    """Return a whole data.pkl as pandas writes it; `other` replaces parts of it by name."""
    count = len(rows)
    models = other.get("models", names((1, count), [model for model, _ in rows]))
    weights = other.get(
        "weights", array((1, count), "f8", "<", encoded(floats([weight for _, weight in rows])))
    )
    blocks = other.get(
        "blocks",
        group(
            block(models, columns.index("model") if "model" in columns else 0),
            block(weights, columns.index("weight") if "weight" in columns else 1),
        ),
    )
    numbers = call(
        name("pandas.core.indexes.base", "_new_Index"),
        name("pandas.core.indexes.range", "RangeIndex"),
        pair(name=NONE, start=integer(0), stop=integer(count), step=integer(1)),
    )
    axes = listed(other.get("columns", index(names((len(columns),), columns))), numbers)
    manager = call(name("pandas.core.internals.managers", "BlockManager"), blocks, axes)
    state = pair(
        _mgr=other.get("manager", manager),
        _typ=text("dataframe"),
        _metadata=EMPTY_LIST,
        attrs=EMPTY_DICT,
    )
    return (
        PROTOCOL
        + name("pandas.core.frame", "DataFrame")
        + EMPTY_TUPLE
        + NEWOBJ
        + state
        + BUILD
        + STOP
    )


ROWS = [("Jo_ex907_cv7855.npy", 0.1), ("adam_195_78569.oof.npy", -0.25), ("mine.npy", 1.15)]


def archive(folder: Path, pickled_frame: bytes, **more: Any) -> Path:
    return crafted.write(folder / "table.pt", pickled_frame, storages={}, **more)


# ---- what is read --------------------------------------------------------------------------------


def test_the_teams_own_file_is_the_shipped_table_bit_for_bit(published: Path) -> None:
    path = published / "blend" / "weight_df_dict_all_group_all_v10.pt"
    assert all(model.endswith(".npy") for model, _ in pickled.read_rows(path))
    team_table = tables.find(str(path))
    assert [(a, w.hex()) for a, w in team_table.rows] == [(a, w.hex()) for a, w in V10]
    assert team_table.sha256 == tables.find("v10").sha256 and team_table.name == path.stem


def test_reading_it_imports_neither_pandas_nor_numpy_nor_torch(tmp_path: Path) -> None:
    path = archive(tmp_path, frame(ROWS))
    code = (
        "import sys; from pathlib import Path; from blend import decide, tables; "
        "tables.read(Path(sys.argv[1])); "
        "print(sorted({'pandas', 'numpy', 'torch'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-S", "-c", code, str(path)],
        cwd=str(REPOSITORY),
        stdout=subprocess.PIPE,
        env={"PYTHONPATH": "shared:."},
        check=True,
    )
    assert done.stdout == b"[]\n"


_WEIGHT = st.floats(allow_nan=False, allow_infinity=False)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(_WEIGHT, min_size=1, max_size=300),
    st.sampled_from([("model", "weight"), ("weight", "model")]),
)
def test_weights_of_a_frame_are_read_to_the_last_bit_and_in_order(
    tmp_path_factory, weights, columns
):
    rows = [(f"m{k}.npy", weight) for k, weight in enumerate(weights)]
    path = archive(tmp_path_factory.mktemp("frame"), frame(rows, columns))
    rows_read = pickled.read_rows(path)
    assert [model for model, _ in rows_read] == [model for model, _ in rows]
    assert floats([weight for _, weight in rows_read]) == floats(weights)


def test_arrays_of_numpy_2_and_row_numbers_of_an_older_pandas_are_read(tmp_path: Path) -> None:
    models = names((1, 3), [model for model, _ in ROWS], core="numpy._core.multiarray")
    assert pickled.read_rows(archive(tmp_path, frame(ROWS, models=models))) == ROWS
    older = frame(ROWS).replace(
        b"cpandas.core.indexes.range\nRangeIndex\n", b"cpandas.core.indexes.numeric\nInt64Index\n"
    )
    assert older != frame(ROWS) and pickled.read_rows(archive(tmp_path, older)) == ROWS


def test_frames_that_pandas_itself_pickles_are_read_or_refused_by_a_sentence(
    tmp_path: Path,
) -> None:
    """Frames of pandas 1.4 to 2.x are read; pandas 3 stores text otherwise and is refused."""
    pd = pytest.importorskip("pandas")
    data_frame = pd.DataFrame(ROWS, columns=["model", "weight"])
    grown = pd.DataFrame({"model": [model for model, _ in ROWS]})
    grown["weight"] = [weight for _, weight in ROWS]
    cases = [
        data_frame,
        grown,
        data_frame[["weight", "model"]],
        data_frame.sort_values("weight"),
        data_frame[data_frame.weight > 0],
        data_frame.sort_values("weight").reset_index(drop=True),
        data_frame.head(1),
    ]
    for case in cases:
        path = archive(tmp_path, pickle.dumps(case, protocol=2))
        if int(pd.__version__.split(".")[0]) > 2:
            with refused(path, "nothing was executed"):
                pickled.read_rows(path)
        else:
            assert pickled.read_rows(path) == list(zip(case["model"], case["weight"]))


def test_what_torch_save_makes_of_a_frame_is_read(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    pd = pytest.importorskip("pandas")
    if int(pd.__version__.split(".")[0]) > 2:
        pytest.skip("this pandas writes other frames")
    torch.save(pd.DataFrame(ROWS, columns=["model", "weight"]), str(tmp_path / "mine.v2.pt"))
    table = tables.read(tmp_path / "mine.v2.pt")
    assert table.name == "mine.v2"
    assert table.rows == (("Jo_ex907_cv7855", 0.1), ("adam_195_78569.oof", -0.25), ("mine", 1.15))


# ---- what is refused -----------------------------------------------------------------------------

MARKER = "executed"
_SYSTEM = call(name("os", "system"), text("touch " + MARKER))
_ORDER = name("pandas.core.indexes.base", "Index")
_HOSTILE = {
    "os.system": PROTOCOL + _SYSTEM + STOP,
    "os.system where the manager is": frame(ROWS, manager=_SYSTEM),
    "posix.system": PROTOCOL + call(name("posix", "system"), text("touch " + MARKER)) + STOP,
    "builtins.eval": PROTOCOL
    + call(name("builtins", "eval"), text(f"open('{MARKER}', 'w')"))
    + STOP,
    "__builtin__.eval": PROTOCOL
    + call(name("__builtin__", "eval"), text(f"open('{MARKER}', 'w')"))
    + STOP,
    "a name with a dot": PROTOCOL + crafted.dotted("_codecs", "encode.__globals__") + STOP,
    "an attribute of a known name": PROTOCOL + name("numpy", "ndarray.__new__") + STOP,
    "another reconstruct": frame(ROWS).replace(
        b"cnumpy.core.multiarray\n_reconstruct", b"cnumpy.core.multiarray\nscalar"
    ),
    "a reference to a storage": PROTOCOL + crafted.storage() + STOP,
    "a reference by name": PROTOCOL + b"Pstorage\n" + STOP,
    "an old-fashioned instance": PROTOCOL + b"(ios\nsystem\n" + STOP,
    "an extension code": PROTOCOL + b"\x82\x01" + STOP,
    "a codec with side effects": frame(
        ROWS, weights=array((1, 3), "f8", "<", encoded(floats([1, 2, 3]), "rot13"))
    ),
    "state for a class": PROTOCOL + _ORDER + pair(arguments=EMPTY_TUPLE) + BUILD + STOP,
    "slot state for a class": PROTOCOL
    + _ORDER
    + group(NONE, pair(__setstate__=_ORDER))
    + BUILD
    + STOP,
    "slot state for a record": frame(
        ROWS,
        manager=_ORDER
        + EMPTY_TUPLE
        + REDUCE
        + group(NONE, pair(arguments=EMPTY_TUPLE, __class__=_ORDER))
        + BUILD,
    ),
    "a call of a record": PROTOCOL + call(call(_ORDER), text("x")) + STOP,
    "a call of text": PROTOCOL + call(text("os.system"), text("touch " + MARKER)) + STOP,
    "items for a record": PROTOCOL + call(_ORDER) + text("a") + text("b") + b"s" + STOP,
    "a list that holds itself": PROTOCOL + EMPTY_LIST + b"q\x00(h\x00e" + STOP,
    "itself as its manager": PROTOCOL
    + name("pandas.core.frame", "DataFrame")
    + EMPTY_TUPLE
    + NEWOBJ
    + b"q\x00"
    + EMPTY_DICT
    + text("_mgr")
    + b"h\x00s"
    + BUILD
    + STOP,
    "a memo of gigabytes": PROTOCOL + NONE + b"r" + struct.pack("<I", 2**31) + STOP,
    "text longer than the file": PROTOCOL + b"X" + struct.pack("<I", 2**31 - 1) + b"x" + STOP,
    "a number of many digits": PROTOCOL
    + b"\x8b"
    + struct.pack("<I", 200_000)
    + b"\x01" * 200_000
    + STOP,
    "too many opcodes": PROTOCOL + NONE * (1 << 19) + STOP,
    "nothing": b"",
    "no end": PROTOCOL + NONE,
    "no frame": PROTOCOL + EMPTY_DICT + STOP,
}


@pytest.mark.parametrize("attack", sorted(_HOSTILE))
def test_a_hostile_table_is_one_sentence_and_nothing_is_executed(attack, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = archive(tmp_path, _HOSTILE[attack])
    with refused(path):
        tables.read(path)
    assert not (tmp_path / MARKER).exists()


_NAN, _INFINITE = [("a.npy", float("nan"))], [("a.npy", float("inf")), ("b.npy", 1.0)]
_LONG = ("x" * 3, "y" * 3, "z" * 3)


def weighing(shape: Sequence[int], raw: bytes, kind: str = "f8", order: str = "<") -> bytes:
    return frame(ROWS, weights=array(shape, kind, order, encoded(raw)))


_WRONG = {
    "other columns": (frame(ROWS, ("model", "score")), "other columns"),
    "a third column": (frame(ROWS, ("model", "weight", "fold")), "another shape"),
    "one column twice": (frame(ROWS, ("model", "model")), "other columns"),
    "two blocks of one column": (
        frame(ROWS, blocks=group(block(names((1, 3), _LONG), 0), block(names((1, 3), _LONG), 0))),
        "blocks of other columns",
    ),
    "a block of two columns": (
        frame(ROWS, blocks=group(block(names((1, 3), _LONG), 0, 2))),
        "blocks of other columns",
    ),
    "a block from the end": (
        frame(ROWS, blocks=group(block(names((1, 3), _LONG), -1, 0))),
        "blocks of other columns",
    ),
    "a NaN": (frame(_NAN), "not finite"),
    "an infinity": (frame(_INFINITE), "not finite"),
    "only zeros": (frame([("a.npy", 0.0)]), "only zeros"),
    "no rows": (frame([]), ""),
    "a model twice": (frame([("a.npy", 0.5), ("a", 0.5)]), "twice"),
    "a byte too few": (weighing((1, 3), floats([1, 2, 3])[:-1]), "23 bytes of weights"),
    "a weight too many": (weighing((1, 3), floats([1, 2, 3, 4])), "32 bytes of weights"),
    "a shape of more weights": (weighing((1, 4), floats([1, 2, 3])), "another shape"),
    "a shape of more models": (frame(ROWS, models=names((1, 4), _LONG)), "another shape"),
    "weights in a column": (weighing((3, 1), floats([1, 2, 3])), "another shape"),
    "float32": (weighing((1, 3), bytes(12), "f4"), "not float64"),
    "big-endian weights": (weighing((1, 3), floats([1, 2, 3]), order=">"), "not float64"),
    "weights as text": (frame(ROWS, weights=names((1, 3), ["0.1", "0.2", "0.3"])), "not float64"),
    "weights beyond latin1": (
        frame(
            ROWS,
            weights=array(
                (1, 3),
                "f8",
                "<",
                call(name("_codecs", "encode"), text("\u20ac" * 24), text("latin1")),
            ),
        ),
        "not a weight table",
    ),
    "models that are numbers": (
        frame(ROWS, models=array((1, 3), "O8", "|", listed(*map(integer, (1, 2, 3))))),
        "not text",
    ),
    "a model of two lines": (frame([("a\nb.npy", 1.0)]), "not text"),
    "no list of models": (frame(ROWS, models=array((1, 3), "O8", "|", text("abc"))), "not text"),
}


@pytest.mark.parametrize("defect", sorted(_WRONG))
def test_a_frame_that_is_no_weight_table_is_refused(defect, tmp_path):
    content, words = _WRONG[defect]
    path = archive(tmp_path, content)
    with pytest.raises(KitError) as caught:
        tables.read(path)
    assert words in str(caught.value) and "table" in str(caught.value) and caught.value.remedy


def test_a_table_cut_anywhere_is_one_sentence(tmp_path: Path) -> None:
    content = archive(tmp_path, frame(ROWS)).read_bytes()
    path = tmp_path / "cut.pt"
    for length in range(0, len(content), 7):
        path.write_bytes(content[:length])
        with refused(path):
            tables.read(path)


def test_a_table_with_any_opcode_changed_is_read_or_refused(tmp_path: Path) -> None:
    """Change every byte of the pickle in turn; no other exception may come out."""
    content = frame(ROWS[:1])
    for position in range(len(content)):
        value = (content[position] ^ 1, ord("R"), ord("b"), content[position] ^ 0x20)[position % 4]
        path = archive(tmp_path, content[:position] + bytes([value]) + content[position + 1 :])
        try:
            tables.read(path)
        except KitError as error:
            assert "\n" not in str(error)


def test_files_that_are_no_archive_of_one_table_are_refused(
    tmp_path: Path, published: Path
) -> None:
    path = tmp_path / "table.pt"
    with refused(path, "missing"):
        tables.read(path)
    path.write_bytes(frame(ROWS))  # a bare pickle, as before torch 1.6
    with refused(path, "zip format"):
        tables.read(path)
    path.write_text("artifact,weight\na,1\n")
    with refused(path, "zip format"):
        tables.read(path)
    with refused(path, "2 tables of contents"):
        tables.read(archive(tmp_path, frame(ROWS), extra={"other/data.pkl": frame(ROWS)}))
    with zipfile.ZipFile(str(path), "w") as empty:
        empty.writestr("archive/version", "3\n")
    with refused(path, "0 tables of contents"):
        tables.read(path)
    large = frame(ROWS) + bytes(1 << 20)
    with refused(path, "a table of contents of"):
        tables.read(archive(tmp_path, large))
    with refused(path, "a compressed table of contents"):
        tables.read(archive(tmp_path, large, compression=zipfile.ZIP_DEFLATED))
    content = (published / "blend" / "weight_df_dict_all_group_all_v10.pt").read_bytes()
    (tmp_path / "v10.csv").write_bytes(content)
    with refused(tmp_path / "v10.csv", "is not a weight table"):
        tables.read(tmp_path / "v10.csv")


# ---- other names of artifacts --------------------------------------------------------------------


def _aliases() -> List[Tuple[str, str]]:
    with open(tables.ALIASES, encoding="utf-8", newline="") as handle:
        lines = list(csv.reader(handle))
    assert lines[0] == ["alias", "artifact"]
    return [(alias, artifact) for alias, artifact in lines[1:]]


def test_every_alias_leads_to_an_artifact_of_the_published_table_and_is_none_itself() -> None:
    artifacts = {artifact for artifact, _ in V10}
    aliases = _aliases()
    assert {artifact for _, artifact in aliases} == artifacts
    assert len({alias for alias, _ in aliases}) == len(aliases)
    for alias, artifact in aliases:
        assert alias not in artifacts and alias in tables.other_names(artifact)
        for spelling in (
            alias,
            alias + ".npy",
            alias + ".parquet",
            artifact,
            artifact + ".npy",
            artifact + ".parquet",
        ):
            assert tables.canonical(spelling) == artifact


def test_an_unknown_name_loses_its_suffix_and_nothing_else() -> None:
    for unknown in ("mine", "mine.oof", "mine_cv0.79", "npy", "max_exp22x", ""):
        assert (
            tables.canonical(unknown) == unknown and tables.canonical(unknown + ".npy") == unknown
        )
        assert tables.canonical(unknown + ".parquet") == unknown
    assert tables.other_names("mine") == []


def test_names_of_the_readme_and_irregular_file_names_are_known(reference: Path) -> None:
    page = (reference / "data_pipeline.md").read_text()
    rows = re.findall(r"^\| \d+ \| (\S+\.npy) \| \S+ \| (\w+) \|$", page, re.MULTILINE)
    assert len(rows) == 16
    for model, readme in rows:
        assert (
            tables.canonical(readme) == tables.canonical(model) == model[: -len(".npy")] != readme
        )
    for other, artifact in {
        "forcewithme_reslstm_cv0.789_lb0.783": "forcewithme_reslstm_cv0.7890_lb0.7863",
        "forcewithme_gf038_2LSTM1mamba-3_state64_cv0.7897_LB0.787": (
            "forcewithme_gf038_2LSTM1mamba-3_state64_cv0.7897_LBunknown"
        ),
        "exp021_fork14_moredim_gf.parquet": "max_021_moredim_gf_cv7904_lbUnknown",
        "exp195_new": "adam_195_78569.oof",
        "adam_195_78569": "adam_195_78569.oof",
    }.items():
        assert tables.canonical(other) == artifact


def test_a_table_of_other_names_is_the_same_table(tmp_path: Path) -> None:
    first = {artifact: alias for alias, artifact in reversed(_aliases())}
    lines = [f"{first[artifact]}.npy,{weight!r}\n" for artifact, weight in V10]
    (tmp_path / "v10.csv").write_text("artifact,weight\n" + "".join(lines))
    assert tables.read(tmp_path / "v10.csv") == tables.find("v10")
    (tmp_path / "t.csv").write_text(
        "artifact,weight\nmax_exp22,0.5\nmax_022_deeper_gf_cv7908_lbUnknown,0.5\n"
    )
    with pytest.raises(
        KitError, match="names the artifact max_022_deeper_gf_cv7908_lbUnknown twice"
    ):
        tables.read(tmp_path / "t.csv")


def test_the_list_of_aliases_is_not_offered_as_a_table() -> None:
    assert tables.shipped() == ["v10"]
    with pytest.raises(KitError, match="is missing"):
        tables.find("aliases")


# ---- the tables of a run -------------------------------------------------------------------------


def test_which_names_are_searches() -> None:
    assert all(
        map(
            naming.parse_search,
            (
                "searched",
                "searched-zuiye",
                "searched-max2020",
                "searched.sum-one",
                "searched-zuiye.ridge.target",
                "searched.group",
                "searched.climb.all",
            ),
        )
    )
    assert not any(
        map(
            naming.parse_search,
            (
                "v10",
                "searched.csv",
                "searched-",
                "searched-zuiye.csv",
                "a/searched",
                "",
                "searchedx",
                "weights_searched",
                "searched\n",
                "searched.",
                "searched.best",
                "searched.group.ridge",
                "searched.ridge.csv",
            ),
        )
    )


def test_a_search_has_one_name_however_it_is_asked_for() -> None:
    for form in naming.FORMS:
        for scope in naming.SCOPES:
            search = naming.Search("searched-zuiye", form, scope)
            assert (
                naming.parse_search(f"searched-zuiye.{form}.{scope}")
                == search
                == naming.parse_search(search.name)
            )
    assert naming.BlendName.parse("searched.climb.all").table == "searched"
    with pytest.raises(KitError, match="same name"):
        naming.parse_blends("searched,searched.climb")


def test_a_file_under_the_name_of_a_search_is_refused(tmp_path: Path) -> None:
    (tmp_path / "searched.ridge.csv").write_text("artifact,weight\na,1\n")
    with refused(tmp_path / "searched.ridge.csv", "name of a search"):
        naming.parse_blends(str(tmp_path / "searched.ridge.csv"))


def test_post_processing_options_are_known_and_in_one_order() -> None:
    assert naming.parse_options("") == () and naming.parse_options("fluxes, positivity") == (
        "positivity",
        "fluxes",
    )
    blend_name = naming.BlendName.parse("v10", naming.parse_options("fluxes positivity"))
    assert blend_name.title == "v10+positivity+fluxes"
    with refused("POSTPROCESS", "'clip'", "positivity"):
        naming.parse_options("positivity,clip")


def test_a_list_of_tables_is_kept_in_order_and_each_has_its_own_files(tmp_path: Path) -> None:
    user_table = tmp_path / "mine.v2.csv"
    user_table.write_text("artifact,weight\na,1\n")
    sources = ["searched-zuiye", str(user_table), "v10", "searched"]
    parsed = naming.parse_blends(",".join(sources))
    assert [name.source for name in parsed] == sources
    assert [name.table for name in parsed] == [
        "searched-zuiye",
        "mine.v2",
        "v10",
        "searched",
    ]
    (tmp_path / "v10.csv").write_text(user_table.read_text())
    for duplicates in ("v10,v10", f"v10,{tmp_path / 'v10.csv'}"):
        with pytest.raises(KitError, match="same name"):
            naming.parse_blends(duplicates)
    with pytest.raises(KitError, match="names no table"):
        naming.parse_blends(",")
    with pytest.raises(KitError, match="v11"):
        naming.parse_blends("v10,v11")


def test_a_blend_name_knows_the_files_of_its_blend(tmp_path: Path) -> None:
    results = Results(tmp_path)
    name = naming.BlendName.parse("searched-zuiye.ridge.target", ("positivity",))
    assert name.title == "searched-zuiye.ridge.target+positivity"
    assert name.final(results).name == f"final_blend_{name.title}.parquet"
    assert name.scores(results).name == f"scores_{name.title}.json"
    # Weights and their page are the same with every option.
    assert name.weights(results).name == "weights_searched-zuiye.ridge.target.csv"
    assert name.report(results).name == "report_searched-zuiye.ridge.target.html"
    # All searches among the same artifacts share their errors.
    assert name.errors(results).name == "gram_searched-zuiye.npz"
    assert naming.BlendName.parse("v10").errors(results).name == "gram_v10.npz"


def test_an_unknown_table_is_refused_by_its_name_alone(tmp_path: Path) -> None:
    """The name is refused before anything is built; a file is read when it is blended."""
    (tmp_path / "mine.csv").write_text("not a table")
    assert naming.BlendName.parse(str(tmp_path / "mine.csv")).table == "mine"
    with refused("nothing", "missing", "v10"):
        naming.BlendName.parse("nothing")


def test_the_score_table_is_as_wide_as_its_longest_name() -> None:
    row = {"all_columns": 0.5, "predicted": 0.25, "groups": [0.125] * len(GROUP_NAMES)}
    for longest in ("ridge regression", max((artifact for artifact, _ in V10), key=len), "x" * 70):
        lines = scores_text.score_table([dict(row, name="short"), dict(row, name=longest)]).split(
            "\n"
        )
        assert len({line.index("  ", len(longest)) for line in lines[1:]}) == 1
        assert len({len(line) for line in lines}) == 1 and lines[2].startswith(longest + " ")


# ---- a weight for every group or target ----------------------------------------------------------


@pytest.mark.parametrize("scope", ["group", "target"])
def test_a_table_by_group_or_target_is_read_back_to_the_last_bit(
    scope: str, tmp_path: Path
) -> None:
    columns = tables.FIELDS_OF_SCOPE[scope]
    weights = [0.1 * k - 1 / 3 for k in range(len(columns))]
    table = tables.WeightTable(
        "wide.v1", (("a.b", *weights), ("c", *(1 - w for w in weights))), columns
    )
    table.write(tmp_path / "wide.v1.csv")
    again = tables.read(tmp_path / "wide.v1.csv")
    assert again == table and again.sha256 == table.sha256 and again.artifacts == ("a.b", "c")
    assert (
        again.sha256
        != tables.WeightTable("wide.v1", (("a.b", weights[0]), ("c", 1 - weights[0]))).sha256
    )


@pytest.mark.parametrize(
    "change, words",
    [
        (lambda lines: lines[0].replace("ptend_t", "ptend_x"), "not a weight table"),
        (lambda lines: ",".join(lines[0].split(",")[::-1]), "not a weight table"),
        (lambda lines: None, "holds no weights"),
        (lambda lines: "a,1,1,1,1,1,1", "not a weight table"),
        (lambda lines: "a,1,1,1,nan,1,1,1", "weight of a is not finite"),
        (lambda lines: "a,1,1,0,1,1,1,1", "holds only zeros for ptend_q0001"),
        (lambda lines: "a,1,1,1,x,1,1,1", "not a number"),
    ],
)
def test_a_damaged_table_by_group_is_one_clear_sentence(change, words, tmp_path):
    lines = [",".join(("artifact", *GROUP_NAMES))]
    changed = change(lines)
    if changed and changed.startswith("a,"):
        lines.append(changed)
    elif changed:
        lines = [changed, "a,1,1,1,1,1,1,1"]
    (tmp_path / "t.csv").write_text("\n".join(lines) + "\n")
    with refused(tmp_path / "t.csv", words):
        tables.read(tmp_path / "t.csv")


def test_an_unknown_artifact_is_answered_with_the_one_that_it_resembles() -> None:
    assert (
        tables.resembling("max_022_deeper_gf_cv7908_lbUnknwon")
        == "max_022_deeper_gf_cv7908_lbUnknown"
    )
    assert tables.resembling("adam_exp19") in (
        "adam_195_78569.oof",
        "adam_197_78551.oof",
    ) and not tables.resembling("zzz")
    assert tables.is_known("adam_195_78569.oof") and not tables.is_known("mine")
