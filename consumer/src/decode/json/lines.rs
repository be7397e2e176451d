//! Feeds the lines of a text, one JSON record each. A bad line affects no other.

use lake::{dead_letter::Fault, stream::ReadSettings};

use super::{
    super::{
        Content, Record, RecordSink, blank_object,
        input::Input,
        record::{reach_of, skip_long, too_long},
    },
    is_space, trim_space_end,
};
use crate::error::Error;

/// How many spaces may follow a record before its line end, at least.
const SPACE_BYTES: usize = 4 << 10;

/// Passes each line that is not blank to `sink`. Returns the fault of the object if all are blank.
///
/// # Errors
/// The store's, or those of `sink`.
pub(crate) fn feed<S: RecordSink>(
    input: &mut Input<'_>,
    settings: &ReadSettings,
    sink: &mut S,
) -> Result<Result<(), Fault>, Error> {
    let mut index = 0;
    loop {
        skip_space(input)?;
        if input.window().is_empty() {
            return Ok(if index == 0 { Err(blank_object()) } else { Ok(()) });
        }
        let offset = input.offset();
        match line_length(input, reach_of(settings, SPACE_BYTES))? {
            Some(end) => {
                let raw = trim_space_end(&input.window()[..end]);
                let length = raw.len() as u64;
                let is_long = length > settings.record_bytes_max;
                let content = if is_long { Content::Fault(too_long(length, settings)) } else { Content::Json };
                sink.record(&Record { index, offset, length, raw, line: None, content })?;
                input.consume(end);
            }
            None => {
                let (raw, length) = skip_long(input, reach_of(settings, SPACE_BYTES), settings)?;
                let content = Content::Fault(too_long(length, settings));
                sink.record(&Record { index, offset, length, raw: &raw, line: None, content })?;
            }
        }
        index += 1;
    }
}

/// Moves to the next byte that is not white space.
fn skip_space(input: &mut Input<'_>) -> Result<(), Error> {
    loop {
        let window = input.window();
        let space = window.iter().take_while(|byte| is_space(**byte)).count();
        let is_through = space < window.len();
        input.consume(space);
        if is_through || input.is_last() {
            return Ok(());
        }
        input.grow()?;
    }
}

/// The length of the line at the window's start, without its end; `None` if the end is not within reach.
fn line_length(input: &mut Input<'_>, reach: usize) -> Result<Option<usize>, Error> {
    let mut searched = 0;
    loop {
        let window = input.window();
        let within = &window[..window.len().min(reach)];
        if let Some(at) = memchr::memchr(b'\n', &within[searched..]) {
            return Ok(Some(searched + at));
        }
        if within.len() < window.len() || within.len() == reach {
            return Ok(None);
        }
        if input.is_last() {
            return Ok(Some(within.len()));
        }
        searched = within.len();
        input.grow()?;
    }
}
