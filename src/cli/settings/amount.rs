//! Settings that are amounts: numbers, sizes in bytes, seconds.

use std::ops::RangeInclusive;
use std::time::Duration;

use corecast::config::DeflateLevel;

use super::field::{At, Field, Form, one};
use super::options::Options;

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// The range of most sizes.
pub(crate) const ANY_SIZE: RangeInclusive<u64> = 1..=4 * GIB;
/// The range of all times.
pub(crate) const ANY_TIME: RangeInclusive<u64> = 1..=86_400;

/// An amount within a range.
pub(crate) struct Amount<T: 'static> {
    pub(crate) at: At<T>,
    pub(crate) unit: Unit,
    pub(crate) range: RangeInclusive<u64>,
}

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    Number,
    PowerOfTwo,
    Bytes,
    Seconds,
}

/// A type that holds an amount.
pub(crate) trait Quantity: Sized {
    /// What stands for no amount, if the setting may be without one.
    const NOT_SET: Option<Self> = None;
    fn from_amount(amount: u64) -> Option<Self>;
    /// `None` if it is not set.
    fn amount(&self) -> Option<u64>;
}

macro_rules! quantities {
    ($($number:ty),*) => {
        $(impl Quantity for $number {
            fn from_amount(amount: u64) -> Option<Self> {
                amount.try_into().ok()
            }

            fn amount(&self) -> Option<u64> {
                u64::try_from(*self).ok()
            }
        })*
    };
}

quantities!(u8, u16, u32, usize);

impl Quantity for Duration {
    fn from_amount(seconds: u64) -> Option<Self> {
        Some(Self::from_secs(seconds))
    }

    fn amount(&self) -> Option<u64> {
        Some(self.as_secs())
    }
}

impl<T: Quantity> Quantity for Option<T> {
    const NOT_SET: Option<Self> = Some(None);

    fn from_amount(amount: u64) -> Option<Self> {
        T::from_amount(amount).map(Some)
    }

    fn amount(&self) -> Option<u64> {
        self.as_ref().and_then(T::amount)
    }
}

impl Quantity for DeflateLevel {
    fn from_amount(amount: u64) -> Option<Self> {
        amount.try_into().ok().map(Self::new)
    }

    fn amount(&self) -> Option<u64> {
        Some(self.value().into())
    }
}

impl<T: Quantity> Field for Amount<T> {
    fn form(&self) -> Form {
        if self.unit == Unit::Bytes { Form::Size } else { Form::Number }
    }

    fn value_name(&self) -> &'static str {
        match self.unit {
            Unit::Number | Unit::PowerOfTwo => "N",
            Unit::Bytes => "SIZE",
            Unit::Seconds => "SECONDS",
        }
    }

    fn allowed(&self) -> String {
        let (least, most) = (self.show(*self.range.start()), self.show(*self.range.end()));
        let least = if self.unit == Unit::Bytes && least == "1" { "1 byte" } else { &least };
        let what = match self.unit {
            Unit::Number => "a whole number",
            Unit::PowerOfTwo => "a power of two",
            Unit::Bytes => "a size",
            Unit::Seconds => "a whole number of seconds",
        };
        format!("{what} from {least} to {most}")
    }

    fn set(&self, options: &mut Options, texts: &[String]) -> Result<(), Vec<(usize, String)>> {
        if let (Some(not_set), true) = (T::NOT_SET, texts.is_empty()) {
            *(self.at)(options) = not_set;
            return Ok(());
        }
        *(self.at)(options) = one(texts, |text| {
            let amount = match self.unit {
                Unit::Bytes => parse_size(text)?,
                _ => text.parse().ok(),
            };
            let is_fit = |amount: &u64| {
                self.range.contains(amount)
                    && (self.unit != Unit::PowerOfTwo || amount.is_power_of_two())
            };
            amount
                .filter(is_fit)
                .and_then(T::from_amount)
                .ok_or_else(|| format!("it is not {}", self.allowed()))
        })?;
        Ok(())
    }

    fn get(&self, options: &Options) -> Vec<String> {
        let amount = (self.at)(&mut options.clone()).amount();
        amount.map(|amount| self.show(amount)).into_iter().collect()
    }
}

impl<T> Amount<T> {
    fn show(&self, amount: u64) -> String {
        if self.unit == Unit::Bytes { show_size(amount) } else { amount.to_string() }
    }
}

/// `16MiB`, or the number if it is no multiple of a unit.
fn show_size(bytes: u64) -> String {
    for (unit, name) in [(GIB, "GiB"), (MIB, "MiB"), (KIB, "KiB")] {
        if bytes >= unit && bytes.is_multiple_of(unit) {
            return format!("{}{name}", bytes / unit);
        }
    }
    bytes.to_string()
}

/// Reads `65536`, `64KiB`, `16 MiB`, `1GiB`. `None` if it is too large for any setting.
fn parse_size(text: &str) -> Result<Option<u64>, String> {
    let lower = text.trim().to_ascii_lowercase();
    let digits = lower.find(|c: char| !c.is_ascii_digit()).unwrap_or(lower.len());
    let (number, unit) = lower.split_at(digits);
    let example = || "it is not a size, such as `65536`, `64KiB` or `16MiB`".to_owned();
    let unit = match unit.trim() {
        _ if number.is_empty() => return Err(example()),
        "" | "b" => 1,
        "k" | "kib" => KIB,
        "m" | "mib" => MIB,
        "g" | "gib" => GIB,
        "kb" | "mb" | "gb" => {
            let binary = unit.trim().trim_end_matches('b').to_ascii_uppercase();
            return Err(format!("units are powers of two; write `{number}{binary}iB`"));
        }
        _ => return Err(example()),
    };
    Ok(number.parse::<u64>().ok().and_then(|number| number.checked_mul(unit)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size(text: &str) -> Result<usize, String> {
        let field = Amount {
            at: |options| &mut options.config.limits.max_message,
            unit: Unit::Bytes,
            range: ANY_SIZE,
        };
        let mut options = Options::default();
        field.set(&mut options, &[text.to_owned()]).map_err(|faults| faults[0].1.clone())?;
        Ok(options.config.limits.max_message)
    }

    #[test]
    fn sizes() {
        for (text, bytes) in [
            ("1", 1),
            ("65536", 65_536),
            ("64KiB", 65_536),
            ("64k", 65_536),
            ("16 MiB", 16 << 20),
            ("4GiB", 4 << 30),
        ] {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for bad in ["", "-1", "x", "1.5MiB", "MiB", "1TiB"] {
            assert!(size(bad).unwrap_err().contains("`64KiB`"), "{bad}");
        }
        for bad in ["0", "5GiB", "99999999999999999999", "9999999999999999GiB"] {
            assert_eq!(size(bad).unwrap_err(), "it is not a size from 1 byte to 4GiB", "{bad}");
        }
        for (text, form) in [("16mb", "`16MiB`"), ("64 kB", "`64KiB`"), ("1GB", "`1GiB`")] {
            assert!(size(text).unwrap_err().contains(form), "{text}");
        }
    }

    #[test]
    fn sizes_are_shown_as_they_are_written() {
        for (bytes, text) in [(1, "1"), (1 << 20, "1MiB"), (16_448, "16448"), (3 << 30, "3GiB")] {
            assert_eq!(show_size(bytes), text);
        }
    }

    #[test]
    fn powers_of_two_and_numbers_have_a_range() {
        let field = Amount {
            at: |options| &mut options.config.buffers.count,
            unit: Unit::PowerOfTwo,
            range: 2..=32_768,
        };
        let mut options = Options::default();
        let mut set = |text: &str| field.set(&mut options, &[text.to_owned()]);
        assert_eq!((set("2"), set("32768")), (Ok(()), Ok(())));
        for bad in ["", "0", "1", "3", "65536", "-2", "2.0", "4 "] {
            let faults = set(bad).unwrap_err();
            assert_eq!(faults[0].1, "it is not a power of two from 2 to 32768", "{bad}");
        }
    }
}
