//! Finds libduckdb before the link step, and sets where the programs look for it at run time.
//!
//! Knows where scripts/fetch-duckdb.sh puts the library, and runs that script if the library is missing.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

/// Where a program looks for the library, relative to its own folder: next to the folder of programs and tests.
const BESIDE_PROGRAMS: [&str; 2] = ["../duckdb", "../../duckdb"];

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=DUCKDB_LIB_DIR");
    println!("cargo::rustc-env=READER_DUCKDB_DIR={}", env::var("DUCKDB_LIB_DIR").unwrap_or_default());
    if env::var_os("CARGO_FEATURE_BUNDLED").is_some() {
        println!("cargo::warning=DuckDB is built from source, which takes about 18 minutes on 2 cores.");
        println!("cargo::warning=Without the feature \"bundled\", a prebuilt library is linked in a minute.");
        return;
    }
    let folder = env::var("DUCKDB_LIB_DIR").unwrap_or_default();
    let mut present = libraries(&folder);
    if present.is_empty() && fetch(&folder) {
        present = libraries(&folder);
    }
    // Only files that exist: cargo treats a missing file as changed, and would rebuild the reader each time.
    for file in &present {
        println!("cargo::rerun-if-changed={}", file.display());
    }
    if present.is_empty() {
        println!("cargo::error=DuckDB's library is not in {folder:?} (DUCKDB_LIB_DIR) and could not be fetched.");
        println!(
            "cargo::error=scripts/fetch-duckdb.sh shows why. To use your own libduckdb 1.5.5, set DUCKDB_LIB_DIR."
        );
        println!("cargo::error=To build it from source (about 18 minutes): cargo build -p reader --features bundled");
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

fn libraries(folder: &str) -> Vec<PathBuf> {
    let names = ["libduckdb.so", "libduckdb.dylib", "duckdb.lib", "libduckdb_static.a"];
    names.iter().map(|name| Path::new(folder).join(name)).filter(|file| file.exists()).collect()
}

/// Fetches the pinned library into the checkout's own folder. Never fills any other folder.
fn fetch(folder: &str) -> bool {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let is_own = root.canonicalize().is_ok_and(|root| Path::new(folder) == root.join("target/duckdb"));
    if !is_own {
        return false;
    }
    println!("cargo::warning=DuckDB's library is missing: scripts/fetch-duckdb.sh fetches it, pinned by SHA-256.");
    let fetched = Command::new("sh").arg(root.join("scripts/fetch-duckdb.sh")).arg(folder).status();
    fetched.is_ok_and(|status| status.success())
}
