"""The fast model finds the ends of requests however they are cut."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from bench.load import request
from sidecar.demo.fast import Fast, completion, request_end

PLAIN = request("/v1/chat/completions", b'{"a":"\r\n\r\n"}', {"X-Long": "y" * 40})
GET = b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n"


class Written(list):
    """A transport that keeps what was written."""

    write = list.append


@given(
    st.lists(st.sampled_from([PLAIN, GET, PLAIN.replace(b"content-l", b"Content-L")]), min_size=1),
    st.lists(st.integers(0, 600), max_size=5),
)
def test_each_request_is_answered_once_however_the_bytes_are_cut(requests, cuts):
    sent, written, fast = b"".join(requests), Written(), Fast(b"<answer>")
    fast.connection_made(written)
    edges = [0, *sorted(min(cut, len(sent)) for cut in cuts), len(sent)]
    for start, end in itertools.pairwise(edges):
        fast.data_received(sent[start:end])

    assert b"".join(written) == b"<answer>" * len(requests)


def test_a_chunked_request_ends_with_its_last_chunk():
    head = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n"

    assert request_end(head) == 0
    assert request_end(head + b"0\r\n\r\n") == len(head) + 5


def test_the_fixed_answer_has_the_length_that_it_says():
    head, _, body = completion("demo-fast").partition(b"\r\n\r\n")

    assert f"content-length: {len(body)}".encode() in head
    assert b'"model":"demo-fast"' in body
