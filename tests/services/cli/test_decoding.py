import pytest

from services.cli.decoding import decoding
from services.cli.failures import Exit, Failure


@pytest.mark.parametrize(
    ("settings", "asked"),
    [
        ([], {}),
        (["beam_size=8", "n_best=3"], {"beam_size": 8, "n_best": 3}),
        (["beam_size=8", "beam_size=2"], {"beam_size": 2}),
        (["temperature=null"], {"temperature": None}),
        (["alignments=true"], {"alignments": True}),
        (["stop=.", "stop=?"], {"stop": [".", "?"]}),
        (['stop=["a", "b"]', "stop=c=d"], {"stop": ["a", "b", "c=d"]}),
        (["stop=5"], {"stop": ["5"]}),
        ([r'stop="\n"'], {"stop": ["\n"]}),
        (["required=안녕 하세요"], {"required": ["안녕 하세요"]}),
        (["prefix=2024"], {"prefix": "2024"}),
        (['prefix=" and"'], {"prefix": " and"}),
    ],
)
def test_values_are_json_or_words(settings, asked) -> None:
    assert decoding(settings) == asked


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        (["beam_size"], "'beam_size' does not look like beam_size=8"),
        (["=3"], "'=3' does not look like"),
        (["beams=3"], "there is no 'beams'; there is beam_size, n_best"),
        (["beam_size=many"], "beam_size: Input should be a valid integer"),
        (["beam_size=0"], "beam_size: Input should be greater than or equal to 1"),
        (["temperature=1", "beam_size=4"], "temperature: sampling has no beam"),
        (["stop=[1]"], "stop.0: Input should be a valid string"),
        (["stop="], "stop.0: String should have at least 1 character"),
    ],
)
def test_what_makes_no_sense_is_named(settings, says) -> None:
    with pytest.raises(Failure) as caught:
        decoding(settings)
    assert caught.value.code == Exit.REFUSED
    assert caught.value.problem["detail"].startswith("--decode: ")
    assert says in caught.value.problem["detail"]
