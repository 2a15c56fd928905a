//! What the reference client says of text that is not JSON; clients of its WebSocket see these words.

/// The words for the first error in `text`, or `None` if its first value is well formed.
pub(super) fn describe(text: &str) -> Option<String> {
    let mut scan = Scan { bytes: text.as_bytes(), at: 0 };
    scan.value().err()
}

struct Scan<'a> {
    bytes: &'a [u8],
    at: usize,
}

/// Nesting after which the reference client's decoder gives up.
const MAX_DEPTH: usize = 10_000;

type Step = Result<(), String>;

fn quote(byte: u8) -> String {
    match byte {
        b'\'' => r"'\''".to_owned(),
        b'"' => "'\"'".to_owned(),
        b'\\' => r"'\\'".to_owned(),
        b'\n' => r"'\n'".to_owned(),
        b'\r' => r"'\r'".to_owned(),
        b'\t' => r"'\t'".to_owned(),
        0x20..=0x7e => format!("'{}'", char::from(byte)),
        0x80.. => format!("'{}'", char::from(byte)),
        _ => format!("'\\x{byte:02x}'"),
    }
}

impl Scan<'_> {
    fn peek(&self) -> Result<u8, String> {
        self.bytes.get(self.at).copied().ok_or_else(|| "unexpected EOF".to_owned())
    }

    fn space(&mut self) {
        while self.bytes.get(self.at).is_some_and(|b| b" \t\r\n".contains(b)) {
            self.at += 1;
        }
    }

    fn bad(&self, context: &str) -> String {
        match self.peek() {
            Ok(byte) => format!("invalid character {} {context}", quote(byte)),
            Err(end) => end,
        }
    }

    /// Descends without recursion: `closers` holds what each open value ends with.
    fn value(&mut self) -> Step {
        let mut closers: Vec<u8> = Vec::new();
        loop {
            self.space();
            match self.peek()? {
                open @ (b'{' | b'[') => {
                    self.at += 1;
                    if closers.len() >= MAX_DEPTH {
                        return Err("exceeded max depth".to_owned());
                    }
                    closers.push(if open == b'{' { b'}' } else { b']' });
                    self.space();
                    if closers.last() == Some(&self.peek()?) {
                        self.at += 1;
                        closers.pop();
                    } else {
                        if open == b'{' {
                            self.name()?;
                        }
                        continue;
                    }
                }
                b'"' => self.string()?,
                b'-' | b'0'..=b'9' => self.number()?,
                b't' => self.literal("true")?,
                b'f' => self.literal("false")?,
                b'n' => self.literal("null")?,
                _ => return Err(self.bad("looking for beginning of value")),
            }
            if !self.after_value(&mut closers)? {
                return Ok(());
            }
        }
    }

    /// Closes what ends here; whether another value follows.
    fn after_value(&mut self, closers: &mut Vec<u8>) -> Result<bool, String> {
        while let Some(close) = closers.last().copied() {
            self.space();
            match self.peek()? {
                b',' => {
                    self.at += 1;
                    if close == b'}' {
                        self.space();
                        self.name()?;
                    }
                    return Ok(true);
                }
                byte if byte == close => {
                    self.at += 1;
                    closers.pop();
                }
                _ if close == b'}' => return Err(self.bad("after object key:value pair")),
                _ => return Err(self.bad("after array element")),
            }
        }
        Ok(false)
    }

    fn name(&mut self) -> Step {
        if self.peek()? != b'"' {
            return Err(self.bad("looking for beginning of object key string"));
        }
        self.string()?;
        self.space();
        if self.peek()? != b':' {
            return Err(self.bad("after object key"));
        }
        self.at += 1;
        Ok(())
    }

    fn string(&mut self) -> Step {
        self.at += 1;
        loop {
            match self.peek()? {
                b'"' => {
                    self.at += 1;
                    return Ok(());
                }
                b'\\' => {
                    self.at += 1;
                    match self.peek()? {
                        b'b' | b'f' | b'n' | b'r' | b't' | b'\\' | b'/' | b'"' => self.at += 1,
                        b'u' => {
                            self.at += 1;
                            for _ in 0..4 {
                                if !self.peek()?.is_ascii_hexdigit() {
                                    return Err(self.bad("in \\u hexadecimal character escape"));
                                }
                                self.at += 1;
                            }
                        }
                        _ => return Err(self.bad("in string escape code")),
                    }
                }
                0..0x20 => return Err(self.bad("in string literal")),
                _ => self.at += 1,
            }
        }
    }

    fn digits(&mut self) {
        while self.bytes.get(self.at).is_some_and(u8::is_ascii_digit) {
            self.at += 1;
        }
    }

    fn number(&mut self) -> Step {
        if self.peek()? == b'-' {
            self.at += 1;
        }
        match self.peek()? {
            b'0' => self.at += 1,
            b'1'..=b'9' => self.digits(),
            _ => return Err(self.bad("in numeric literal")),
        }
        if self.bytes.get(self.at) == Some(&b'.') {
            self.at += 1;
            if !self.peek()?.is_ascii_digit() {
                return Err(self.bad("after decimal point in numeric literal"));
            }
            self.digits();
        }
        if matches!(self.bytes.get(self.at), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek()?, b'+' | b'-') {
                self.at += 1;
            }
            if !self.peek()?.is_ascii_digit() {
                return Err(self.bad("in exponent of numeric literal"));
            }
            self.digits();
        }
        Ok(())
    }

    fn literal(&mut self, word: &str) -> Step {
        for expected in word.bytes() {
            if self.peek()? != expected {
                return Err(self.bad(&format!("in literal {word} (expecting '{}')", char::from(expected))));
            }
            self.at += 1;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::describe;

    #[test]
    fn errors_read_as_those_of_the_reference_client() {
        for (text, words) in [
            ("abc", "invalid character 'a' looking for beginning of value"),
            ("{a", "invalid character 'a' looking for beginning of object key string"),
            ("{\"a\" 1", "invalid character '1' after object key"),
            ("{\"a\":1 2", "invalid character '2' after object key:value pair"),
            ("[1 2]", "invalid character '2' after array element"),
            ("tru!", "invalid character '!' in literal true (expecting 'e')"),
            ("\"\n", "invalid character '\\n' in string literal"),
            ("\"\\x", "invalid character 'x' in string escape code"),
            ("[1,]", "invalid character ']' looking for beginning of value"),
            ("{\"a\":1,}", "invalid character '}' looking for beginning of object key string"),
            ("-a", "invalid character 'a' in numeric literal"),
            ("{\"a\":", "unexpected EOF"),
        ] {
            assert_eq!(describe(text).as_deref(), Some(words), "{text}");
        }
        assert_eq!(describe("{\"a\":[1,-2.5e3,{}],\"b\":null} x"), None);
    }

    #[test]
    fn nesting_is_bounded() {
        assert_eq!(describe(&"[".repeat(20_000)).as_deref(), Some("exceeded max depth"));
    }
}
