//! Starts, signals and stops the real program.

use std::{
    fs,
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
};

/// A folder that defines `events`, with these settings in addition to the format.
pub(crate) fn streams(settings: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let toml = format!("[source]\nformat = \"json_array\"\n{settings}");
    fs::write(folder.path().join("events.toml"), toml).unwrap();
    let schema = r#"{"type": "object", "required": ["id"], "properties": {"id": {"type": "integer"}}}"#;
    fs::write(folder.path().join("events.schema.json"), schema).unwrap();
    folder
}

pub(crate) fn consumer(streams: &Path, environment: &[(&str, String)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_consumer"));
    command.args(["run", "--stream", "events", "--streams-dir"]).arg(streams).env_clear().current_dir(streams);
    command.envs(environment.iter().map(|(name, value)| (name, value)));
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command
}

pub(crate) fn signal(child: &Child, name: &str) {
    let sent = Command::new("kill").arg(name).arg(child.id().to_string()).status().unwrap();
    assert!(sent.success(), "{name}");
}

/// Ends a consumer as an operator would.
pub(crate) fn stop(mut child: Child) -> ExitStatus {
    signal(&child, "-TERM");
    child.wait().unwrap()
}
