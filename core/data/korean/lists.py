"""Closed lists of Korean words that decide whether, and with which word, is asked about a noun."""

# Nouns that mean nothing without what is before them, or that point at something said before.
EMPTY = frozenset(
    """
    것 수 때 경우 데 바 점 등 중 뿐 전 후 대신 때문 동안 이상 이하 정도 만큼 대로 줄 채 듯 편 번
    가지 개 하나 둘 일부 다음 여기 거기 저기 이곳 그곳 이것 그것 저것 이들 그들 그녀 이 그 저 나 너
    내 네 우리 저희 너희 당신 자신 자기 누구 무엇 어디 언제 무언 아무 모두 모든 각각 각 서로 위
    아래 앞 뒤 사이 외 예 이때 나머지 대부분 덕분 의미 목적 이유 반면 이후 이전 말 건 게 걸 거 곳
    자체 역할 형태 방식 방법 상황 결과 필요 가능성 최대 최소 더 덜 잘 꼭 못 안 곧 참 얘 걔 쟤 뭐 일
    분 쪽 만 도 전부 이게 그게 이거 그거 그때 예정 위함 사실 하지 누군 언젠 어딘 무언가 누군가 사용
    가운데 내용 대상 부분 사항 차이 일환 그중 여러분 본인 몇 몇몇 여러 다른 같은 나중 제자리 상대적
    임의 별도 일련 일종 고유 다수 소수 복수 단일 약간 대량 통상 최고 나름 기존 별개 하위 상위 본래
    마지막 처음 어딘가
    """.split()  # noqa: SIM905 (a list of so many is harder to read)
)
# What says how, when or how much, and is part of no phrase.
ADVERBIAL = frozenset(
    """
    현재 보통 항상 이미 아직 또한 만일 만약 가령 다시 먼저 나중 직접 오직 단지 바로 매우 아주 가장
    너무 조금 많이 더욱 특히 결국 여전히 그때 오늘 어제 내일 지금 최근 하지만 그러나 그리고 따라서
    그래서 한번 혼자 이제 아마 대신 거의 전혀 이후 이전 당시 요즘 늘 곧 막 더 잘 꼭 못 안 다 정말
    진짜 반드시 역시 혹시 즉시 그대로 서로 함께 같이 모두 각각
    """.split()  # noqa: SIM905 (as above)
)
# What says how where -로 stands behind it, and names no means.
MANNERS = frozenset(
    """
    별도 실제 때 대 바 주 서 새 스스 반대 임의 강제 차례 동시 자동 수동 절대 기본 함부 마음대 참고
    예 그대 제대 이대 정말 진짜 일반 순서 실수 억지 진심 의도 원래 정식 기반 기준 중심 목표 필요
    위주 추가 개별 전체 최소 최대 잠재 점진 홀 날 거꾸 멋대 순차 현재 무작위 선택 우선 한꺼번 대체
    사실 앞 뒤 하나 따
    """.split()  # noqa: SIM905 (as above)
)
ATTRIBUTES = frozenset(("새", "새로운", "옛", "주요", "특정", "큰", "작은", "빈", "추가", "기본"))
# What makes a phrase point at another one.
DEICTIC = frozenset(
    """
    이 그 저 이런 그런 저런 해당 이러한 그러한 제 내 네 우리 위의 아래의 다음 같은 다른 나의 너의
    어떤 아무
    """.split()  # noqa: SIM905 (as above)
)
JOINING = frozenset(("또는", "혹은", "및", "내지"))
JOINED = ("과", "와", "하고", "이나", "랑", "거나", "든")  # ends of what goes on behind it

PERSONS = frozenset(
    """
    톰 메리 존 사람 사용자 개발자 프로그래머 관리자 저자 작성자 작가 친구 선생님 선생 아버지 어머니
    엄마 아빠 아이 아이들 학생 의사 경찰 남자 여자 소년 소녀 형제 자매 누나 언니 오빠 동생 아들 딸
    할머니 할아버지 부모님 왕 임금 대통령 사장 과학자 화가 가수 배우 농부 상인 군인 주인 손님 여왕
    아내 남편 삼촌 이모 귀도 메인테이너
    """.split()  # noqa: SIM905 (as above)
)
PLACES = frozenset(
    """
    파일 디렉터리 디렉토리 폴더 서버 목록 페이지 화면 메모리 스택 큐 위치 장소 경로 나라 도시 마을
    학교 집 방 회사 병원 도서관 공원 역 바다 강 산 섬 땅 하늘 땅속 지하 서울 부산 한국 일본 중국
    미국 독일 프랑스 영국 호주 보스턴 런던 파리 도쿄 캐나다 유럽 아시아 부엌 정원 교회 은행 시장
    가게 식당 호텔 공항 해안 호수 숲 벽 책상 탁자 침대 문 창문 절 궁궐 들판 항구 집안 안쪽 바깥쪽
    북쪽 남쪽 동쪽 서쪽 오른쪽 왼쪽 가운데
    """.split()  # noqa: SIM905 (as above)
)
NUMBERS = ("두", "세", "네", "다섯", "여섯", "일곱", "여덟", "아홉", "열", "열두", "수십", "수백")
COUNTERS = (
    *("개", "명", "번", "가지", "살", "시간", "초", "바이트", "비트", "자리", "단계", "배", "종류"),
    *("글자", "마리", "권", "층", "달"),
)
TIMES = frozenset(("어제", "내일", "작년", "내년", "지난주", "지난달", "그저께", "모레"))
# What a statement may begin with and its question has no use for.
OPENINGS = (
    *("또한", "그러나", "하지만", "그리고", "따라서", "그래서", "즉", "특히", "다만", "그런데"),
    *("참고로", "예를 들어"),
)
