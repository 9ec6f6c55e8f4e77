"""The domains of the embedded benchmark: tables, columns, how people speak of them, and where values come from."""

from __future__ import annotations

from dataclasses import dataclass

COUNTRIES = ("France", "Japan", "Brazil", "Canada", "Kenya", "Norway", "India", "Mexico")
CITIES = ("Paris", "Tokyo", "Lima", "Oslo", "Cairo", "Delhi", "Boston", "Madrid", "Vienna")
FIRST_NAMES = (
    "Anna", "Boris", "Clara", "David", "Elena", "Felix", "Grace", "Hugo", "Irene", "Jonas", "Karen", "Leon", "Maria",
    "Nils", "Olga", "Peter", "Rosa", "Simon", "Tara", "Victor",
)  # fmt: skip
LAST_NAMES = (
    "Adams", "Baker", "Costa", "Duval", "Evans", "Fischer", "Garcia", "Hansen", "Ivanov", "Jensen", "Keller", "Lopez",
    "Meyer", "Novak", "Olsen", "Perez", "Quinn", "Rossi", "Silva", "Tanaka",
)  # fmt: skip
ADJECTIVES = (
    "Silent", "Golden", "Broken", "Hidden", "Bright", "Little", "Distant", "Frozen", "Crimson", "Gentle", "Ancient",
    "Electric",
)  # fmt: skip
THINGS = (
    "River", "Mirror", "Garden", "Summer", "Harbor", "Forest", "Window", "Letter", "Shadow", "Castle", "Island",
    "Engine",
)  # fmt: skip


@dataclass(frozen=True)
class Label:
    """A text column that names its row; every value is different. ``made_of`` is ``"person"`` or ``"thing"``."""

    name: str
    phrases: tuple[str, ...]
    made_of: str


@dataclass(frozen=True)
class Category:
    """A text column with few values."""

    name: str
    phrases: tuple[str, ...]
    values: tuple[str, ...]


@dataclass(frozen=True)
class Number:
    """An integer column; ``most`` and ``least`` are the words for its extremes ("oldest", "youngest")."""

    name: str
    phrases: tuple[str, ...]
    low: int
    high: int
    most: str
    least: str


@dataclass(frozen=True)
class TableSpec:
    """A table with a label, and other columns in order. ``nouns`` are plural forms; ``singular`` is the first's."""

    name: str
    nouns: tuple[str, ...]
    singular: str
    label: Label
    columns: tuple[Category | Number, ...]
    rows: int

    @property
    def key(self) -> str:
        """The name of the primary key."""
        return f"{self.name}_id"

    @property
    def categories(self) -> list[Category]:
        """The columns with few values."""
        return [column for column in self.columns if isinstance(column, Category)]

    @property
    def numbers(self) -> list[Number]:
        """The integer columns."""
        return [column for column in self.columns if isinstance(column, Number)]


@dataclass(frozen=True)
class Domain:
    """A database of two tables: every row of ``child`` belongs to one of ``parent``. ``verb``: "singers made albums"."""

    name: str
    parent: TableSpec
    child: TableSpec
    verb: str


DOMAINS = (
    Domain(
        "music",
        TableSpec(
            "singer", ("singers", "vocalists", "artists"), "singer", Label("name", ("names", "full names"), "person"),
            (
                Category("country", ("countries", "home countries"), COUNTRIES),
                Number("age", ("ages", "years of age"), 18, 80, "oldest", "youngest"),
                Number("awards", ("awards", "numbers of awards"), 0, 30, "most awarded", "least awarded"),
            ),
            32,
        ),
        TableSpec(
            "album", ("albums", "records", "releases"), "album", Label("title", ("titles", "album titles"), "thing"),
            (
                Category("genre", ("genres", "styles"), ("rock", "jazz", "folk", "pop", "blues", "soul")),
                Number("year", ("years", "release years"), 1970, 2023, "newest", "earliest"),
                Number("sales", ("sales", "sold copies"), 100, 9000, "best selling", "worst selling"),
            ),
            60,
        ),
        "made",
    ),
    Domain(
        "travel",
        TableSpec(
            "hotel", ("hotels", "inns", "lodgings"), "hotel", Label("hotel_name", ("names", "hotel names"), "thing"),
            (
                Category("city", ("cities", "locations"), CITIES),
                Number("stars", ("stars", "star ratings"), 1, 5, "best rated", "worst rated"),
                Number("rooms", ("rooms", "numbers of rooms"), 10, 400, "largest", "smallest"),
            ),
            30,
        ),
        TableSpec(
            "booking", ("bookings", "reservations", "stays"), "booking", Label("guest", ("guests", "guest names"), "person"),
            (
                Category("season", ("seasons", "times of year"), ("spring", "summer", "autumn", "winter")),
                Number("nights", ("nights", "lengths of stay"), 1, 21, "longest", "shortest"),
                Number("price", ("prices", "costs"), 50, 4000, "most expensive", "cheapest"),
            ),
            60,
        ),
        "received",
    ),
    Domain(
        "school",
        TableSpec(
            "teacher", ("teachers", "instructors", "lecturers"), "teacher", Label("name", ("names", "full names"), "person"),
            (
                Category("subject", ("subjects", "fields"), ("physics", "history", "biology", "music", "latin")),
                Number("salary", ("salaries", "pay"), 2000, 9000, "best paid", "worst paid"),
                Number("experience", ("experience", "years of experience"), 1, 40, "most experienced", "least experienced"),
            ),
            28,
        ),
        TableSpec(
            "course", ("courses", "classes", "lectures"), "course", Label("title", ("titles", "course titles"), "thing"),
            (
                Category("level", ("levels", "grades"), ("beginner", "middle", "advanced", "expert")),
                Number("credits", ("credits", "credit points"), 1, 12, "most rewarding", "least rewarding"),
                Number("students", ("students", "enrolments"), 5, 300, "most popular", "least popular"),
            ),
            60,
        ),
        "taught",
    ),
    Domain(
        "library",
        TableSpec(
            "author", ("authors", "writers", "novelists"), "author", Label("name", ("names", "full names"), "person"),
            (
                Category("nation", ("nations", "homelands"), COUNTRIES),
                Number("born", ("birth years", "years of birth"), 1850, 1999, "youngest", "oldest"),
                Number("prizes", ("prizes", "numbers of prizes"), 0, 25, "most honoured", "least honoured"),
            ),
            32,
        ),
        TableSpec(
            "book", ("books", "novels", "volumes"), "book", Label("title", ("titles", "book titles"), "thing"),
            (
                Category("language", ("languages", "tongues"), ("English", "German", "Spanish", "Arabic", "Greek")),
                Number("pages", ("pages", "page counts"), 60, 1200, "thickest", "thinnest"),
                Number("copies", ("copies", "copies in stock"), 1, 50, "most stocked", "least stocked"),
            ),
            60,
        ),
        "wrote",
    ),
    Domain(
        "shop",
        TableSpec(
            "brand", ("brands", "makers", "manufacturers"), "brand", Label("brand_name", ("names", "brand names"), "thing"),
            (
                Category("origin", ("origins", "countries of origin"), COUNTRIES),
                Number("founded", ("founding years", "years of foundation"), 1900, 2020, "newest", "oldest"),
                Number("staff", ("staff", "numbers of employees"), 10, 5000, "largest", "smallest"),
            ),
            28,
        ),
        TableSpec(
            "product", ("products", "items", "articles"), "product", Label("product_name", ("names", "product names"), "thing"),
            (
                Category("material", ("materials", "fabrics"), ("wood", "steel", "glass", "cotton", "leather")),
                Number("price", ("prices", "costs"), 5, 900, "most expensive", "cheapest"),
                Number("stock", ("stock", "units in stock"), 0, 500, "best stocked", "worst stocked"),
            ),
            60,
        ),
        "sell",
    ),
    Domain(
        "sport",
        TableSpec(
            "team", ("teams", "clubs", "squads"), "team", Label("team_name", ("names", "team names"), "thing"),
            (
                Category("home", ("homes", "home towns"), CITIES),
                Number("points", ("points", "scores"), 0, 99, "best", "worst"),
                Number("titles", ("titles", "championships"), 0, 20, "most successful", "least successful"),
            ),
            26,
        ),
        TableSpec(
            "player", ("players", "athletes", "sportsmen"), "player", Label("player_name", ("names", "player names"), "person"),
            (
                Category("position", ("positions", "roles"), ("keeper", "defender", "winger", "striker")),
                Number("goals", ("goals", "goals scored"), 0, 60, "highest scoring", "lowest scoring"),
                Number("height", ("heights", "body heights"), 155, 210, "tallest", "shortest"),
            ),
            60,
        ),
        "signed",
    ),
)  # fmt: skip
