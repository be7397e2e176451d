//! x
fn main() { println!("{:?}", duckdb::Connection::open_in_memory().unwrap().version()); }
