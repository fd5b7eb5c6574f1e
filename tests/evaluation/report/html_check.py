"""A strict reader of HTML: every element closed in order, attributes once, ids unique, nothing from outside."""

from __future__ import annotations

from html.parser import HTMLParser

VOID = {"br", "col", "hr", "img", "input", "meta"}
BLOCKS = {"p", "ul", "ol", "div", "section", "table", "figure", "details", "pre", "h1", "h2", "h3", "h4", "header"}
PARENTS = {"li": {"ul", "ol"}, "tr": {"thead", "tbody"}, "td": {"tr"}, "th": {"tr"}, "summary": {"details"}}
PARENTS |= {"thead": {"table"}, "tbody": {"table"}, "caption": {"table"}, "figcaption": {"figure"}}
KNOWN = VOID | BLOCKS | set(PARENTS) | {
    "html", "head", "body", "title", "style", "main", "nav", "a", "b", "small", "span", "code", "cite", "footer"
}  # fmt: skip


class Checker(HTMLParser):
    """Collects what is wrong, and the text and pictures of the page."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.wrong: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.images: list[dict[str, str | None]] = []
        self.words: list[str] = []
        self.tables: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        given = dict(attrs)
        if len(names) != len(set(names)):
            self.wrong.append(f"<{tag}> has an attribute twice")
        if tag not in KNOWN:
            self.wrong.append(f"<{tag}> does not belong here")
        if any(name.startswith("on") for name in names):
            self.wrong.append(f"<{tag}> has a script")
        parent = self.open[-1] if self.open else ""
        if tag in PARENTS and parent not in PARENTS[tag]:
            self.wrong.append(f"<{tag}> inside <{parent}>")
        if tag in BLOCKS and "p" in self.open:
            self.wrong.append(f"<{tag}> inside <p>")
        if "id" in given:
            self.ids.append(str(given["id"]))
        for name in ("src", "href", "srcset", "data", "action"):
            if name in given:
                self.links.append(str(given[name]))
        if tag == "img":
            self.images.append(given)
        if tag not in VOID:
            self.open.append(tag)
        if tag == "table":
            self.tables.append("")

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open[-1] != tag:
            self.wrong.append(f"</{tag}> closes {self.open[-1:]}")
            return
        self.open.pop()

    def handle_data(self, data: str) -> None:
        if self.open[-1:] != ["style"]:
            self.words.append(data)
        if "table" in self.open:
            self.tables[-1] += f"{data} "


def check(html: str) -> Checker:
    """Read a page; everything wrong is in `wrong`."""
    checker = Checker()
    checker.feed(html)
    checker.close()
    checker.wrong += [f"<{tag}> is never closed" for tag in checker.open]
    checker.wrong += [f"id {i} twice" for i in set(checker.ids) if checker.ids.count(i) > 1]
    anchors = {f"#{i}" for i in checker.ids}
    checker.wrong += [
        f"leads outside: {u[:60]}" for u in checker.links if not u.startswith("data:image/") and u not in anchors
    ]
    checker.wrong += [
        f"no words for {i.get('src', '')!s:.40}" for i in checker.images if not (i.get("alt") or "").strip()
    ]
    return checker
