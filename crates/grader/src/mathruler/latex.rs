//! LaTeX as plain text, the way the pylatexenc package writes it.

use super::symbols;
use crate::fuel::{DEEPEST_NEST, LONGEST_READ};

/// The plain text; `None` where the released code gives up, and for a text that is too long or nests too deeply.
pub(super) fn plain_text(text: &str) -> Option<String> {
    if text.len() > LONGEST_READ {
        return None;
    }
    let text = text.replace("\\tfrac", "\\frac").replace("\\dfrac", "\\frac").replace("\\frac", " \\frac");
    let mut writer = Writer { text: text.chars().collect(), at: 0 };
    let mut plain = String::new();
    while writer.at < writer.text.len() {
        plain.push_str(&writer.until_close(0)?);
        writer.at += 1;
    }
    for (from, to) in [("√", "sqrt"), ("π", "pi"), ("∞", "inf"), ("∪", "U"), ("·", "*"), ("×", "*")] {
        plain = plain.replace(from, to);
    }
    Some(plain.trim().to_owned())
}

struct Writer {
    text: Vec<char>,
    at: usize,
}

impl Writer {
    /// The text up to the brace that closes a group, or to the end.
    fn until_close(&mut self, depth: usize) -> Option<String> {
        if depth > DEEPEST_NEST {
            return None;
        }
        let mut plain = String::new();
        while let Some(&c) = self.text.get(self.at) {
            match c {
                '}' => break,
                '\\' => plain.push_str(&self.command(depth)?),
                '{' => plain.push_str(&self.group(depth)?),
                '~' => {
                    plain.push('\u{a0}');
                    self.at += 1;
                }
                '&' => {
                    plain.push_str("   ");
                    self.at += 1;
                }
                '-' if self.ahead("---") => {
                    plain.push('—');
                    self.at += 3;
                }
                '-' if self.ahead("--") => {
                    plain.push('–');
                    self.at += 2;
                }
                '`' if self.ahead("``") => {
                    plain.push('“');
                    self.at += 2;
                }
                '\'' if self.ahead("''") => {
                    plain.push('”');
                    self.at += 2;
                }
                c => {
                    plain.push(c);
                    self.at += 1;
                }
            }
        }
        Some(plain)
    }

    fn ahead(&self, what: &str) -> bool {
        what.chars().enumerate().all(|(offset, c)| self.text.get(self.at + offset) == Some(&c))
    }

    fn group(&mut self, depth: usize) -> Option<String> {
        self.at += 1;
        let plain = self.until_close(depth + 1)?;
        self.at = (self.at + 1).min(self.text.len());
        Some(plain)
    }

    fn skip_blanks(&mut self) {
        while self.text.get(self.at).is_some_and(|c| c.is_whitespace()) {
            self.at += 1;
        }
    }

    /// A group, a command or one character.
    fn argument(&mut self, depth: usize) -> Option<String> {
        self.skip_blanks();
        match self.text.get(self.at)? {
            '{' => self.group(depth),
            '\\' => self.command(depth),
            '}' => None,
            c => {
                let plain = c.to_string();
                self.at += 1;
                Some(plain)
            }
        }
    }

    fn command(&mut self, depth: usize) -> Option<String> {
        if depth > DEEPEST_NEST {
            return None;
        }
        self.at += 1;
        let letters: String = self.text[self.at..].iter().take_while(|c| c.is_ascii_alphabetic()).collect();
        let is_word = !letters.is_empty();
        let name = if is_word { letters } else { self.text.get(self.at).map(char::to_string).unwrap_or_default() };
        self.at += name.chars().count();
        if is_word {
            self.skip_blanks();
        }
        Some(match &*name {
            "frac" | "nicefrac" => format!("{}/{}", self.argument(depth + 1)?, self.argument(depth + 1)?),
            "sqrt" => {
                if self.text.get(self.at) == Some(&'[') {
                    let close = self.text[self.at..].iter().position(|c| *c == ']')?;
                    self.at += close + 1;
                }
                format!("√({})", self.argument(depth + 1)?)
            }
            "text" | "mathrm" | "textrm" | "textbf" | "textit" | "textsc" | "textsl" | "emph" | "overline"
            | "underline" | "widehat" | "widetilde" | "wideparen" | "overrightarrow" | "overleftarrow"
            | "overleftrightarrow" | "overbrace" | "underbrace" | "ensuremath" => self.argument(depth + 1)?,
            "mathbf" => shifted(&self.argument(depth + 1)?, 0x1d400),
            "mathbb" => doubled(&self.argument(depth + 1)?),
            "mathit" => shifted(&self.argument(depth + 1)?, 0x1d434),
            "mathcal" | "mathscr" => shifted(&self.argument(depth + 1)?, 0x1d49c),
            "mathfrak" => shifted(&self.argument(depth + 1)?, 0x1d504),
            "mathsf" => shifted(&self.argument(depth + 1)?, 0x1d5a0),
            "mathtt" => shifted(&self.argument(depth + 1)?, 0x1d670),
            "vec" => self.argument(depth + 1)? + "\u{20d7}",
            "hat" => self.argument(depth + 1)? + "\u{302}",
            "bar" => self.argument(depth + 1)? + "\u{305}",
            "tilde" => self.argument(depth + 1)? + "\u{303}",
            "dot" => self.argument(depth + 1)? + "\u{307}",
            "ddot" => self.argument(depth + 1)? + "\u{308}",
            "color" | "mbox" | "texttt" | "textsf" | "textup" => {
                self.argument(depth + 1)?;
                String::new()
            }
            "textcolor" => {
                self.argument(depth + 1)?;
                self.argument(depth + 1)?
            }
            "begin" => return self.environment(depth),
            "left" | "right" => String::new(),
            "\\" => "\n".to_owned(),
            "," | ";" | ":" | " " => " ".to_owned(),
            "quad" => "  ".to_owned(),
            "qquad" => "    ".to_owned(),
            "{" | "}" | "$" | "%" | "#" | "&" | "_" => name,
            "|" => "‖".to_owned(),
            name => symbols::plain(name).to_owned(),
        })
    }

    /// `\begin{…}…\end{…}`; matrices are written in brackets.
    fn environment(&mut self, depth: usize) -> Option<String> {
        let name = self.argument(depth + 1)?;
        let end = format!("\\end{{{name}}}");
        let start = self.at;
        while self.at < self.text.len() && !self.ahead(&end) {
            self.at += 1;
        }
        let inner: String = self.text[start..self.at].iter().collect();
        self.at = (self.at + end.chars().count()).min(self.text.len());
        let plain = |text: &str| Self { text: text.chars().collect(), at: 0 }.until_close(depth + 1);
        if !matches!(
            &*name,
            "matrix" | "pmatrix" | "bmatrix" | "smallmatrix" | "psmallmatrix" | "bsmallmatrix" | "array"
        ) {
            return plain(&inner);
        }
        let rows: Option<Vec<String>> = inner
            .split("\\\\")
            .map(|row| {
                let cells: Option<Vec<String>> =
                    row.split('&').map(|cell| plain(cell).map(|cell| cell.trim().to_owned())).collect();
                cells.map(|cells| cells.join(" "))
            })
            .collect();
        Some(format!("[ {} ]", rows?.join("; ")))
    }
}

/// Letters of another alphabet of mathematics, whose capital A is at `capital`.
fn shifted(text: &str, capital: u32) -> String {
    let shift = |c: char| match c {
        'A'..='Z' => char::from_u32(capital + u32::from(c) - u32::from('A')).unwrap_or(c),
        'a'..='z' => char::from_u32(capital + 26 + u32::from(c) - u32::from('a')).unwrap_or(c),
        c => c,
    };
    text.chars().map(shift).collect()
}

fn doubled(text: &str) -> String {
    let double = |c: char| match c {
        'C' => 'ℂ',
        'H' => 'ℍ',
        'N' => 'ℕ',
        'P' => 'ℙ',
        'Q' => 'ℚ',
        'R' => 'ℝ',
        'Z' => 'ℤ',
        c => shifted(&c.to_string(), 0x1d538).chars().next().unwrap_or(c),
    };
    text.chars().map(double).collect()
}
