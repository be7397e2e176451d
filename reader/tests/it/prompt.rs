//! The prompt, through a pseudo-terminal: what a user types, and what appears.

use std::{
    io::{Read, Write},
    sync::{Arc, Condvar, Mutex},
    thread,
    time::{Duration, Instant},
};

use portable_pty::{Child, CommandBuilder, PtySize, native_pty_system};

use crate::support::{TestLake, id_and_name};

const PATIENCE: Duration = Duration::from_secs(30);
/// A program's request to a terminal for the cursor position.
const WHERE_IS_THE_CURSOR: &[u8] = b"\x1b[6n";

/// The reader in a terminal.
struct Terminal {
    child: Box<dyn Child + Send + Sync>,
    keyboard: Arc<Mutex<Box<dyn Write + Send>>>,
    screen: Arc<(Mutex<String>, Condvar)>,
    /// The unfiltered output.
    raw: Arc<Mutex<String>>,
    seen: usize,
    // Kept open: the terminal hangs up when it is dropped.
    _pty: Box<dyn portable_pty::MasterPty + Send>,
}

impl Terminal {
    fn open(lake: &TestLake) -> Self {
        Self::open_with(lake, &[], 200)
    }

    fn open_with(lake: &TestLake, arguments: &[&str], columns: u16) -> Self {
        let size = PtySize { rows: 50, cols: columns, pixel_width: 0, pixel_height: 0 };
        let pty = native_pty_system().openpty(size).unwrap();
        let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_reader"));
        command.args(arguments);
        command.env_clear();
        command.cwd(lake.folder.path());
        for (name, value) in
            [("LAKE_URL", lake.url.as_str()), ("TERM", "xterm"), ("HOME", lake.folder.path().to_str().unwrap())]
        {
            command.env(name, value);
        }
        let child = pty.slave.spawn_command(command).unwrap();
        let keyboard = Arc::new(Mutex::new(pty.master.take_writer().unwrap()));
        let screen = Arc::new((Mutex::new(String::new()), Condvar::new()));
        let raw = Arc::new(Mutex::new(String::new()));
        show(pty.master.try_clone_reader().unwrap(), Arc::clone(&keyboard), Arc::clone(&screen), Arc::clone(&raw));
        Self { child, keyboard, screen, raw, seen: 0, _pty: pty.master }
    }

    fn press(&self, keys: &str) {
        let mut keyboard = self.keyboard.lock().unwrap();
        keyboard.write_all(keys.as_bytes()).unwrap();
        keyboard.flush().unwrap();
    }

    /// Waits until `wanted` appears after everything awaited before.
    fn await_text(&mut self, wanted: &str) {
        let (screen, changed) = &*self.screen;
        let seen = self.seen;
        let waited =
            changed.wait_timeout_while(screen.lock().unwrap(), PATIENCE, |text| !text[seen..].contains(wanted));
        let text = waited.unwrap().0;
        match text[seen..].find(wanted) {
            Some(at) => self.seen = seen + at + wanted.len(),
            None => panic!("{wanted:?} does not appear in {:?}", &text[seen..]),
        }
    }

    fn exit_code(&mut self) -> u32 {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.exit_code();
            }
            assert!(Instant::now() < deadline, "the reader does not leave");
            thread::yield_now();
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.child.kill().ok();
    }
}

/// The text without terminal codes: colours and cursor movements.
fn readable(printed: &str) -> String {
    let mut text = String::new();
    let mut chars = printed.chars();
    while let Some(c) = chars.next() {
        match c {
            '\x1b' if chars.next() == Some('[') => {
                chars.find(char::is_ascii_alphabetic);
            }
            '\x1b' => {}
            c => text.push(c),
        }
    }
    text
}

/// Stores what the program prints, and answers it as a terminal does.
fn show(
    mut output: Box<dyn Read + Send>,
    keyboard: Arc<Mutex<Box<dyn Write + Send>>>,
    screen: Arc<(Mutex<String>, Condvar)>,
    raw: Arc<Mutex<String>>,
) {
    thread::spawn(move || {
        let mut buffer = [0; 4096];
        let mut printed = Vec::new();
        let mut answered = 0;
        while let Ok(count @ 1..) = output.read(&mut buffer) {
            printed.extend_from_slice(&buffer[..count]);
            let asked =
                printed.windows(WHERE_IS_THE_CURSOR.len()).filter(|window| *window == WHERE_IS_THE_CURSOR).count();
            for _ in answered..asked {
                keyboard.lock().unwrap().write_all(b"\x1b[1;1R").unwrap();
            }
            answered = asked;
            *raw.lock().unwrap() = String::from_utf8_lossy(&printed).into_owned();
            *screen.0.lock().unwrap() = readable(&String::from_utf8_lossy(&printed));
            screen.1.notify_all();
        }
    });
}

#[test]
fn a_statement_shows_its_result_and_ctrl_d_leaves() {
    let mut lake = TestLake::new();
    lake.commit("events", &id_and_name(), "SELECT 41 AS id, 'one' AS name", None);
    let mut terminal = Terminal::open(&lake);
    terminal.await_text("lake> ");
    terminal.press("SELECT id + 1 AS answer\r");
    terminal.await_text("... ");
    terminal.press("FROM bronze.events;\r");
    terminal.await_text("│ answer │");
    terminal.await_text("│     42 │");
    terminal.await_text("1 row");
    terminal.await_text("lake> ");
    terminal.press("\x04");
    assert_eq!(terminal.exit_code(), 0);
}

#[test]
fn an_error_is_shown_and_the_prompt_comes_back() {
    let lake = TestLake::new();
    let mut terminal = Terminal::open(&lake);
    terminal.await_text("lake> ");
    terminal.press("SELECT nothing;\r");
    terminal.await_text("error: Binder Error");
    terminal.await_text("lake> ");
    terminal.press(".tables\r");
    terminal.await_text("checkpoints");
    terminal.await_text("lake> ");
    terminal.press(".quit\r");
    assert_eq!(terminal.exit_code(), 0);
}

#[test]
fn ctrl_c_stops_a_statement_that_runs() {
    let lake = TestLake::new();
    let mut terminal = Terminal::open(&lake);
    terminal.await_text("lake> ");
    terminal.press("SELECT 1 AS started; SELECT count(*) FROM range(1000000000) a, range(1000000000) b;\r");
    terminal.await_text("1 row");
    // The key does nothing before the statement runs. The prompt proves that the statement was stopped: it would not
    // end by itself. Its message may be lost, because the key also discards output that is not shown yet.
    let deadline = Instant::now() + PATIENCE;
    while !terminal.screen.0.lock().unwrap()[terminal.seen..].contains("lake> ") {
        assert!(Instant::now() < deadline, "the statement is not stopped");
        terminal.press("\x03");
        let (screen, changed) = &*terminal.screen;
        drop(changed.wait_timeout(screen.lock().unwrap(), Duration::from_millis(50)).unwrap());
    }
    // One key press too many above asks for another prompt, and input during its setup is lost: press again, as a user
    // would.
    let deadline = Instant::now() + PATIENCE;
    while terminal.child.try_wait().unwrap().is_none() {
        assert!(Instant::now() < deadline, "the reader does not leave");
        terminal.keyboard.lock().unwrap().write_all(b"\x04").ok();
        let (screen, changed) = &*terminal.screen;
        drop(changed.wait_timeout(screen.lock().unwrap(), Duration::from_millis(50)).unwrap());
    }
    assert_eq!(terminal.exit_code(), 0);
}

#[test]
fn a_long_statement_draws_a_bar_and_ends_with_it() {
    let lake = TestLake::new();
    let mut terminal = Terminal::open(&lake);
    terminal.await_text("lake> ");
    // By default, the bar appears after two seconds.
    terminal.press("SET progress_bar_time = 1; CREATE TABLE t AS FROM range(3000000) t(i);\r");
    terminal.await_text("lake> ");
    terminal.press("SELECT sum(a.i * b.i) FROM t a, (FROM t LIMIT 100000) b;\r");
    terminal.await_text("% ▕");
    let deadline = Instant::now() + PATIENCE;
    while !terminal.screen.0.lock().unwrap()[terminal.seen..].contains("lake> ") {
        assert!(Instant::now() < deadline, "the statement is not stopped");
        terminal.press("\x03");
        let (screen, changed) = &*terminal.screen;
        drop(changed.wait_timeout(screen.lock().unwrap(), Duration::from_millis(50)).unwrap());
    }
}

#[test]
fn what_is_typed_is_coloured() {
    let lake = TestLake::new();
    let mut terminal = Terminal::open(&lake);
    terminal.await_text("lake> ");
    terminal.press("select 'text', 42;\r");
    terminal.await_text("1 row");
    let shown = terminal.raw.lock().unwrap().clone();
    for coloured in ["\x1b[1;34mselect", "\x1b[32m'text'", "\x1b[35m42"] {
        assert!(shown.contains(coloured), "{coloured:?} is not in {shown:?}");
    }
}

#[cfg(unix)]
#[test]
fn only_the_owner_can_read_the_history() {
    use std::os::unix::fs::PermissionsExt;

    let lake = TestLake::new();
    let mut terminal = Terminal::open(&lake);
    terminal.await_text("lake> ");
    terminal.press("SELECT 'to be remembered';\r");
    terminal.await_text("1 row");
    terminal.await_text("lake> ");
    terminal.press("\x04");
    assert_eq!(terminal.exit_code(), 0);

    let file = lake.folder.path().join(".local/state/sluice/history");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(std::fs::read_to_string(&file).unwrap().contains("to be remembered"));
}

#[test]
fn the_greeting_shows_the_streams_and_what_to_try() {
    let mut lake = TestLake::new();
    lake.commit("events", &id_and_name(), "SELECT range AS id, 'n' AS name FROM range(1234)", Some("SELECT 1"));
    lake.commit("my orders", &id_and_name(), "SELECT 1 AS id, 'one' AS name", None);
    let mut terminal = Terminal::open(&lake);
    terminal.await_text("2 streams.");
    terminal.await_text("events     1,234 rows, 1 dead letters");
    terminal.await_text("my orders  1 rows, 0 dead letters");
    terminal.await_text("Try: FROM bronze.events LIMIT 5;");
    terminal.await_text("lake> ");
    let greeting = terminal.screen.0.lock().unwrap().lines().filter(|line| !line.starts_with("lake>")).count();
    assert!(greeting <= 6, "{greeting}");
}

#[test]
fn the_tab_key_completes_keywords_relations_columns_and_commands() {
    let mut lake = TestLake::new();
    let mut schema = id_and_name();
    schema["properties"]["order"] = serde_json::json!({ "type": "integer" });
    lake.commit("events", &schema, "SELECT 41 AS id, 'one' AS name, 1 AS \"order\"", None);
    let mut terminal = Terminal::open(&lake);
    terminal.await_text("lake> ");
    for (typed, completed) in [
        ("SELEC\t", "SELECT"),
        ("41 AS x FROM bron\t", "bronze."),
        ("eve\t", "events"),
        ("AS e WHERE e.nam\t", "name"),
        (" IS NOT NULL AND e.or\t", "\"order\""),
        (" = 1 AND e.i\t", "e.id"),
    ] {
        terminal.press(typed);
        terminal.await_text(completed);
    }
    terminal.press(" = 41;\r");
    terminal.await_text("│      41 │");
    terminal.await_text("lake> ");
    terminal.press(".dea\t");
    terminal.await_text(".dead");
    terminal.press(" eve\t");
    terminal.await_text("events");
    terminal.press("\r");
    terminal.await_text("newest_example");
}

/// Column names come from the author of the schema.
#[test]
fn the_tab_key_offers_no_name_that_a_terminal_would_obey() {
    let mut lake = TestLake::new();
    let mut schema = id_and_name();
    schema["properties"]["wide"] = serde_json::json!({ "type": "integer" });
    schema["properties"]["wi\u{1b}]0;x\u{7}"] = serde_json::json!({ "type": "integer" });
    lake.commit("events", &schema, "SELECT 1 AS id, 'one' AS name, 7 AS wide, 8 AS \"wi\u{1b}]0;x\u{7}\"", None);
    let mut terminal = Terminal::open(&lake);
    terminal.await_text("lake> ");
    terminal.press("FROM bronze.events SELECT events.wi\t");
    terminal.await_text("wide");
    terminal.press(";\r");
    terminal.await_text("│      7 │");
    let shown = terminal.raw.lock().unwrap().clone();
    assert!(!shown.contains("\x1b]0;"), "{shown:?}");
}

#[test]
fn the_arrow_key_brings_back_the_last_statement_without_secrets() {
    let lake = TestLake::new();
    let mut terminal = Terminal::open(&lake);
    terminal.await_text("lake> ");
    terminal.press("SELECT 40 +\r2 AS answer;\r");
    terminal.await_text("│      42 │");
    terminal.await_text("lake> ");
    for wrong in ["CREATE SECRET s (TYPE nothing", "CRAETE SECRET s (TYPE s3", "SET s3_secret_access_key = ('x'"] {
        terminal.press(&format!("{wrong}, SECRET 'not-to-be-kept');\r"));
        terminal.await_text("error: ");
        terminal.await_text("lake> ");
    }
    for wrong in
        ["ATTACH 'x=y password=not-to-be-kept' AS pg (TYPE nothing)", "SELECT nothing WHERE my_key = 'not-to-be-kept'"]
    {
        terminal.press(&format!("{wrong};\r"));
        terminal.await_text("error: ");
        terminal.await_text("lake> ");
    }
    terminal.press("\x1b[A\r");
    terminal.await_text("│      42 │");
    terminal.await_text("lake> ");
    terminal.press("\x04");
    assert_eq!(terminal.exit_code(), 0);
    let history = std::fs::read_to_string(lake.folder.path().join(".local/state/sluice/history")).unwrap();
    assert!(history.contains("40 +") && !history.contains("not-to-be-kept"), "{history}");
}

#[test]
fn what_a_terminal_would_obey_is_escaped_in_every_format() {
    let lake = TestLake::new();
    for format in ["box", "csv", "tsv", "json", "jsonlines", "markdown", "line"] {
        let query = "SELECT e'a\\x1b]0;x\\x07' || chr(155) || chr(8238) AS s";
        let mut terminal = Terminal::open_with(&lake, &["--format", format, "-c", query], 100);
        assert_eq!(terminal.exit_code(), 0);
        terminal.await_text("]0;x");
        let shown = terminal.raw.lock().unwrap().clone();
        assert!(!shown.contains("\x1b]0") && !shown.contains(['\x07', '\u{9b}', '\u{202e}']), "{format}: {shown:?}");
    }
}

#[test]
fn a_table_fits_the_terminal_and_is_whole_in_a_file() {
    let lake = TestLake::new();
    let query = "SELECT repeat('x', 500) AS long, i FROM range(100) t(i)";
    let mut terminal = Terminal::open_with(&lake, &["--format", "box", "-c", query], 60);
    terminal.await_text("100 rows, the first 20 and the last 20 are shown");
    let screen = terminal.screen.0.lock().unwrap().clone();
    assert!(screen.lines().all(|line| line.chars().count() <= 60) && screen.contains("xxx… │"), "{screen}");

    let whole = lake.reader().args(["--format", "box", "-c", query]).output().unwrap();
    let whole = String::from_utf8(whole.stdout).unwrap();
    assert_eq!(whole.matches(&"x".repeat(500)).count(), 100);
}
