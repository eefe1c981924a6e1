import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainviz import Domain
from trainviz._common.arrays import to_numpy
from trainviz.domain.labelled_data import LabelledData

DOMAIN = Domain((0, 1), (0, 1), points_per_axis=2)


def labelled(y):
    return LabelledData.of((np.zeros((len(y), 2)), y), DOMAIN)


def indices(y, n_classes, class_names=None, classes=None):
    return labelled(y).class_indices(n_classes, class_names, classes).tolist()


def test_integers_from_zero_are_the_columns_even_where_classes_are_absent():
    assert indices([0, 2, 2], 4) == [0, 2, 2]


@given(st.lists(st.integers(-50, 50), min_size=1))
def test_only_column_numbers_tell_their_columns(y):
    known = sorted(set(y))
    if known[0] >= 0 and known[-1] < len(known):
        assert indices(y, len(known)) == y
    else:
        with pytest.raises(ValueError, match="classes="):
            indices(y, len(known))
    assert indices(y, len(known), classes=known) == [known.index(label) for label in y]


def test_data_know_how_far_they_are_from_the_plane():
    X = [[0.0, 0.0, 5.0], [1.0, 1.0, 7.0]]
    data = LabelledData.of((X, [0, 1]), Domain.slice(X, (0, 1), 0))
    assert data.distances.tolist() == [0, 2]
    assert labelled([0, 1]).distances.tolist() == [0, 0]


def test_data_of_several_inputs_may_come_as_the_model_takes_them():
    X = np.random.default_rng(0).normal(size=(5, 3))
    domain = Domain.slice(X, (0, 2), input_shape={"a": (2,), "b": (1,)})
    for given_as in ({"a": X[:, :2], "b": X[:, 2]}, {"b": X[:, 2:], "a": X[:, :2]}, X):
        data = LabelledData.of((given_as, np.zeros(5, dtype=int)), domain)
        np.testing.assert_array_equal(data.points, X[:, [0, 2]])
        np.testing.assert_array_equal(domain.prepare(data.X)["a"], X[:, :2])


@pytest.mark.parametrize("y", [[-1, 1, -1], [1, 2, 1], ["sun", "moon", "sun"]])
def test_labels_that_are_no_column_numbers_are_never_sorted_in_silence(y):
    with pytest.raises(ValueError, match=r"which label each column stands for is not known"):
        indices(y, 2)
    assert indices(y, 2, classes=y[:2]) == [0, 1, 0]


@pytest.mark.parametrize(
    "y",
    [
        np.array(["a", None], object), np.array(["a", np.nan], object), [0.0, np.nan],
        pd.Series([1, None], dtype="Int64"), pd.Series(["a", None], dtype="string"),
    ],
)  # fmt: skip
def test_a_missing_label_is_refused_with_its_row(y):
    with pytest.raises(ValueError, match=r"y lacks the label of 1 of 2 .* row 1\); drop"):
        labelled(y)


def test_strings_that_are_class_names_follow_their_order():
    assert indices(["cat", "cat"], 3, class_names=["dog", "cat", "cow"]) == [1, 1]


def test_classes_say_which_column_is_which_label():
    assert indices([7, 3], 3, classes=[3, 5, 7]) == [2, 0]
    assert indices(["b"], 2, classes=np.array(["b", "a"])) == [0]


def test_one_hot_rows():
    assert indices(np.eye(3)[[2, 0]], 3) == [2, 0]


@pytest.mark.parametrize(
    "y",
    [
        [0.0, 1.0],
        [False, True],
        np.array([[0], [1]]),
        pd.Series([0, 1]),
        np.array([0, 1], object),
        np.array([False, True], object),
        pd.Series([False, True], dtype="boolean"),
        pd.Series([0, 1], dtype="Int64"),
    ],
)
def test_labels_of_any_kind(y):
    assert indices(y, 2) == [0, 1]


def test_missing_labels_must_be_explained():
    with pytest.raises(
        ValueError, match=r"y holds the labels 4, 9.*3 output columns.*classes=\[...\]"
    ):
        indices([4, 9], 3)


@pytest.mark.parametrize("classes", [[1, 2], [1, 3, 3], [1, 2, 3, 4]])
def test_classes_that_do_not_fit(classes):
    with pytest.raises(ValueError, match=r"classes=.*one distinct label per output column"):
        indices([1, 3], 3, classes=classes)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (5, r"data= must be a pair \(X, y\)"),
        (([[0, 0]], [0, 1]), "X has 1 rows and y 2 labels"),
        (([[0, np.nan]], [0]), "X holds NaN or infinities; drop those rows"),
        (([["a", "b"]], [0]), r"data=\(X, y\): X must hold numbers"),
        (([[0, 0, 0]], [0]), r"X has the shape \(1, 3\)"),
        (([[0, 0]], [0.5]), "y holds fractions"),
        (([[0, 0]], [[0.4, 0.6]]), r"y has the shape \(1, 2\), expected \(n,\) or one-hot"),
        (([[0, 0], [0, 0]], [[0.5, 0.5], [0, 1]]), "expected .* one-hot rows"),
        (([[0, 0]], [[1, 1, -1]]), "expected .* one-hot rows"),
    ],
)
def test_data_that_is_none(data, message):
    with pytest.raises(ValueError, match=message):
        LabelledData.of(data, DOMAIN)


def test_a_tensor_dataset_and_its_loader_are_data_too():
    torch = pytest.importorskip("torch")
    dataset = torch.utils.data.TensorDataset(torch.rand(6, 2), torch.arange(6) % 2)
    loader = torch.utils.data.DataLoader(dataset, batch_size=2, shuffle=True)
    before = torch.get_rng_state()
    for given_as in (dataset, loader):
        data = LabelledData.of(given_as, DOMAIN)
        np.testing.assert_array_equal(data.X, dataset.tensors[0].numpy())
        assert data.y.tolist() == [0, 1, 0, 1, 0, 1]
    assert torch.equal(before, torch.get_rng_state())


def test_a_list_of_groups_is_refused_by_name():
    group = (np.zeros((3, 2)), np.zeros(3, int))
    for groups in ([group, group], [group] * 3):
        with pytest.raises(ValueError, match=r"is a list of . groups; expected one pair"):
            LabelledData.of(groups, DOMAIN)


def test_points_lie_in_the_domains_plane():
    X = np.arange(12.0).reshape(4, 3)
    domain = Domain.around(X, features=(2, 0), resolution=2)
    np.testing.assert_array_equal(LabelledData.of((X, [0, 1, 0, 1]), domain).points, X[:, [2, 0]])


def test_bfloat16_of_other_frameworks_becomes_float32():
    ml_dtypes = pytest.importorskip("ml_dtypes")
    values = to_numpy(np.array([0.5, 1.0], dtype=ml_dtypes.bfloat16))
    assert values.dtype == np.float32
    assert values.tolist() == [0.5, 1.0]


X, Y = np.array([[0.0, 0], [1, 1], [0, 1]]), np.array([0, 1, 1])


def test_groups_are_joined_in_their_order_and_known_by_their_names():
    data = LabelledData.of({"train": (X, Y), "test": (X[:1] + 0.5, [0])}, DOMAIN)
    assert data.group_names == ("train", "test")
    assert data.groups.tolist() == [0, 0, 0, 1]
    assert data.points.tolist() == [*X.tolist(), [0.5, 0.5]]
    assert [(name, rows.tolist()) for name, rows in data.in_groups()] == [
        ("train", [0, 1, 2]), ("test", [3]),
    ]  # fmt: skip
    assert data.counted() == "4 points (3 train, 1 test)"


def test_a_pair_is_one_group_without_a_name():
    data = LabelledData.of((X, Y), DOMAIN)
    assert data.group_names == ()
    assert data.groups is None
    assert data.counted() == "3 points"
    assert not data.matches(LabelledData.of({"train": (X, Y)}, DOMAIN))


def test_groups_may_come_in_all_forms_that_one_may():
    torch = pytest.importorskip("torch")
    dataset = torch.utils.data.TensorDataset(torch.tensor(X), torch.tensor(Y))
    groups = {
        "arrays": (X, Y), "dataset": dataset,
        "loader": torch.utils.data.DataLoader(dataset, batch_size=2),
        "table": (pd.DataFrame(X, columns=["a", "b"]), pd.Series(Y)), "one-hot": (X, np.eye(2)[Y]),
    }  # fmt: skip
    # Tables and arrays do not tell of the same columns, so they come apart.
    table = groups.pop("table")
    data = LabelledData.of(groups, DOMAIN)
    assert data.y.tolist() == 4 * Y.tolist()
    assert LabelledData.of({"a": table, "b": table}, DOMAIN).y.tolist() == 2 * Y.tolist()


@pytest.mark.parametrize(
    ("groups", "error", "message"),
    [
        ({}, ValueError, r"data=\{\}: expected at least one group, e\.g\."),
        ({1: (X, Y)}, TypeError, r"a group with the name 1 \(int\); expected a text"),
        ({" ": (X, Y)}, ValueError, r"name ' '; expected a name that a legend can show"),
        ({"a": (X, Y), "b": X[0, 0]}, ValueError, r"data\['b'\]= must be a pair \(X, y\)"),
        ({"a": (X, Y), "b": (X[:0], Y[:0])}, ValueError, r"data\['b'\] has no points; leave"),
        ({"a": (X, Y), "b": (X, Y[:1])}, ValueError, r"data\['b'\].*X has 3 rows and y 1 labels"),
        ({"a": (X, Y), "b": (X, ["u", "v", "v"])}, ValueError,
         r"data\['b'\]: its labels are strings \('u', 'v'\).*data\['a'\] are numbers \(0, 1\)"),
        ({"a": (X, np.eye(2)[Y]), "b": (X, np.eye(3)[Y])}, ValueError,
         r"data\['b'\]: y has 3 columns, and that of data\['a'\] has 2"),
        ({"a": (X, Y), "b": (X[:, [0, 1, 1]], Y)}, ValueError, r"data\['b'\].*shape \(3, 3\)"),
        ({"a": (pd.DataFrame(X, columns=["u", "v"]), Y),
          "b": (pd.DataFrame(X, columns=["v", "u"]), Y)}, ValueError,
         r"data\['b'\] has the columns \['v', 'u'\], and data\['a'\] has \['u', 'v'\]"),
    ],
)  # fmt: skip
def test_groups_that_do_not_belong_together(groups, error, message):
    with pytest.raises(error, match=message):
        LabelledData.of(groups, DOMAIN)


def test_a_label_that_no_column_stands_for_is_named_with_its_group():
    data = LabelledData.of({"train": (X, Y), "test": (X, Y + 4)}, DOMAIN)
    with pytest.raises(ValueError, match=r"data\['test'\]: y holds the labels 4, 5, and the model"):
        data.class_indices(2, None, None)
    with pytest.raises(ValueError, match=r"one distinct label .*; data\['test'\] holds 4, 5"):
        data.class_indices(2, None, [0, 1])
