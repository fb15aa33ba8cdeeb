"""The types of the options and filters, from the tables of the engine: python options.py > crates/python/python/retort/_options.py"""

import keyword

import retort

HEAD = '''"""The options of `convert` and `preview`, as `retort.options()` lists them, and the fields of `filter`, as
`retort.filters()` does. Written by tests/python/options.py.
"""

from typing import Literal, Sequence, TypedDict


class Options(TypedDict, total=False):
'''


FILTER = '''

class Filter(TypedDict, total=False):
'''


def kind(option):
    values = option.get("values")
    if values == ["True", "False"]:
        return "bool"
    if values:
        return "Literal[" + ", ".join(f'"{value}"' for value in values) + "]"
    return "int" if "most" in option else "str"


def filter_kind(field):
    values = field["values"]
    if values == [True, False]:
        one = "bool"
    elif isinstance(values, list):
        one = "Literal[" + ", ".join(f'"{value}"' for value in values) + "]"
    else:
        one = "int" if values == "a whole number" else "str"
    return f"Sequence[{one}]" if field["several"] else one


def named(name):
    return f"{name}_" if keyword.iskeyword(name) else name


def page():
    options = "".join(f"    {named(name)}: {kind(one)}\n" for name, one in retort.options().items())
    filters = "".join(f"    {name}: {filter_kind(one)}\n" for name, one in retort.filters().items())
    return f"{HEAD}{options}{FILTER}{filters}"


if __name__ == "__main__":
    print(page(), end="")
