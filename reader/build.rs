//! Finds libduckdb before the linker fails to, and tells the programs where it will be when they run.
//!
//! Knows where scripts/fetch-duckdb.sh puts the library. Fetches nothing.

use std::{env, path::Path};

/// Where a program looks for the library, from its own folder: beside the folder of programs and tests.
const BESIDE_PROGRAMS: [&str; 2] = ["../duckdb", "../../duckdb"];

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=DUCKDB_LIB_DIR");
    println!("cargo::rustc-env=READER_DUCKDB_DIR={}", env::var("DUCKDB_LIB_DIR").unwrap_or_default());
    if env::var_os("CARGO_FEATURE_BUNDLED").is_some() {
        return;
    }
    let folder = env::var("DUCKDB_LIB_DIR").unwrap_or_default();
    let names = ["libduckdb.so", "libduckdb.dylib", "duckdb.lib", "libduckdb_static.a"];
    let present: Vec<_> = names.iter().map(|name| Path::new(&folder).join(name)).filter(|file| file.exists()).collect();
    // Only what is there: cargo takes a missing file for a changed one, and would build the reader anew each time.
    for file in &present {
        println!("cargo::rerun-if-changed={}", file.display());
    }
    if present.is_empty() {
        println!("cargo::error=DuckDB's library is not in {folder:?} (DUCKDB_LIB_DIR).");
        println!(
            "cargo::error=Run scripts/fetch-duckdb.sh: it fetches the library in seconds, and cargo finds it there."
        );
        println!(
            "cargo::error=To build DuckDB from source instead (about 18 minutes): cargo build --features reader/bundled"
        );
        return;
    }
    if env::var("CARGO_CFG_WINDOWS").is_ok() {
        return;
    }
    let origin = if env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os == "macos") { "@loader_path" } else { "$ORIGIN" };
    for place in BESIDE_PROGRAMS {
        println!("cargo::rustc-link-arg=-Wl,-rpath,{origin}/{place}");
    }
    println!("cargo::rustc-link-arg=-Wl,-rpath,{folder}");
}
