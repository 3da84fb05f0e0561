//! The lines of a text, and the characters in them.

/// Finds lines and columns without going through the text again.
pub(super) struct Lines {
    /// Where each line begins.
    starts: Vec<usize>,
    /// The characters before each block of so many bytes.
    chars: Vec<usize>,
}

/// The bytes of a block.
const BLOCK: usize = 256;

impl Lines {
    pub(super) fn of(text: &str) -> Self {
        let ends = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        let starts = std::iter::once(0).chain(ends.map(|(at, _)| at + 1)).collect();
        let mut all = 0;
        let before = |block: &[u8]| {
            let before = all;
            all += begun_in(block);
            before
        };
        let chars = text.as_bytes().chunks(BLOCK).map(before).collect();
        Self { starts, chars }
    }

    /// The line that a byte is in, from 1.
    pub(super) fn line(&self, offset: usize) -> usize {
        self.starts.partition_point(|start| *start <= offset)
    }

    /// The line and the column of a byte, both from 1; columns are counted in characters.
    pub(super) fn position(&self, text: &str, offset: usize) -> (usize, usize) {
        let offset = offset.min(text.len());
        let line = self.line(offset);
        let start = self.starts.get(line - 1).copied().unwrap_or_default();
        (line, 1 + self.chars_before(text, offset) - self.chars_before(text, start))
    }

    /// The characters that begin before a byte.
    fn chars_before(&self, text: &str, offset: usize) -> usize {
        let block = (offset / BLOCK).min(self.chars.len().saturating_sub(1));
        let before = self.chars.get(block).copied().unwrap_or_default();
        before + begun_in(text.as_bytes().get(block * BLOCK..offset).unwrap_or_default())
    }
}

/// The characters that begin in these bytes.
fn begun_in(bytes: &[u8]) -> usize {
    bytes.iter().filter(|byte| **byte & 0xc0 != 0x80).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_are_those_of_a_count_from_the_beginning() {
        let long = "\u{e4}b\u{20ac}".repeat(300);
        for text in ["", "\n", "a", "a\nbc\n", "\n\n\u{e9}\n", &format!("x\n{long}\n\u{1f600}y")] {
            let lines = Lines::of(text);
            for (offset, _) in text.char_indices().chain([(text.len(), ' ')]) {
                let before = &text[..offset];
                let line = 1 + before.matches('\n').count();
                let column = 1 + before.rsplit('\n').next().unwrap_or_default().chars().count();
                assert_eq!(lines.position(text, offset), (line, column), "{text:?} {offset}");
                assert_eq!(lines.line(offset), line);
            }
            let end = lines.position(text, text.len());
            assert_eq!(lines.position(text, text.len() + 5), end, "{text:?}");
        }
    }
}
