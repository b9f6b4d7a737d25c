"""String, regular expression, URL and binary functions: values of Trino's documentation and of its functions' own tests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.python.athena_local.rendered import check, check_errors, types

Execute = Callable[..., Any]


def test_string_functions_give_trinos_values(execute: Execute) -> None:
    check(
        execute,
        {
            "chr(65)": "A",
            "codepoint('A')": "65",
            "concat('a', 'b', 'c')": "abc",
            "concat_ws(',', 'a', null, 'b')": "a,b",
            "concat_ws(',', array['x', null, 'y'])": "x,y",
            "hamming_distance('abc', 'abd')": "1",
            "levenshtein_distance('kitten', 'sitting')": "3",
            "length('héllo')": "5",
            "lower('ÄB')": "äb",
            "lpad('abc', 5, 'xy')": "xyabc",
            "rpad('abc', 2, 'x')": "ab",
            "ltrim('  a ')": "a ",
            "trim(U&'\\0009 a \\000A')": "a",
            "trim(both 'x' from 'xxaxx')": "a",
            "trim('  a  ')": "a",
            "luhn_check('79927398713')": "true",
            "luhn_check('79927398714')": "false",
            "position('b' in 'abc')": "2",
            "replace('abcabc', 'b')": "acac",
            "replace('abc', 'b', 'XX')": "aXXc",
            "replace('ab', '', '-')": "-a-b-",
            "reverse('abc')": "cba",
            "soundex('Miller')": "M460",
            "soundex('Muller')": "M460",
            "split('a,b,c', ',')": "[a, b, c]",
            "split('a,b,c', ',', 2)": "[a, b,c]",
            "split_part('a,b,c', ',', 2)": "b",
            "split_part('a,b', ',', 5)": None,
            "split_to_map('a:1;b:2', ';', ':')": "{a=1, b=2}",
            "split_to_multimap('a:1;a:2', ';', ':')": "{a=[1, 2]}",
            "starts_with('abc', 'ab')": "true",
            "strpos('abcb', 'x')": "0",
            "strpos('abcb', 'b', 2)": "4",
            "strpos('abcb', 'b', -1)": "4",
            "strpos('abcb', 'b', -2)": "2",
            "substr('abcde', 2)": "bcde",
            "substr('abcde', -2)": "de",
            "substr('abcde', 0)": "",
            "substr('abcde', -9)": "",
            "substr('abcde', 2, 3)": "bcd",
            "substr('abcde', 2, -1)": "",
            "substring('abcde' from 2 for 2)": "bc",
            "translate('abcd', 'ac', '1')": "1bd",
            "normalize('e' || chr(769))": "é",
            "length(normalize('é', NFD))": "2",
        },
    )


def test_format_is_javas(execute: Execute) -> None:
    check(
        execute,
        {
            "format('%s%%', 123)": "123%",
            "format('%.5f', pi())": "3.14159",
            "format('%03d', 8)": "008",
            "format('%,.2f', 1234567.89e0)": "1,234,567.89",
            "format('%-7s,%7s', 'hello', 'world')": "hello  ,  world",
            "format('%2$s %3$s %1$s', 'a', 'b', 'c')": "b c a",
            "format('%,d', -1234567)": "-1,234,567",
            "format('%x', 255)": "ff",
            "format('%.1e', 1234.5e0)": "1.2e+03",
            "format('%b', true)": "true",
            "format_number(123456)": "123K",
            "format_number(1000000)": "1M",
            "human_readable_seconds(96)": "1 minute, 36 seconds",
            "human_readable_seconds(3762)": "1 hour, 2 minutes, 42 seconds",
            "human_readable_seconds(56363463)": "93 weeks, 1 day, 8 hours, 31 minutes, 3 seconds",
            "parse_data_size('2.3MB')": "2411724",
            "parse_data_size('1B')": "1",
            "parse_duration('42.8ms')": "0 00:00:00.043",
            "parse_duration('3.81 d')": "3 19:26:24.000",
            "parse_duration('5m')": "0 00:05:00.000",
        },
    )


def test_regular_expressions_are_javas(execute: Execute) -> None:
    check(
        execute,
        {
            r"regexp_count('1a 2b 14m', '\s*[a-z]+\s*')": "3",
            r"regexp_extract_all('1a 2b 14m', '\d+')": "[1, 2, 14]",
            r"regexp_extract_all('1a 2b 14m', '(\d+)([a-z]+)', 2)": "[a, b, m]",
            r"regexp_extract('1a 2b 14m', '\d+')": "1",
            r"regexp_extract('1a 2b 14m', '(\d+)([a-z]+)', 2)": "a",
            r"regexp_extract('abc', 'x')": None,
            r"regexp_like('1a 2b 14m', '\d+b')": "true",
            r"regexp_replace('1a 2b 14m', '\d+[ab] ')": "14m",
            r"regexp_replace('1a 2b 14m', '(\d+)([ab]) ', '3c$2 ')": "3ca 3cb 14m",
            r"regexp_replace('new york', '(?<first>\w)(\w*)', '${first}-$2')": "n-ew y-ork",
            r"regexp_split('1a 2b 14m', '\s*[a-z]+\s*')": "[1, 2, 14, ]",
            r"regexp_position('I have 23 apples, 5 pears and 13 oranges', '\b\d+\b')": "8",
            r"regexp_position('I have 23 apples, 5 pears and 13 oranges', '\b\d+\b', 5)": "8",
            r"regexp_position('I have 23 apples, 5 pears and 13 oranges', '\b\d+\b', 12, 2)": "31",
            # what RE2 has not
            r"regexp_extract('aXb', '(?<=a)X(?=b)')": "X",
            r"regexp_like('aa', '^(a)\1$')": "true",
            r"regexp_like('aaa', 'a*+a')": "false",
            r"regexp_replace('a.b', '\Q.\E', '-')": "a-b",
            r"regexp_like('é', '^\p{L}$')": "true",
        },
    )


def test_urls_are_taken_apart(execute: Execute) -> None:
    url = "'http://user@example.com:8080/a/p?k1=v1&k2=v%202#frag'"
    check(
        execute,
        {
            f"url_extract_protocol({url})": "http",
            f"url_extract_host({url})": "example.com",
            f"url_extract_port({url})": "8080",
            f"url_extract_path({url})": "/a/p",
            f"url_extract_query({url})": "k1=v1&k2=v 2",
            f"url_extract_fragment({url})": "frag",
            f"url_extract_parameter({url}, 'k2')": "v 2",
            f"url_extract_parameter({url}, 'k3')": None,
            "url_extract_host('no url at all')": None,
            "url_encode('a b&c*d~')": "a+b%26c*d%7E",
            "url_decode('a+b%26c')": "a b&c",
        },
    )


def test_hashes_and_encodings_are_bit_for_bit(execute: Execute) -> None:
    check(
        execute,
        {
            "to_hex(md5(to_utf8('abc')))": "900150983CD24FB0D6963F7D28E17F72",
            "to_hex(sha1(to_utf8('abc')))": "A9993E364706816ABA3E25717850C26C9CD0D89D",
            "to_hex(sha256(to_utf8('')))": "E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855",
            "to_hex(substr(sha512(to_utf8('abc')), 1, 4))": "DDAF35A1",
            "to_hex(xxhash64(to_utf8('hello')))": "26C7827D889F6DA3",
            "to_hex(xxhash64(to_utf8('')))": "EF46DB3751D8E999",
            "to_hex(xxhash64(to_utf8('Nobody inspects the spammish repetition')))": "FBCEA83C8A378BF1",
            "to_hex(murmur3(from_base64('aaaaaa')))": "BA5855635569B42F4920372CA0E396EF",
            "crc32(to_utf8('hello'))": "907060870",
            "to_hex(hmac_md5(to_utf8('what do ya want for nothing?'), to_utf8('Jefe')))": (
                "750C783E6AB0B503EAA86E310A5DB738"
            ),
            "to_base64(to_utf8('hello'))": "aGVsbG8=",
            "from_utf8(from_base64('aGVsbG8='))": "hello",
            "to_base64url(x'fbff')": "-_8=",
            "to_base32(to_utf8('hi'))": "NBUQ====",
            "from_utf8(from_base32('NBUQ===='))": "hi",
            "to_hex(from_hex('0aFf'))": "0AFF",
            "to_hex(to_big_endian_32(-1))": "FFFFFFFF",
            "from_big_endian_64(x'0000000000000102')": "258",
            "to_hex(to_ieee754_64(1e0))": "3FF0000000000000",
            "from_ieee754_32(x'3f800000')": "1.0",
            "from_utf8(x'41ff42')": "A\ufffdB",
            "from_utf8(x'41ff42', '?')": "A?B",
            "length(x'010203')": "3",
            "substr(x'010203', -2)": "02 03",
            "reverse(x'010203')": "03 02 01",
        },
    )


def test_text_results_have_trinos_types(execute: Execute) -> None:
    expected = {
        "'abc'": "varchar(3)",
        "upper('abc')": "varchar(3)",
        "'a' || 'b'": "varchar",
        "replace('abc', 'b')": "varchar(3)",
        "split('a,b', ',')": "array(varchar(3))",
        "length('a')": "bigint",
        "codepoint('a')": "integer",
        "chr(65)": "varchar(1)",
        "to_utf8('a')": "varbinary",
        "soundex('a')": "varchar(4)",
        "coalesce('a', 'abc')": "varchar(3)",
        "regexp_position('a', 'a')": "integer",
    }
    assert types(execute, list(expected)) == expected


def test_arguments_are_refused_as_by_trino(execute: Execute) -> None:
    check_errors(
        execute,
        {
            "length(5)": "FUNCTION_NOT_FOUND: line 1:8: Unexpected parameters (integer) for function length."
            " Expected: length(char(x)), length(varbinary), length(varchar(x))",
            "lower(1)": "FUNCTION_NOT_FOUND: line 1:8: Unexpected parameters (integer) for function lower. Expected: ",
            "concat('a')": "FUNCTION_NOT_FOUND: line 1:8: Unexpected parameters (varchar(1)) for function concat.",
            "split_part('a', ',', 0)": "INVALID_FUNCTION_ARGUMENT: Index must be greater than zero",
            "split('a', '')": "INVALID_FUNCTION_ARGUMENT: The delimiter may not be the empty string",
            "hamming_distance('a', 'ab')": "INVALID_FUNCTION_ARGUMENT: The input strings to hamming_distance function"
            " must have the same length",
            "lpad('a', -1, 'x')": "INVALID_FUNCTION_ARGUMENT: Target length must be in the range [0..2147483647]",
            "lpad('a', 3, '')": "INVALID_FUNCTION_ARGUMENT: Padding string must not be empty",
            "regexp_extract('a', '(a)', 2)": "INVALID_FUNCTION_ARGUMENT: Pattern has 1 groups. Cannot access group 2",
            "split_to_map('a:1;a:2', ';', ':')": "INVALID_FUNCTION_ARGUMENT: Duplicate keys (a) are not allowed",
            "from_hex('f')": "INVALID_FUNCTION_ARGUMENT",
            "format('%d', 'a')": "INVALID_FUNCTION_ARGUMENT: Invalid format string: %d",
            "md5('a')": "FUNCTION_NOT_FOUND: line 1:8: Unexpected parameters (varchar(1)) for function md5."
            " Expected: md5(varbinary)",
        },
    )
