//! Converts a column of an older schema version to the type that it has now.
//!
//! Invariant: no value changes, except for a whole number that becomes the nearest double if the schema says so.

use std::sync::Arc;

use arrow::{
    array::{Array, ArrayRef, AsArray, ListArray, MapArray, StructArray, new_null_array},
    datatypes::{DataType, Field, Float64Type, Int64Type},
};

use super::counterpart;

/// `array`, which has the type of the field `found`, converted to that of the field `wanted`.
///
/// # Errors
/// What is wrong, in words, when `found` does not widen to `wanted`.
pub(super) fn adapt(array: &ArrayRef, found: &Field, wanted: &Field) -> Result<ArrayRef, String> {
    let nulls = || array.nulls().cloned();
    let adapted: ArrayRef = match (found.data_type(), wanted.data_type()) {
        (found, wanted) if found == wanted => Arc::clone(array),
        (DataType::Int64, DataType::Float64) => {
            Arc::new(array.as_primitive::<Int64Type>().unary::<_, Float64Type>(|value| value as f64))
        }
        (DataType::Struct(old), DataType::Struct(new)) => {
            let columns = array.as_struct();
            let fields = new.iter().map(|field| match counterpart(old, field) {
                Some((at, found)) => adapt(columns.column(at), found, field),
                None => Ok(new_null_array(field.data_type(), array.len())),
            });
            let arrays = fields.collect::<Result<Vec<_>, _>>()?;
            let made = StructArray::try_new_with_length(new.clone(), arrays, nulls(), array.len());
            Arc::new(made.map_err(|error| error.to_string())?)
        }
        (DataType::List(old), DataType::List(new)) => {
            let list = array.as_list::<i32>();
            let values = adapt(list.values(), old, new)?;
            let made = ListArray::try_new(Arc::clone(new), list.offsets().clone(), values, nulls());
            Arc::new(made.map_err(|error| error.to_string())?)
        }
        (DataType::Map(old, _), DataType::Map(new, sorted)) => {
            let map = array.as_map();
            let entries: ArrayRef = Arc::new(map.entries().clone());
            let entries = adapt(&entries, old, new)?.as_struct().clone();
            let made = MapArray::try_new(Arc::clone(new), map.offsets().clone(), entries, nulls(), *sorted);
            Arc::new(made.map_err(|error| error.to_string())?)
        }
        (old, new) => {
            return Err(format!("has a column {:?} of type {old}, but the schema says {new}", wanted.name()));
        }
    };
    Ok(adapted)
}
