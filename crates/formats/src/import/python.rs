//! Reads lists and dicts as Python prints them. Tables contain them if their columns were written with `str()`, as pandas
//! does in `to_csv`. Numpy prints an array of dicts with one dict per line and no commas.

use retort_json::write_string;

/// How deep lists and dicts may be nested; messages are nowhere near that.
const DEEPEST: usize = 64;

/// The JSON of a list or a dict as Python prints it; none if it is neither, or incomplete.
pub(super) fn json_of(text: &str) -> Option<String> {
    let text = text.trim();
    if !text.starts_with(['[', '{', '(']) && !text.starts_with("array(") {
        return None;
    }
    let mut reader = Reader { rest: text, out: String::with_capacity(text.len()) };
    reader.value(0)?;
    reader.space();
    reader.rest.is_empty().then_some(reader.out)
}

struct Reader<'t> {
    rest: &'t str,
    out: String,
}

impl Reader<'_> {
    fn space(&mut self) {
        self.rest = self.rest.trim_start();
    }

    fn eat(&mut self, text: &str) -> bool {
        self.space();
        let rest = self.rest.strip_prefix(text);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn value(&mut self, depth: usize) -> Option<()> {
        if depth > DEEPEST {
            return None;
        }
        if self.eat("array(") {
            self.value(depth + 1)?;
            let end = self.rest.find(')')?;
            let more = self.rest.get(..end)?.trim();
            if !more.is_empty() && !more.starts_with(", dtype=") {
                return None;
            }
            self.rest = self.rest.get(end + 1..)?;
            return Some(());
        }
        if self.eat("[") {
            return self.list("]", depth);
        }
        if self.eat("(") {
            return self.list(")", depth);
        }
        if self.eat("{") {
            return self.dict(depth);
        }
        for (word, json) in
            [("None", "null"), ("nan", "null"), ("True", "true"), ("False", "false")]
        {
            if self.eat(word) {
                self.out.push_str(json);
                return Some(());
            }
        }
        if self.rest.starts_with(['\'', '"']) {
            return self.string();
        }
        let is_number = |c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.' | 'e' | 'E');
        let end = self.rest.find(|c| !is_number(c)).unwrap_or(self.rest.len());
        let (number, rest) = self.rest.split_at(end);
        retort_json::RawJson::parse(number).ok()?;
        self.out.push_str(number);
        self.rest = rest;
        Some(())
    }

    fn list(&mut self, end: &str, depth: usize) -> Option<()> {
        self.out.push('[');
        let mut is_first = true;
        while !self.eat(end) {
            if !is_first {
                // Numpy prints each dict on a line of its own, without a comma.
                let has_comma = self.eat(",");
                if !has_comma && !self.rest.starts_with('{') {
                    return None;
                }
                if self.eat(end) {
                    break;
                }
                self.out.push(',');
            }
            self.value(depth + 1)?;
            is_first = false;
        }
        self.out.push(']');
        Some(())
    }

    fn dict(&mut self, depth: usize) -> Option<()> {
        self.out.push('{');
        let mut is_first = true;
        while !self.eat("}") {
            if !is_first {
                if !self.eat(",") {
                    return None;
                }
                if self.eat("}") {
                    break;
                }
                self.out.push(',');
            }
            self.space();
            if !self.rest.starts_with(['\'', '"']) {
                return None;
            }
            self.string()?;
            if !self.eat(":") {
                return None;
            }
            self.out.push(':');
            self.value(depth + 1)?;
            is_first = false;
        }
        self.out.push('}');
        Some(())
    }

    fn string(&mut self) -> Option<()> {
        let quote = self.rest.chars().next()?;
        let mut text = String::new();
        let mut chars = self.rest.char_indices().skip(1);
        loop {
            let (at, c) = chars.next()?;
            if c == quote {
                write_string(&text, &mut self.out);
                self.rest = self.rest.get(at + 1..)?;
                return Some(());
            }
            if c != '\\' {
                text.push(c);
                continue;
            }
            let (_, escaped) = chars.next()?;
            let digits = match escaped {
                'n' => {
                    text.push('\n');
                    continue;
                }
                't' => {
                    text.push('\t');
                    continue;
                }
                'r' => {
                    text.push('\r');
                    continue;
                }
                '\\' | '\'' | '"' => {
                    text.push(escaped);
                    continue;
                }
                'x' => 2,
                'u' => 4,
                'U' => 8,
                _ => return None,
            };
            let code: String = chars.by_ref().take(digits).map(|(_, c)| c).collect();
            let code = u32::from_str_radix(&code, 16).ok().filter(|_| code.len() == digits)?;
            text.push(char::from_u32(code)?);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, json: Option<&str>) {
        assert_eq!(json_of(text).as_deref(), json, "{text}");
    }

    #[test]
    fn lists_and_dicts_become_json() {
        check(
            r#"[{'role': 'user', 'content': "it's", 'n': None, 'x': (1, 2.5,)}]"#,
            Some(r#"[{"role":"user","content":"it's","n":null,"x":[1,2.5]}]"#),
        );
        check(r"{'a': 'b\'c\n\x41\u00fc', 'd': True}", Some(r#"{"a":"b'c\nAü","d":true}"#));
        check("[{'a': 1}\n {'a': 2}]", Some(r#"[{"a":1},{"a":2}]"#));
        check("array([{'a': array([1, 2])}], dtype=object)", Some(r#"[{"a":[1,2]}]"#));
        check("[]", Some("[]"));
    }

    #[test]
    fn anything_else_is_not() {
        for text in
            ["[1", "['a' 'b']", "{'a': b}", "{1: 2}", "hello", "['a'] x", "[1 2]", r"['\q']"]
        {
            check(text, None);
        }
        check(&"[".repeat(1000), None);
        // Numpy leaves out the middle of long arrays.
        check("[{'a': 1} {'a': 2} ... {'a': 9}]", None);
    }
}
