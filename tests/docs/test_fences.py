"""The finder of examples finds them all, and only them."""

from __future__ import annotations

from pathlib import Path

from tests.docs.fences import Example, examples

PAGE = """# A page

```python
print("one")
```

```text title="output"
one
```

```console
$ stoker worker
```

``` { .python .no-run }
raise SystemExit(1)
```

```python title="jobs.py"
x = 1
```

- in a list

    ```python
    if True:
        print("four")
    ```

```pythonic
no
```
"""


def found(tmp_path: Path) -> list[Example]:
    page = tmp_path / "page.md"
    page.write_text(PAGE, encoding="utf-8")
    return list(examples(page))


def test_python_blocks_are_found_in_order_with_their_lines(tmp_path: Path) -> None:
    assert [example.line for example in found(tmp_path)] == [4, 16, 20, 26]


def test_a_block_that_says_no_run_is_not_run(tmp_path: Path) -> None:
    assert [example.runs for example in found(tmp_path)] == [True, False, True, True]


def test_a_title_names_the_file(tmp_path: Path) -> None:
    assert [example.name for example in found(tmp_path)] == ["example.py", "example.py", "jobs.py", "example.py"]


def test_the_indentation_of_a_list_is_removed(tmp_path: Path) -> None:
    assert found(tmp_path)[3].code == 'if True:\n    print("four")\n'


def test_what_an_example_prints_stands_in_the_block_after_it(tmp_path: Path) -> None:
    assert [example.output for example in found(tmp_path)] == ["one\n", None, None, None]
