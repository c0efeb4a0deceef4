//! What stands in one column of one row, whatever the file's format.

use arrow_array::cast::AsArray as _;
use arrow_array::types::{
    Float16Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type, UInt16Type,
    UInt32Type, UInt64Type,
};
use arrow_array::{Array, StructArray};
use arrow_schema::DataType;
use serde_json::{Number, Value};

/// Characters of a cell that an error message shows.
const SHOWN: usize = 60;

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Cell {
    Null,
    Text(String),
    Number(Number),
    Bytes(Vec<u8>),
    List(Vec<Self>),
    Object(Vec<(String, Self)>),
    /// Something that no field of a problem can be, as an error message shows it.
    Other(String),
}

impl Cell {
    /// The value at a place of an object: a key, or keys joined by dots.
    pub(crate) fn at(&self, path: &str) -> Option<&Self> {
        if let Some(found) = self.field(path) {
            return Some(found);
        }
        path.match_indices('.').find_map(|(dot, _)| self.field(&path[..dot])?.at(&path[dot + 1..]))
    }

    fn field(&self, name: &str) -> Option<&Self> {
        let Self::Object(fields) = self else { return None };
        fields.iter().find(|(key, _)| key == name).map(|(_, cell)| cell)
    }

    /// As text, if it is text; columns without a declared encoding count if they hold UTF-8.
    pub(crate) fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Bytes(bytes) => std::str::from_utf8(bytes).ok(),
            _ => None,
        }
    }

    /// Bytes of its texts and of its binary values.
    pub(crate) fn bytes(&self) -> u64 {
        match self {
            Self::Text(text) => text.len() as u64,
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::List(cells) => cells.iter().map(Self::bytes).sum(),
            Self::Object(fields) => fields.iter().map(|(_, cell)| cell.bytes()).sum(),
            Self::Null | Self::Number(_) | Self::Other(_) => 0,
        }
    }

    /// The start of it, for an error message.
    pub(crate) fn shown(&self) -> String {
        let mut text = String::new();
        self.write(&mut text);
        match text.char_indices().nth(SHOWN) {
            Some((end, _)) => format!("{}…", &text[..end]),
            None => text,
        }
    }

    /// Writes it as JSON, more or less, until it is longer than anybody wants to see.
    fn write(&self, text: &mut String) {
        let is_enough = |text: &String| text.len() > 4 * SHOWN;
        match self {
            Self::Null => text.push_str("null"),
            Self::Text(content) => {
                let start: String = content.chars().take(SHOWN + 1).collect();
                text.push_str(&format!("{start:?}"));
            }
            Self::Number(number) => text.push_str(&number.to_string()),
            Self::Bytes(bytes) => text.push_str(&format!("{} bytes", bytes.len())),
            Self::List(cells) => {
                text.push('[');
                for (index, cell) in cells.iter().enumerate() {
                    if is_enough(text) {
                        break;
                    }
                    text.push_str(if index > 0 { ", " } else { "" });
                    cell.write(text);
                }
                text.push(']');
            }
            Self::Object(fields) => {
                text.push('{');
                for (index, (key, cell)) in fields.iter().enumerate() {
                    if is_enough(text) {
                        break;
                    }
                    text.push_str(if index > 0 { ", " } else { "" });
                    text.push_str(&format!("{key}: "));
                    cell.write(text);
                }
                text.push('}');
            }
            Self::Other(shown) => text.push_str(shown),
        }
    }

    /// The value in a row of a column.
    pub(crate) fn of_column(column: &dyn Array, row: usize) -> Self {
        if column.is_null(row) {
            return Self::Null;
        }
        let cells = |list: &dyn Array| Self::List((0..list.len()).map(|at| Self::of_column(list, at)).collect());
        let float = |value: f64| Number::from_f64(value).map_or_else(|| Self::Other(value.to_string()), Self::Number);
        macro_rules! integer {
            ($type:ty) => {
                Self::Number(column.as_primitive::<$type>().value(row).into())
            };
        }
        match column.data_type() {
            DataType::Null => Self::Null,
            DataType::Utf8 => Self::Text(column.as_string::<i32>().value(row).to_owned()),
            DataType::Binary => Self::Bytes(column.as_binary::<i32>().value(row).to_owned()),
            DataType::FixedSizeBinary(_) => Self::Bytes(column.as_fixed_size_binary().value(row).to_owned()),
            DataType::Boolean => Self::Other(column.as_boolean().value(row).to_string()),
            DataType::Int8 => integer!(Int8Type),
            DataType::Int16 => integer!(Int16Type),
            DataType::Int32 => integer!(Int32Type),
            DataType::Int64 => integer!(Int64Type),
            DataType::UInt8 => integer!(UInt8Type),
            DataType::UInt16 => integer!(UInt16Type),
            DataType::UInt32 => integer!(UInt32Type),
            DataType::UInt64 => integer!(UInt64Type),
            DataType::Float16 => float(column.as_primitive::<Float16Type>().value(row).to_f64()),
            // By way of its shortest text, so that 0.1 stays 0.1.
            DataType::Float32 => {
                let value = column.as_primitive::<Float32Type>().value(row);
                value.to_string().parse().map_or_else(|_| Self::Other(value.to_string()), float)
            }
            DataType::Float64 => float(column.as_primitive::<Float64Type>().value(row)),
            DataType::List(_) => cells(&column.as_list::<i32>().value(row)),
            DataType::Struct(_) => Self::of_struct(column.as_struct(), row),
            other => Self::Other(format!("a value of type {other}")),
        }
    }

    /// A row of a table.
    pub(crate) fn of_struct(table: &StructArray, row: usize) -> Self {
        let field = |(name, column): (&str, &arrow_array::ArrayRef)| (name.to_owned(), Self::of_column(column, row));
        Self::Object(table.column_names().into_iter().zip(table.columns()).map(field).collect())
    }
}

impl From<Value> for Cell {
    fn from(value: Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(value) => Self::Other(value.to_string()),
            Value::Number(number) => Self::Number(number),
            Value::String(text) => Self::Text(text),
            Value::Array(values) => Self::List(values.into_iter().map(Self::from).collect()),
            Value::Object(fields) => Self::Object(fields.into_iter().map(|(key, value)| (key, value.into())).collect()),
        }
    }
}
