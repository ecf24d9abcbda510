//! One column: values of one type, as small as they go.

use super::{as_f64, cell::Cell};

/// Types, as the contract numbers them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Type {
    U8 = 1,
    U16 = 2,
    U32 = 3,
    I8 = 4,
    I16 = 5,
    I32 = 6,
    F64 = 7,
    Bool = 8,
    Json = 9,
}

/// A column, encoded.
#[derive(Debug)]
pub(super) struct Column {
    kind: Type,
    exponent: u8,
    data: Vec<u8>,
}

impl Column {
    /// Channel numbers, seqs and distances.
    pub(super) fn numbers(numbers: impl Iterator<Item = u64> + Clone) -> Self {
        let greatest = numbers.clone().max().unwrap_or(0);
        let (kind, data) = if greatest <= u64::from(u8::MAX) {
            (Type::U8, numbers.map(|number| number as u8).collect())
        } else if greatest <= u64::from(u16::MAX) {
            (Type::U16, numbers.flat_map(|number| (number as u16).to_le_bytes()).collect())
        } else if greatest <= u64::from(u32::MAX) {
            (Type::U32, numbers.flat_map(|number| (number as u32).to_le_bytes()).collect())
        } else {
            (Type::F64, numbers.flat_map(|number| as_f64(number).to_le_bytes()).collect())
        };
        Self { kind, exponent: 0, data }
    }

    /// Values of a metric, as JSON texts.
    pub(super) fn values<'a>(texts: impl Iterator<Item = &'a str> + Clone) -> Self {
        let cells: Vec<_> = texts.clone().map(Cell::of).collect();
        integers(&cells)
            .or_else(|| floats(&cells))
            .or_else(|| bools(&cells))
            .unwrap_or_else(|| json(texts))
    }

    /// Appends the column.
    pub(super) fn write(self, bytes: &mut Vec<u8>) {
        bytes.extend([self.kind as u8, self.exponent, 0, 0]);
        bytes.extend(super::length(self.data.len()).to_le_bytes());
        bytes.extend(self.data);
        fill_up(bytes);
    }
}

/// Fills up to a multiple of 8 bytes.
pub(super) fn fill_up(bytes: &mut Vec<u8>) {
    bytes.resize(bytes.len().next_multiple_of(8), 0);
}

/// Decimals as integers with one exponent, if all are and fit into 32 bits.
fn integers(cells: &[Cell<'_>]) -> Option<Column> {
    let mut exponent = 0;
    for cell in cells {
        let Cell::Decimal { exponent: own, .. } = cell else { return None };
        exponent = exponent.max(*own);
    }
    let scaled: Option<Vec<i32>> = cells.iter().map(|cell| scaled(*cell, exponent)).collect();
    let scaled = scaled?;
    let fits = |least: i32, most: i32| scaled.iter().all(|number| (least..=most).contains(number));
    let (kind, data) = if fits(i8::MIN.into(), i8::MAX.into()) {
        (Type::I8, scaled.iter().map(|number| *number as u8).collect())
    } else if fits(i16::MIN.into(), i16::MAX.into()) {
        (Type::I16, scaled.iter().flat_map(|number| (*number as i16).to_le_bytes()).collect())
    } else {
        (Type::I32, scaled.iter().flat_map(|number| number.to_le_bytes()).collect())
    };
    Some(Column { kind, exponent, data })
}

fn scaled(cell: Cell<'_>, exponent: u8) -> Option<i32> {
    let Cell::Decimal { mantissa, exponent: own } = cell else { return None };
    let factor = 10_i64.checked_pow(u32::from(exponent - own))?;
    i32::try_from(mantissa.checked_mul(factor)?).ok()
}

fn floats(cells: &[Cell<'_>]) -> Option<Column> {
    let mut data = Vec::with_capacity(8 * cells.len());
    for cell in cells {
        data.extend(cell.float()?.to_le_bytes());
    }
    Some(Column { kind: Type::F64, exponent: 0, data })
}

fn bools(cells: &[Cell<'_>]) -> Option<Column> {
    let bit = |cell: &Cell<'_>| match cell {
        Cell::Bool(value) => Some(u8::from(*value)),
        Cell::Decimal { .. } | Cell::Float(_) | Cell::Json(_) => None,
    };
    let data: Option<Vec<u8>> = cells.iter().map(bit).collect();
    Some(Column { kind: Type::Bool, exponent: 0, data: data? })
}

fn json<'a>(texts: impl Iterator<Item = &'a str>) -> Column {
    let mut data = vec![b'['];
    for text in texts {
        if data.len() > 1 {
            data.push(b',');
        }
        data.extend(text.as_bytes());
    }
    data.push(b']');
    Column { kind: Type::Json, exponent: 0, data }
}
