"""The fenced blocks of README.md and docs/*.md, and how each is held: an HTML comment in the line above it says so,

    <!-- test: KIND ... -->

A block of `toml` without one is `check`, one of `sh` is `words`. docs/testing.md lists the kinds; `tests/check_docs` holds
those that need no namespace, walk.py runs the guides, and other tests take their block by block()."""

import glob
import os
import re
import shlex

KINDS = ("check", "check-with", "check-mesh", "words", "frr", "bird", "says", "on", "file", "shown", "by", "drawing", "not run")
DEFAULT = {"toml": "check", "sh": "words"}
FENCE = re.compile(r"^( *)```(.*)$")
TAG = re.compile(r"^ *<!-- test: (.*?) -->$")
WALK = re.compile(r"^<!-- walk: (net\.\w+|vm\.\w+) -->$")


class Block:
    def __init__(self, document, line, language, tag, text):
        self.document, self.line, self.language, self.text = document, line, language, text
        self.tag = tag if tag is not None else DEFAULT.get(language)
        self.kind = next((k for k in KINDS if self.tag is not None and re.match(re.escape(k) + r"(?:[ :]|$)", self.tag)), None)
        self.rest = self.tag[len(self.kind):].lstrip(" :") if self.kind else ""

    def where(self):
        return f"{self.document}:{self.line}"


def documents(root):
    return ["README.md"] + sorted(os.path.relpath(path, root) for path in glob.glob(os.path.join(root, "docs", "*.md")))


def read(root, document):
    with open(os.path.join(root, document), encoding="utf-8") as text:
        return text.read()


def walked_by(root, document):
    """The test that walks a guide, or None."""
    found = [WALK.match(line) for line in read(root, document).splitlines()]
    return next((match.group(1) for match in found if match), None)


def blocks(root, document):
    found, tag, open_fence = [], None, None
    for number, line in enumerate(read(root, document).splitlines(), 1):
        fence = FENCE.match(line)
        if open_fence is None and fence:
            open_fence = (number, fence.group(2).strip(), len(fence.group(1)), [])
        elif open_fence is not None and line.strip() == "```":
            start, language, _, lines = open_fence
            found.append(Block(document, start, language, tag, "".join(text + "\n" for text in lines)))
            open_fence = tag = None
        elif open_fence is not None:
            open_fence[3].append(line[min(open_fence[2], len(line) - len(line.lstrip())):])
        else:
            match = TAG.match(line)
            tag = match.group(1) if match else None
    if open_fence is not None:
        raise ValueError(f"{document}:{open_fence[0]}: the block has no end")
    return found


def block(root, document, test, nth=0):
    """The nth block of a document that says it is held `by` this test."""
    return [b for b in blocks(root, document) if b.kind == "by" and b.rest.split()[0] == test][nth]


def output_in(root, document, test, nth=0):
    """... that is what a command printed, without the line of the command."""
    return re.sub(r"^\$ .*\n", "", block(root, document, test, nth).text, flags=re.M)


def commands(text):
    """The simple commands of a shell block as lists of words; what stands in $( ) or ( ) too."""
    text = re.sub(r"\\\n\s*", " ", text)
    text = re.sub(r"<<'?(\w+)'?\n.*?\n\1$", "", text, flags=re.S | re.M)
    for line in text.splitlines():
        line = re.sub(r"\$\(|<\(", " ; ", line)
        lexer = shlex.shlex(line, posix=True, punctuation_chars="();<>|&")
        lexer.whitespace_split = True
        words = []
        redirected = False
        for word in [*lexer, ";"]:
            if set(word) <= set("();|&"):
                if words:
                    yield words
                words = []
            elif set(word) <= set("<>"):
                redirected = True
            elif redirected:
                redirected = False
            elif words or not re.match(r"^\w+=", word):
                words.append(word)


def matches(expected, said):
    """Whether each line of `expected` comes in `said`, in this order. Figures and the width of columns do not count, and
    `...` stands for anything."""
    def pattern(line):
        words = re.split(r"\s+", line.strip())
        text = r"\s+".join(r".*" if word == "..." else
                           re.sub(r"(?:\\\.)?\\\.\\\.", ".*", re.sub(r"\d+(?:\\\.\d+)?", r"[\\d.]+", re.escape(word)))
                           for word in words)
        return re.compile(text.replace(r"\s+.*", r"(?:\s.*)?") + r"\s*$")

    rest = iter(said.splitlines())
    for line in expected.splitlines():
        if line.strip() in ("", "..."):
            continue
        wanted = pattern(line)
        if not any(wanted.match(real.strip()) for real in rest):
            return line
    return None
