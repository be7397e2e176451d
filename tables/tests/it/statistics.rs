//! Which columns of a file say what their smallest and largest values are.

use std::sync::Arc;

use arrow::{
    array::{ArrayRef, Int64Builder, ListBuilder, MapBuilder, RecordBatch, StringArray, StringBuilder},
    datatypes::Schema,
};
use parquet::file::reader::{FileReader, SerializedFileReader};
use tables::FileWriter;

fn batch() -> RecordBatch {
    let texts = |one, other| -> ArrayRef { Arc::new(StringArray::from(vec![one, other])) };
    let mut map = MapBuilder::new(None, StringBuilder::new(), StringBuilder::new());
    let mut list = ListBuilder::new(Int64Builder::new());
    for number in 0..2 {
        map.keys().append_value("url");
        map.values().append_value("https://example.org");
        map.append(true).unwrap();
        list.values().append_value(number);
        list.append(true);
    }
    let columns = [
        ("id", texts("a", "b")),
        ("properties", Arc::new(map.finish()) as ArrayRef),
        ("counts", Arc::new(list.finish()) as ArrayRef),
        ("_source_key", texts("raw/events/1", "raw/events/2")),
        ("_source_etag", texts("1", "2")),
    ];
    RecordBatch::try_from_iter(columns).unwrap()
}

/// Fails when a file lacks what readers skip by, or says what costs time to find and shows nothing.
#[test]
fn columns_with_one_value_a_row_have_statistics_and_parts_of_lists_and_maps_have_none() {
    let batch = batch();
    let schema = Arc::new(Schema::clone(&batch.schema()));
    let file = FileWriter::new(schema, None).finish_with(&batch).unwrap().unwrap();
    let reader = SerializedFileReader::new(file.bytes).unwrap();
    let columns = reader.metadata().row_group(0).columns();
    let with: Vec<String> = columns
        .iter()
        .filter(|column| column.statistics().is_some_and(|statistics| statistics.min_bytes_opt().is_some()))
        .map(|column| column.column_path().string())
        .collect();
    assert_eq!(columns.len(), 6, "two parts of a map and one of a list");
    assert_eq!(with, ["id", "_source_key"]);
}
