from hypothesis import given
from hypothesis import strategies as st

from core.queue.messages import Ask, Candidate, Details, Reply, dump_replies, load_replies

texts = st.text(st.characters(exclude_categories=["Cs"]))


@given(turns=st.lists(texts, min_size=1), stream=st.booleans())
def test_an_ask_survives_the_journey(turns, stream) -> None:
    ask = Ask(
        id="1",
        mailbox="m",
        model="bot",
        turns=tuple(turns),
        decode={"beam_size": 2},
        stream=stream,
        details=not stream,
        priority=1,
        deadline=12.5,
    )
    assert Ask.load(ask.dump().encode()) == ask


@given(text=texts, piece=st.none() | texts)
def test_replies_survive_the_journey(text, piece) -> None:
    told = Details((text, "b"), (-1.0, -0.5), ("a",), ((1.0,), (1.0,)))
    replies = [
        Reply(
            id="0", candidates=(Candidate(text, -1.5, told), Candidate("", 0.0, Details((), ())))
        ),
        Reply(id="1", piece=piece),
        Reply(id="2", candidates=(Candidate(text, -1.5), Candidate("b", -2.0)), batch=3),
        Reply(id="3", error="SpecError", message=text, field="decode.n_best"),
    ]
    assert load_replies(dump_replies(replies).encode()) == replies
