//! A naive decompressor that follows the text of RFC 1951: bit by bit, no tables, all in memory.

/// A canonical code: the number of code words of each length, and the symbols in code word order.
struct Code {
    count: [u32; 16],
    symbols: Vec<usize>,
}

/// A decoded message.
pub(super) struct Decoded {
    pub(super) message: Vec<u8>,
    /// The longest distance referred to.
    pub(super) reach: usize,
    /// The number of blocks with BFINAL set.
    pub(super) finals: usize,
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn bit(&mut self) -> Option<u32> {
        let byte = self.bytes.get(self.at / 8)?;
        let bit = byte >> (self.at % 8) & 1;
        self.at += 1;
        Some(u32::from(bit))
    }

    fn bits(&mut self, n: u32) -> Option<usize> {
        let mut value = 0;
        for i in 0..n {
            value |= (self.bit()? as usize) << i;
        }
        Some(value)
    }

    fn symbol(&mut self, code: &Code) -> Option<usize> {
        let (mut word, mut first, mut at) = (0, 0, 0);
        for len in 1..=15 {
            (word, first) = (word << 1 | self.bit()?, first << 1);
            let count = code.count[len];
            if word - first < count {
                return Some(code.symbols[(at + word - first) as usize]);
            }
            (first, at) = (first + count, at + count);
        }
        None
    }
}

/// The code with these lengths, or `None` if it is not a prefix code. An incomplete code must
/// consist of a single word of one bit, or of none.
fn code(lens: &[u8], sparse: bool) -> Option<Code> {
    let used: f64 = lens.iter().filter(|&&l| l > 0).map(|&l| 0.5f64.powi(i32::from(l))).sum();
    let longest = lens.iter().copied().max().unwrap_or(0);
    if used > 1.0 || (used < 1.0 && !(sparse && longest <= 1)) {
        return None;
    }
    let mut count = [0; 16];
    lens.iter().for_each(|&len| count[usize::from(len)] += 1);
    count[0] = 0;
    let mut symbols: Vec<usize> = (0..lens.len()).filter(|&symbol| lens[symbol] > 0).collect();
    symbols.sort_by_key(|&symbol| lens[symbol]);
    Some(Code { count, symbols })
}

fn dynamic(reader: &mut Reader<'_>) -> Option<(Code, Code)> {
    let (literals, distances) = (reader.bits(5)? + 257, reader.bits(5)? + 1);
    let lengths = reader.bits(4)? + 4;
    if literals > 286 || distances > 30 {
        return None;
    }
    let mut lens = [0; 19];
    let order = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];
    for &symbol in &order[..lengths] {
        lens[symbol] = reader.bits(3)? as u8;
    }
    let lengths = code(&lens, false)?;
    let mut lens = Vec::new();
    while lens.len() < literals + distances {
        match reader.symbol(&lengths)? {
            16 => {
                let last = *lens.last()?;
                for _ in 0..reader.bits(2)? + 3 {
                    lens.push(last);
                }
            }
            17 => lens.resize(lens.len() + reader.bits(3)? + 3, 0),
            18 => lens.resize(lens.len() + reader.bits(7)? + 11, 0),
            len => lens.push(len as u8),
        }
    }
    if lens.len() != literals + distances || lens[256] == 0 {
        return None;
    }
    Some((code(&lens[..literals], true)?, code(&lens[literals..], true)?))
}

/// Length or distance: the base of the symbol and its extra bits.
fn number(reader: &mut Reader<'_>, symbol: usize, per: usize, first: usize) -> Option<usize> {
    let mut base = first;
    for s in 0..symbol {
        base += 1 << (s / per).saturating_sub(1);
    }
    Some(base + reader.bits((symbol / per).saturating_sub(1) as u32)?)
}

/// Decodes one message and appends it to `history`, which holds all earlier messages. `None` if it
/// is not a message: the appended 00 00 FF FF must be the end of an empty stored block.
pub(super) fn decode(payload: &[u8], window: usize, history: &mut Vec<u8>) -> Option<Decoded> {
    let bytes = [payload, &[0, 0, 0xff, 0xff]].concat();
    let mut reader = Reader { bytes: &bytes, at: 0 };
    let start = history.len();
    let (mut reach, mut finals, mut empty_end) = (0, 0, false);
    while reader.at < bytes.len() * 8 {
        let last = reader.bit()? == 1;
        empty_end = false;
        let kind = reader.bits(2)?;
        let (literals, distances) = match kind {
            0 => {
                reader.at = reader.at.next_multiple_of(8);
                let (len, not) = (reader.bits(16)?, reader.bits(16)?);
                if len != !not & 0xffff {
                    return None;
                }
                empty_end = len == 0;
                for _ in 0..len {
                    history.push(reader.bits(8)? as u8);
                }
                finals += usize::from(last);
                continue;
            }
            1 => {
                let mut lens = [8; 288];
                lens[144..256].fill(9);
                lens[256..280].fill(7);
                (code(&lens, false)?, code(&[5; 32], false)?)
            }
            2 => dynamic(&mut reader)?,
            _ => return None,
        };
        loop {
            let symbol = reader.symbol(&literals)?;
            if symbol < 256 {
                history.push(symbol as u8);
                continue;
            } else if symbol == 256 {
                break;
            }
            let len = match symbol - 257 {
                28 => 258,
                // The first eight lengths have no extra bits, then four of each.
                n @ 0..8 => n + 3,
                n @ 8..28 => {
                    let extra = n / 4 - 1;
                    ((4 + n % 4) << extra) + 3 + reader.bits(extra as u32)?
                }
                _ => return None,
            };
            let symbol = reader.symbol(&distances).filter(|&s| s < 30)?;
            let distance = number(&mut reader, symbol, 2, 1)?;
            if distance > window || distance > history.len() {
                return None;
            }
            reach = reach.max(distance);
            for _ in 0..len {
                history.push(history[history.len() - distance]);
            }
        }
        if last {
            finals += 1;
            reader.at = reader.at.next_multiple_of(8);
        }
    }
    empty_end.then(|| Decoded { message: history[start..].to_vec(), reach, finals })
}
