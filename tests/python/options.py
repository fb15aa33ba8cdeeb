"""The types of the options, from the table of the engine: python options.py > crates/python/python/retort/_options.py"""

import keyword

import retort

HEAD = '''"""The options of `convert` and `preview`, as `retort.options()` lists them. Written by tests/python/options.py."""

from typing import Literal, TypedDict


class Options(TypedDict, total=False):
'''


def kind(option):
    values = option.get("values")
    if values == ["True", "False"]:
        return "bool"
    if values:
        return "Literal[" + ", ".join(f'"{value}"' for value in values) + "]"
    return "int" if "most" in option else "str"


def named(name):
    return f"{name}_" if keyword.iskeyword(name) else name


def page():
    return HEAD + "".join(f"    {named(name)}: {kind(one)}\n" for name, one in retort.options().items())


if __name__ == "__main__":
    print(page(), end="")
