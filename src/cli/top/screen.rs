//! The terminal in which one view takes the place of another.

use std::os::fd::AsFd;

use rustix::termios::tcgetwinsize;

/// The cursor goes to the upper left.
const HOME: &str = "\x1b[H";
/// The line of the cursor is cleared from there on. Behind the last column that would take the last
/// character away, so it comes before the text.
const CLEAR_LINE: &str = "\x1b[K";
/// All is cleared from the cursor on.
const CLEAR_REST: &str = "\x1b[J";

/// The size of a terminal, in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Screen {
    rows: usize,
    columns: usize,
}

impl Screen {
    /// The terminal as large as it is now. One that does not know its size is taken for an old one.
    pub(super) fn of(terminal: impl AsFd) -> Self {
        match tcgetwinsize(terminal) {
            Ok(size) if size.ws_row > 0 && size.ws_col > 0 => {
                Self { rows: size.ws_row.into(), columns: size.ws_col.into() }
            }
            _ => Self { rows: 24, columns: 80 },
        }
    }

    /// The lines of a view. The last row is for the cursor: beyond it all would move up.
    pub(super) fn rows(self) -> usize {
        self.rows.saturating_sub(1).max(1)
    }

    /// What puts these lines in the place of what is there, each cut to the width.
    pub(super) fn draw(self, lines: &[String]) -> String {
        let rows = lines.iter().take(self.rows());
        let rows: Vec<String> =
            rows.map(|line| format!("{CLEAR_LINE}{}", self.cut(line))).collect();
        let rest = if self.rows > 1 { format!("\n{CLEAR_REST}") } else { String::new() };
        format!("{HOME}{}{rest}", rows.join("\n"))
    }

    /// As much of a line as has room. What is not ASCII may take two columns.
    fn cut(self, line: &str) -> &str {
        let mut columns = 0;
        let is_beyond = |char: char| {
            columns += if char.is_ascii() { 1 } else { 2 };
            columns > self.columns
        };
        line.find(is_beyond).map_or(line, |end| &line[..end])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_cut_to_the_screen() {
        let lines = ["abcd", "abcde", "\u{65e5}\u{672c}\u{8a9e}", "e"].map(str::to_owned);
        let screen = |rows, columns| Screen { rows, columns }.draw(&lines);
        assert_eq!(screen(1, 4), "\x1b[H\x1b[Kabcd");
        assert_eq!(screen(4, 4), "\x1b[H\x1b[Kabcd\n\x1b[Kabcd\n\x1b[K\u{65e5}\u{672c}\n\x1b[J");
        assert!(
            screen(9, 9)
                .ends_with("\n\x1b[Kabcde\n\x1b[K\u{65e5}\u{672c}\u{8a9e}\n\x1b[Ke\n\x1b[J")
        );
    }

    #[test]
    fn what_is_no_terminal_has_the_size_of_an_old_one() {
        let file = std::fs::File::open("/dev/null").unwrap();
        assert_eq!(Screen::of(file), Screen { rows: 24, columns: 80 });
    }
}
