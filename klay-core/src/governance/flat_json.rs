//! JSON objects without nesting: all that a governance field holds.
//!
//! Headers need it without the `serde` feature, and with the reference client's habits: white space is free, the last
//! of two equal keys wins, bytes that are not UTF-8 read as U+FFFD.

/// A member's value; objects, arrays and null are no parameter and are refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    Text(String),
    /// As it is written.
    Number(String),
    Bool(bool),
}

/// Reads one object that is all of `bytes`: members in order, with repetitions.
pub(super) fn parse(bytes: &[u8]) -> Option<Vec<(String, Value)>> {
    let text = String::from_utf8_lossy(bytes);
    let mut cursor = Cursor { rest: &text };
    cursor.expect('{')?;
    let mut members = Vec::new();
    if !cursor.accept('}') {
        loop {
            let key = cursor.string()?;
            cursor.expect(':')?;
            members.push((key, cursor.value()?));
            if cursor.accept('}') {
                break;
            }
            cursor.expect(',')?;
        }
    }
    cursor.skip_space();
    cursor.rest.is_empty().then_some(members)
}

/// Appends `text` in quotes, escaped as the reference client escapes it.
pub(super) fn put_string(text: &str, out: &mut String) {
    out.push('"');
    for char in text.chars() {
        match char {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\0'..='\u{1f}' | '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                out.push_str(&format!("\\u{:04x}", u32::from(char)));
            }
            _ => out.push(char),
        }
    }
    out.push('"');
}

struct Cursor<'a> {
    rest: &'a str,
}

impl Cursor<'_> {
    fn skip_space(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t', '\n', '\r']);
    }

    fn accept(&mut self, char: char) -> bool {
        self.skip_space();
        self.rest.strip_prefix(char).inspect(|rest| self.rest = rest).is_some()
    }

    fn expect(&mut self, char: char) -> Option<()> {
        self.accept(char).then_some(())
    }

    fn value(&mut self) -> Option<Value> {
        self.skip_space();
        match self.rest.chars().next()? {
            '"' => self.string().map(Value::Text),
            't' => self.word("true").map(|()| Value::Bool(true)),
            'f' => self.word("false").map(|()| Value::Bool(false)),
            _ => self.number().map(Value::Number),
        }
    }

    fn word(&mut self, word: &str) -> Option<()> {
        self.rest = self.rest.strip_prefix(word)?;
        Some(())
    }

    fn number(&mut self) -> Option<String> {
        let end = self.rest.find(|char: char| !matches!(char, '0'..='9' | '+' | '-' | '.' | 'e' | 'E'));
        let (text, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        self.rest = rest;
        is_number(text).then(|| text.to_owned())
    }

    fn string(&mut self) -> Option<String> {
        self.expect('"')?;
        let mut out = String::new();
        loop {
            let mut chars = self.rest.chars();
            let char = chars.next()?;
            self.rest = chars.as_str();
            match char {
                '"' => return Some(out),
                '\\' => out.push(self.escape()?),
                '\0'..='\u{1f}' => return None,
                _ => out.push(char),
            }
        }
    }

    fn escape(&mut self) -> Option<char> {
        let mut chars = self.rest.chars();
        let char = chars.next()?;
        self.rest = chars.as_str();
        Some(match char {
            '"' | '\\' | '/' => char,
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'u' => self.code_point()?,
            _ => return None,
        })
    }

    fn code_point(&mut self) -> Option<char> {
        let high = self.hex4()?;
        if (0xd800..0xdc00).contains(&high)
            && let Some(rest) = self.rest.strip_prefix("\\u")
            && let Some(low) = hex4(rest)
            && (0xdc00..0xe000).contains(&low)
        {
            self.rest = &rest[4..];
            return char::from_u32(0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00));
        }
        Some(char::from_u32(high).unwrap_or(char::REPLACEMENT_CHARACTER))
    }

    fn hex4(&mut self) -> Option<u32> {
        let value = hex4(self.rest)?;
        self.rest = &self.rest[4..];
        Some(value)
    }
}

fn hex4(text: &str) -> Option<u32> {
    let digits = text.get(..4).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))?;
    u32::from_str_radix(digits, 16).ok()
}

/// `-? (0 | [1-9][0-9]*) (. [0-9]+)? ([eE] [+-]? [0-9]+)?`
fn is_number(text: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let text = text.strip_prefix('-').unwrap_or(text);
    let (text, exponent) = text.split_once(['e', 'E']).map_or((text, None), |(text, exponent)| (text, Some(exponent)));
    let (whole, fraction) = text.split_once('.').map_or((text, None), |(whole, fraction)| (whole, Some(fraction)));
    digits(whole)
        && (whole == "0" || !whole.starts_with('0'))
        && fraction.is_none_or(digits)
        && exponent.is_none_or(|exponent| digits(exponent.strip_prefix(['+', '-']).unwrap_or(exponent)))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn strings_escape_and_parse_back() {
        for text in ["", "plain", "a\"b\\c", "\n\r\t\u{8}\u{c}\u{1}", "<&>", "\u{2028}", "ü€𝄞"] {
            let mut json = String::from("{ ");
            put_string(text, &mut json);
            json.push_str(" : ");
            put_string(text, &mut json);
            json.push('}');
            assert_eq!(parse(json.as_bytes()).unwrap(), [(text.to_owned(), Value::Text(text.to_owned()))]);
        }
        assert_eq!(parse(br#"{"\ud834\udd1e":true}"#).unwrap(), [("𝄞".to_owned(), Value::Bool(true))]);
        assert_eq!(parse(br#"{"\ud834":false}"#).unwrap(), [("\u{fffd}".to_owned(), Value::Bool(false))]);
    }

    #[test]
    fn only_one_flat_object_is_read() {
        for bad in [
            "",
            "{",
            "}",
            "[]",
            "null",
            "{}x",
            "{\"a\"}",
            "{\"a\":}",
            "{\"a\":1,}",
            "{a:1}",
            "{\"a\":null}",
            "{\"a\":{}}",
            "{\"a\":[]}",
            "{\"a\":01}",
            "{\"a\":1.}",
            "{\"a\":.5}",
            "{\"a\":+1}",
            "{\"a\":1e}",
            "{\"a\":\"\u{1}\"}",
            "{\"a\":\"\\x\"}",
            "{\"a\":\"\\u12\"}",
            "{\"a\":1 \"b\":2}",
            "{\"a\":\"",
            "{\"a\":tru}",
        ] {
            assert_eq!(parse(bad.as_bytes()), None, "{bad}");
        }
        let members = parse(b" {\"a\" : 1 ,\n\"a\":-2.5e+10}\t").unwrap();
        assert_eq!(members[1], ("a".to_owned(), Value::Number("-2.5e+10".to_owned())));
    }
}
