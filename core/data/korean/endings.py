"""How a Korean statement ends, and how the same is asked: 제공합니다 becomes 제공하는가.

All questions end plainly, as those of Korean question sets do, however polite the statement is.
A verb asks with -는가, an adjective with -ㄴ가 or -은가, and what something is with -인가. The two
cannot be told apart by their form, so adjectives are listed.
"""

from core.text.hangul import final, with_final

# What becomes an adjective with -하다; behind anything else that is a verb.
_DESCRIBED = frozenset(
    """
    가능 간결 간단 간략 간편 강력 거대 건강 견고 고요 고유 공평 과도 광범위 궁금 균등 균일 균질
    기이 까다 깔끔 깨끗 끔찍 다양 단순 단일 당연 독특 동등 동일 따뜻 똑똑 로맨틱 만 멍청 명백 명확
    모호 무관 무한 무해 미묘 미안 민감 밀접 바람직 복잡 부정확 부적절 부적합 부족 부지런 분명
    불가능 불가피 불명확 불완전 불투명 불편 불필요 불확실 비슷 빈번 사소 상당 상세 상이 섬세 세밀
    소심 솔직 순수 순진 신기 신선 심각 안전 엄격 엉뚱 완벽 완전 우아 우울 우수 위대 위험 유능 유리
    유명 유연 유용 유익 유일 유사 유한 유효 이상 익숙 인접 일정 자세 자연 자유 작동가능 저렴 적당
    적절 적합 정교 정밀 정직 정확 조용 조잡 죄송 중대 중요 지루 진정 착 철저 추상적 충분 친근 친숙
    친절 타당 투명 튼튼 특별 특수 특이 편리 편안 평등 평범 평평 풍부 피곤 필요 한가 행복 확실 활발
    훌륭 흔 희미
    """.split()  # noqa: SIM905 (a list of so many is harder to read)
)
_OPEN = (
    "다르",
    "크",
    "빠르",
    "느리",
    "나쁘",
    "바쁘",
    "예쁘",
    "기쁘",
    "슬프",
    "아프",
    "비싸",
    "흐리",
)
_CLOSED = ("같", "좋", "많", "높", "낮", "작", "적", "깊", "얕", "넓", "좁", "짧", "밝", "굵", "싫")
_SOFT = (  # whose ㅂ becomes 우 before a vowel
    *("어렵", "쉽", "가깝", "무겁", "가볍", "두껍", "뜨겁", "차갑", "덥", "춥", "맵", "고맙"),
    *("아름답", "새롭", "해롭", "까다롭", "자유롭", "스럽", "부드럽", "더럽", "어둡", "두렵"),
)
_ACTED = (
    *(
        "받",
        "얻",
        "찾",
        "닫",
        "읽",
        "넣",
        "갖",
        "담",
        "잡",
        "낳",
        "막",
        "묶",
        "섞",
        "놓",
        "남",
        "붙",
    ),
    *("접", "맞", "믿", "잃", "찍", "씻", "웃", "앉", "먹", "입", "죽", "속", "녹", "숨"),
)
# Verbs whose stem ends with 이, beside nouns before "is"; the whole word, or the end of one.
_WHOLE = frozenset({"보", "쓰", "줄", "붙", "높", "쌓", "섞", "놓", "죽", "먹", "녹", "끓", "들"})
_ENDS = ("움직", "덧붙", "받아들", "곁들", "기울", "해 보", "길들")


def asked(statement: str) -> str | None:
    """Return the question of ``statement``, which has no full stop; None where none is known."""
    said = _plain(statement)
    return None if said is None else f"{said}?"


def plainly(statement: str) -> str | None:
    """Return a polite ``statement``, without its full stop, as books say it: 제공합니다, 제공한다.

    None where it is not polite, or nobody knows how it ends.
    """
    if not _is_polite(statement):
        return None
    said = statement[:-2]
    if said.endswith(" 겁"):
        return f"{said[:-1]}것이다"
    if said.endswith("습"):
        return _told_after_consonant(said[:-1])
    stem = with_final(said, "")
    is_something = stem.endswith("이") and not _is_verb(stem[:-1])
    return f"{stem}다" if is_something or _is_described(stem) else f"{with_final(stem, 'ㄴ')}다"


def _is_polite(statement: str) -> bool:
    """Return whether it ends with -ㅂ니다 or -습니다, as 아니다 does not."""
    return statement.endswith("니다") and final(statement[:-2]) == "ㅂ"


def _told_after_consonant(stem: str) -> str | None:
    if final(stem) in {"ㅆ", "ㅄ"} or stem.endswith((*_SOFT, *_CLOSED)):
        return f"{stem}다"
    if stem.endswith("지 않"):
        return f"{stem}다" if _is_described(stem.removesuffix("지 않")) else f"{stem}는다"
    return f"{stem}는다" if stem.endswith(_ACTED) else None


def _plain(statement: str) -> str | None:
    if _is_polite(statement):
        return _formal(statement[:-2])
    if statement.endswith(("어요", "어")):  # only of the past: 먹어 may be an order
        stem = statement.removesuffix("요")[:-1]
        return f"{stem}는가" if final(stem) in {"ㅆ", "ㅄ"} else None
    return _written(statement[:-1]) if statement.endswith("다") else None


def _formal(said: str) -> str | None:
    """Ask what ends politely; its -니다 is not in ``said`` any more."""
    if said.endswith(" 겁"):
        return f"{said[:-1]}것인가"
    if said.endswith("습"):
        return _after_consonant(said[:-1])
    stem = with_final(said, "")
    if stem.endswith("이") and not _is_verb(stem[:-1]):
        return f"{stem[:-1]}인가"
    return _after_vowel(stem)


def _written(said: str) -> str | None:
    """Ask what ends with -다, which is not in ``said`` any more."""
    if said.endswith("이"):
        return None if _is_verb(said[:-1]) else f"{said[:-1]}인가"
    if said.endswith("는"):  # 먹는다
        return f"{said}가"
    if final(said) == "ㄴ":  # 제공한다
        return f"{with_final(said, '')}는가"
    if final(said):
        return _after_consonant(said, acted=False)
    return _after_vowel(said) if _is_described(said) else None


def _after_consonant(stem: str, *, acted: bool = True) -> str | None:
    """Ask with a stem that ends with a consonant; ``acted`` if it may be that of a verb."""
    if final(stem) in {"ㅆ", "ㅄ"}:  # 있, 없, and all that is past
        return f"{stem}는가"
    if stem.endswith("지 않"):
        denied = stem.removesuffix("지 않")
        return f"{stem}은가" if _is_described(denied) else f"{stem}는가" if acted else None
    if stem.endswith(_SOFT):
        return f"{with_final(stem, '')}운가"
    if stem.endswith(_CLOSED):
        return f"{stem}은가"
    return f"{stem}는가" if acted and stem.endswith(_ACTED) else None


def _after_vowel(stem: str) -> str:
    """Ask with a stem that ends with a vowel, or had ㄹ there before something was put behind."""
    return f"{with_final(stem, 'ㄴ')}가" if _is_described(stem) else f"{stem}는가"


def _is_described(stem: str) -> bool:
    """Return whether a stem is that of an adjective."""
    word = stem.rpartition(" ")[2]
    if word.endswith("하"):
        return word[:-1] in _DESCRIBED
    return word.endswith(("아니", *_OPEN, *_CLOSED, *_SOFT))


def _is_verb(stem: str) -> bool:
    """Return whether ``stem`` and 이 are the stem of a verb: 보이다, and not 정보이다."""
    return stem.rpartition(" ")[2] in _WHOLE or stem.endswith(_ENDS)
