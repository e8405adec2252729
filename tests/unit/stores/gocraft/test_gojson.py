"""Go's JSON, byte for byte. The expected lines were written by Go 1.19 (``json.NewEncoder(…).Encode(map)``)."""

from __future__ import annotations

import pytest

from stoker.stores.gocraft.gojson import in_gos_words

GO = {
    "keys in order, no spaces": ('{"b": 1, "a": "x"}', '{"a":"x","b":1}'),
    "an empty object": ("{}", "{}"),
    "signs of HTML": (
        '{"html":"<a href=\\"x\\">&</a>"}',
        '{"html":"\\u003ca href=\\"x\\"\\u003e\\u0026\\u003c/a\\u003e"}',
    ),
    "separators of lines": ('{"lines":"a\u2028b\u2029c"}', '{"lines":"a\\u2028b\\u2029c"}'),
    "control characters": (
        '{"controls":"\\t\\n\\r\\u0000\\u001f\x7f\\/\\\\\\"\'"}',
        '{"controls":"\\t\\n\\r\\u0000\\u001f\x7f/\\\\\\"\'"}',
    ),
    "other alphabets": ('{"unicode":"\\u00e9漢🚢"}', '{"unicode":"é漢🚢"}'),
    "integers of any size": (
        '{"u":18446744073709551615,"neg":-7,"big":1234567890123456789}',
        '{"big":1234567890123456789,"neg":-7,"u":18446744073709551615}',
    ),
    "numbers with a point": (
        '{"one":1.0,"half":0.5,"tenth":0.10,"mzero":-0.0}',
        '{"half":0.5,"mzero":-0,"one":1,"tenth":0.1}',
    ),
    "very large and very small numbers": (
        '{"e21":1e21,"e20":1e20,"e-6":1e-6,"e-7":1e-7,"x":123456789.123,"mix":1.5e-9}',
        '{"e-6":0.000001,"e-7":1e-7,"e20":100000000000000000000,"e21":1e+21,"mix":1.5e-9,"x":123456789.123}',
    ),
    "the largest and the smallest": (
        '{"small":5e-324,"large":1.7976931348623157e308}',
        '{"large":1.7976931348623157e+308,"small":5e-324}',
    ),
    "what is inside": (
        '{"nested":{"é":1,"z2":2,"z":[1,"<",null,true,{"b":2,"a":[]}],"Z":3}}',
        '{"nested":{"Z":3,"z":[1,"\\u003c",null,true,{"a":[],"b":2}],"z2":2,"é":1}}',
    ),
    "constants": ('{"t":true,"nil":null,"f":false}', '{"f":false,"nil":null,"t":true}'),
    "keys beyond the first plane": ('{"🚢":1,"\uffff":2,"":""}', '{"":"","\uffff":2,"🚢":1}'),
}


@pytest.mark.parametrize(("text", "expected"), GO.values(), ids=GO.keys())
def test_json_is_written_as_go_writes_it(text: str, expected: str) -> None:
    assert in_gos_words(text) == expected


@pytest.mark.parametrize("text", ['{"n":NaN}', '{"n":"\\ud800"}', "{", '{"n":Infinity}'])
def test_what_go_cannot_have_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        in_gos_words(text)
