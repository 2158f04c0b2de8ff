"""The real `openai` package talks to a simulated model."""

import time

import openai
import pytest

HELLO = [{"role": "user", "content": "hello there"}]
TEXT = "demo-small here. You said: hello there"


def ask(client, **more):
    return client.chat.completions.create(model="demo-small", messages=HELLO, **more)


def test_a_completion_names_the_model_and_counts_its_tokens(client):
    answer = ask(client)

    assert answer.choices[0].message.content == TEXT
    assert (answer.model, answer.choices[0].finish_reason) == ("demo-small", "stop")
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (3, 6)


def test_a_stream_brings_the_role_then_each_token_then_the_reason(client):
    chunks = list(ask(client, stream=True))

    assert chunks[0].choices[0].delta.role == "assistant"
    tokens = [chunk.choices[0].delta.content for chunk in chunks[1:-1]]
    assert tokens == ["demo-small", " here.", " You", " said:", " hello", " there"]
    assert chunks[-1].choices[0].finish_reason == "stop"
    assert all(chunk.usage is None for chunk in chunks)


def test_usage_comes_last_in_a_stream_when_it_was_asked_for(client):
    chunks = list(ask(client, stream=True, stream_options={"include_usage": True}))

    assert chunks[-1].choices == []
    assert chunks[-1].usage.total_tokens == 9
    assert all(chunk.usage is None for chunk in chunks[:-1])


def test_a_token_limit_ends_the_answer(client):
    answer = ask(client, max_tokens=2)

    assert answer.choices[0].message.content == "demo-small here"
    assert answer.choices[0].finish_reason == "length"
    assert answer.usage.completion_tokens == 2


def test_the_answer_repeats_the_parameters_that_it_was_given(client):
    assert (
        "(temperature 0.5, max_tokens 90)"
        in ask(client, temperature=0.5, max_tokens=90).choices[0].message.content
    )


def test_completions_answer_whole_and_streamed(client):
    whole = client.completions.create(model="demo-small", prompt="hello there")
    chunks = client.completions.create(model="demo-small", prompt="hello there", stream=True)

    assert whole.choices[0].text == TEXT
    assert "".join(chunk.choices[0].text for chunk in chunks) == TEXT


def test_responses_answer_whole_and_streamed(client):
    whole = client.responses.create(model="demo-small", input="hello there")
    events = list(client.responses.create(model="demo-small", input="hello there", stream=True))

    assert whole.output_text == TEXT
    assert (whole.usage.input_tokens, whole.usage.output_tokens) == (3, 6)
    assert [event.sequence_number for event in events] == list(range(len(events)))
    deltas = [event.delta for event in events if event.type == "response.output_text.delta"]
    assert "".join(deltas) == TEXT
    assert events[-1].type == "response.completed"
    assert events[-1].response.output_text == TEXT


def test_equal_texts_have_equal_embeddings_in_both_encodings(client):
    plain = client.embeddings.create(
        model="demo-small", input=["a", "b", "a"], encoding_format="float", dimensions=4
    )
    packed = client.embeddings.create(model="demo-small", input="a", dimensions=4)

    first, second, third = (item.embedding for item in plain.data)
    assert len(first) == 4
    assert first == third != second
    assert packed.data[0].embedding == pytest.approx(first)
    assert plain.usage.prompt_tokens == 3


def test_models_are_listed(client):
    assert [model.id for model in client.models.list()] == ["demo-small"]


def test_another_models_name_is_not_found(client):
    with pytest.raises(openai.NotFoundError) as caught:
        client.chat.completions.create(model="demo-large", messages=HELLO)

    assert caught.value.code == "model_not_found"


@pytest.mark.parametrize(
    "field", ["router", "extra", "max_retries", "fallbacks", "max_cost_per_token"]
)
def test_a_leaked_control_field_is_refused(client, field):
    with pytest.raises(openai.BadRequestError, match=field):
        ask(client, extra_body={field: {}})


def test_tokens_arrive_at_the_pace_that_was_set(client, model):
    model.control(tokens_per_second=100, first_token_ms=50, answer_tokens=6)
    began = time.perf_counter()
    times = [time.perf_counter() - began for _ in ask(client, stream=True)]

    assert times[0] >= 0.045
    assert times[6] >= 0.09, "50 ms to the first token, then 10 ms for each"
