//! A response in colours, in lines that fit a terminal.

use anstyle::Style;
use unicode_width::UnicodeWidthStr as _;

/// A character as it is shown.
struct Cell {
    text: String,
    width: usize,
    token: usize,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Part of a word, which is kept on one line if it fits.
    Letter,
    /// A line may end behind it.
    Space,
    /// The line ends behind it.
    Break,
}

/// Lays tokens out in lines of at most `width` columns, each token in its style.
///
/// Line breaks and tabs are shown as signs, other characters that print nothing as their code: a text cannot give orders to
/// the terminal. Colours end with each line, so that none spills into the margin.
pub(super) fn lines(texts: &[String], styles: &[Style], width: usize) -> Vec<String> {
    let mut page = Page { width, done: Vec::new(), line: Vec::new(), used: 0 };
    let (mut word, mut word_width) = (Vec::new(), 0);
    for cell in texts.iter().enumerate().flat_map(|(token, text)| text.chars().map(move |c| cell(c, token))) {
        if cell.kind == Kind::Letter && word_width + cell.width <= width {
            word_width += cell.width;
            word.push(cell);
            continue;
        }
        page.place(std::mem::take(&mut word), std::mem::take(&mut word_width));
        match cell.kind {
            Kind::Letter => {
                word_width = cell.width;
                word.push(cell);
            }
            Kind::Space => page.place_one(cell),
            Kind::Break => {
                page.place_one(cell);
                page.end_line();
            }
        }
    }
    page.place(word, word_width);
    if !page.line.is_empty() {
        page.end_line();
    }
    page.done.iter().map(|line| paint(line, styles)).collect()
}

struct Page {
    width: usize,
    done: Vec<Vec<Cell>>,
    line: Vec<Cell>,
    used: usize,
}

impl Page {
    fn place(&mut self, word: Vec<Cell>, width: usize) {
        if self.used > 0 && self.used + width > self.width {
            self.end_line();
        }
        self.used += width;
        self.line.extend(word);
    }

    fn place_one(&mut self, cell: Cell) {
        let width = cell.width;
        self.place(vec![cell], width);
    }

    fn end_line(&mut self) {
        self.done.push(std::mem::take(&mut self.line));
        self.used = 0;
    }
}

fn cell(character: char, token: usize) -> Cell {
    let (text, kind) = match character {
        '\n' => ("⏎".to_owned(), Kind::Break),
        '\t' => ("⇥".to_owned(), Kind::Space),
        ' ' => (" ".to_owned(), Kind::Space),
        _ => (visible(character), Kind::Letter),
    };
    Cell { width: text.width(), text, token, kind }
}

/// The character, or its code if it prints nothing or changes what is around it.
fn visible(character: char) -> String {
    if matches!(character, '\'' | '"' | '\\') {
        return character.to_string();
    }
    // Behind a letter, an accent of its own is no reason to escape.
    format!("a{character}").escape_debug().skip(1).collect()
}

/// A line's cells, those of a token between one pair of codes.
fn paint(line: &[Cell], styles: &[Style]) -> String {
    line.chunk_by(|a, b| a.token == b.token)
        .map(|run| {
            let style = styles.get(run[0].token).copied().unwrap_or_default();
            let text: String = run.iter().map(|cell| cell.text.as_str()).collect();
            format!("{style}{text}{style:#}")
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use anstyle::Ansi256Color;

    use super::*;

    fn painted(texts: &[&str], width: usize) -> Vec<String> {
        let styles: Vec<Style> =
            (0..texts.len()).map(|token| Style::new().bg_color(Some(Ansi256Color(token as u8).into()))).collect();
        lines(&texts.iter().map(|&text| text.to_owned()).collect::<Vec<_>>(), &styles, width)
    }

    /// What a terminal shows of a line, and how wide that is.
    fn shown(line: &str) -> (String, usize) {
        let text = anstream::adapter::strip_str(line).to_string();
        let width = text.width();
        (text, width)
    }

    #[test]
    fn a_token_has_its_colour_on_every_line() {
        assert_eq!(
            painted(&["one", " two"], 5),
            ["\u{1b}[48;5;0mone\u{1b}[0m\u{1b}[48;5;1m \u{1b}[0m", "\u{1b}[48;5;1mtwo\u{1b}[0m"]
        );
        assert_eq!(painted(&["a\nb"], 9), ["\u{1b}[48;5;0ma⏎\u{1b}[0m", "\u{1b}[48;5;0mb\u{1b}[0m"]);
        assert_eq!(painted(&["", "x"], 9), ["\u{1b}[48;5;1mx\u{1b}[0m"], "a token without text has no place");
    }

    #[test]
    fn lines_fit_and_nothing_is_lost() {
        let texts =
            ["A line", " with wörds,", " 漢字漢字漢字漢字", "and_one_that_is_longer_than_a_line", ".  \n\n", "End"];
        let lines = painted(&texts, 12);
        let all: String = lines.iter().map(|line| shown(line).0).collect();
        assert_eq!(all, texts.concat().replace('\n', "⏎"));
        assert!(lines.iter().all(|line| shown(line).1 <= 12), "{lines:?}");
        assert!(lines.iter().any(|line| shown(line).0.starts_with("wörds")), "words are kept: {lines:?}");
    }

    #[test]
    fn a_text_gives_no_orders() {
        let text = "\u{1b}[31mred\u{7}\r\u{9b}2J\u{202e}\u{200b}\u{2028}\t\u{7f}\0";
        let [line] = &painted(&[text], 200)[..] else { panic!("one line") };
        assert_eq!(line.matches('\u{1b}').count(), 2, "the colour's own codes: {line:?}");
        let (shown, _) = shown(line);
        assert!(shown.chars().all(|character| !character.is_control()), "{shown:?}");
        assert!(
            ["\\u{1b}[31mred", "\\u{7}", "\\r", "\\u{9b}2J", "\\u{202e}", "\\u{200b}", "\\u{2028}", "⇥", "\\0"]
                .iter()
                .all(|sign| shown.contains(sign)),
            "{shown}"
        );
        assert_eq!(visible('"'), "\"");
        assert_eq!(visible('\u{301}'), "\u{301}");
    }
}
