"""The open inference protocol, in JSON and in bytes; its client is Triton's."""

import json

import numpy as np
import pytest
import tritonclient.http as triton
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from airflow_provider_ifp.core.errors import RequestError
from airflow_provider_ifp.serving.worker.frames import Answers
from airflow_provider_ifp.serving.worker.open_inference import Wanted, read_request, write_reply

DTYPES = {"FP64": "f8", "FP32": "f4", "INT64": "i8", "INT32": "i4", "UINT8": "u1", "BOOL": "?"}
TENSORS = st.sampled_from(sorted(DTYPES)).flatmap(
    lambda name: st.tuples(
        st.just(name),
        arrays(DTYPES[name], st.integers(1, 4), elements={"allow_nan": False} if name[0] == "F" else None),
    )
)
TEXTS = st.lists(st.text(), min_size=1, max_size=4)


def request_of(name, datatype, values, *, binary):
    """A request's body as Triton's own client writes it; returns it with the length of its JSON."""
    tensor = triton.InferInput(name, [len(values)], datatype)
    tensor.set_data_from_numpy(values, binary_data=binary)
    body, length = triton.InferenceServerClient.generate_request_body([tensor])
    return body if isinstance(body, bytes) else body.encode(), -1 if length is None else length


@pytest.mark.parametrize("binary", [True, False])
@given(tensor=TENSORS)
def test_a_tensor_comes_as_it_was_sent(binary, tensor):
    datatype, values = tensor
    asked = read_request(*request_of("a", datatype, values, binary=binary), ["a"])
    found = asked.columns["a"]
    assert found.dtype == values.dtype
    assert found.tolist() == values.tolist()
    assert asked.rows == len(values)


@pytest.mark.parametrize("binary", [True, False])
@given(texts=TEXTS)
def test_texts_come_as_they_were_sent(binary, texts):
    values = np.array([text.encode() for text in texts], dtype=object)
    asked = read_request(*request_of("a", "BYTES", values, binary=binary), ["a"])
    assert asked.columns == {"a": texts}


@pytest.mark.parametrize("binary", [True, False])
@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=4), TEXTS)
def test_what_is_answered_is_read_by_tritons_client(binary, numbers, texts):
    texts = (texts * 4)[: len(numbers)]
    pairs = [[number, 1.0] for number in numbers]
    for prediction in (numbers, texts, list(range(len(numbers))), pairs):
        answers = Answers({"prediction": prediction}, len(numbers))
        body, length = write_reply(answers, "m", "3", Wanted("7", None, binary))
        result = triton.InferResult.from_response_body(body, header_length=length if length >= 0 else None)
        found = result.as_numpy("prediction")
        told = [value.decode() if isinstance(value, bytes) else value for value in found.tolist()]
        assert told == prediction
        assert {key: result.get_response()[key] for key in ("model_name", "model_version", "id")} == {
            "model_name": "m", "model_version": "3", "id": "7",
        }  # fmt: skip


def test_one_tensor_of_rows_is_taken_for_all_columns():
    body = {"inputs": [{"name": "x", "datatype": "FP64", "shape": [2, 2], "data": [[1, 2], [3, 4]]}]}
    asked = read_request(json.dumps(body).encode(), -1, ["a", "b"])
    assert {name: values.tolist() for name, values in asked.columns.items()} == {"a": [1, 3], "b": [2, 4]}


def test_only_the_outputs_asked_for_come_back_each_as_it_was_asked_for():
    answers = Answers({"prediction": [1.5], "score": [0.5]}, 1)
    body, length = write_reply(answers, "m", "1", Wanted(None, {"score": True}, binary=False))
    assert json.loads(body[:length])["outputs"] == [
        {"name": "score", "datatype": "FP64", "shape": [1], "parameters": {"binary_data_size": 8}}
    ]
    assert np.frombuffer(body[length:]) == [0.5]


def test_an_output_that_the_model_does_not_have_is_told():
    with pytest.raises(RequestError, match="output 'odds': the model answers 'prediction'"):
        write_reply(Answers({"prediction": [1.5]}, 1), "m", "1", Wanted(None, {"odds": False}, binary=False))


def tensor(**changed):
    return {"inputs": [{"name": "a", "datatype": "FP64", "shape": [1], "data": [1.0], **changed}]}


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({}, "no list 'inputs'"),
        ({"inputs": [{}]}, "an input has no name"),
        (tensor(datatype="BF16"), "input 'a': datatype 'BF16'; expected one of BOOL"),
        (tensor(shape=[-1]), "input 'a': shape [-1]"),
        (tensor(shape=[2]), "input 'a': 1 values for shape [2]"),
        (tensor(shape=[1, 1, 1]), "expected [rows] or [rows, columns]"),
        (tensor(shape=[1, 2], data=[1.0, 2.0], name="x"), "is no column of the model, and has 2 columns"),
        (tensor(data=["x"]), "input 'a': 'x' is no FP64"),
        (tensor(data=[True]), "input 'a': True is no FP64"),
        (tensor(datatype="UINT8", data=[256]), "input 'a': "),
        (tensor(data=None), "neither 'data', a list, nor 'binary_data_size'"),
        (tensor(data=[[1.0], 2.0]), "nested unevenly"),
        (tensor(parameters={"binary_data_size": 8}), "binary_data_size is 8, and 0 bytes are there"),
        ({"inputs": [*tensor()["inputs"], *tensor()["inputs"]]}, "input 'a' is there twice"),
        (
            {"inputs": [*tensor()["inputs"], {**tensor(shape=[0], data=[])["inputs"][0], "name": "b"}]},
            "0 rows",
        ),
    ],
)
def test_what_cannot_be_read_is_told_with_the_tensor(body, said):
    with pytest.raises(RequestError) as caught:
        read_request(json.dumps(body).encode(), -1, ["a"])
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("datatype", "content", "said"),
    [
        ("FP64", b"1234567", "7 bytes are no FP64"),
        ("BYTES", b"\x09\x00\x00\x00short", "end in the middle of a text"),
        ("BYTES", b"\x01\x00\x00\x00\xff", "text 0 is no UTF-8"),
    ],
)
def test_bytes_that_are_no_tensor_are_told(datatype, content, said):
    described = tensor(datatype=datatype, parameters={"binary_data_size": len(content)})
    header = json.dumps(described).encode()
    with pytest.raises(RequestError, match=said):
        read_request(header + content, len(header), ["a"])
    with pytest.raises(RequestError, match="1 bytes are left"):
        read_request(json.dumps(tensor()).encode() + b"x", len(json.dumps(tensor())), ["a"])
    with pytest.raises(RequestError, match="the body has 2 bytes"):
        read_request(b"{}", 3, ["a"])
