//! Cuts a text into lines, one JSON record each. A bad line harms no other.

use lake::stream::ReadSettings;

use super::{
    framed::{Framed, reach_of, skip_long, too_long},
    input::Input,
};
use crate::error::Error;

/// How many spaces may stand behind a record before its line end, at least.
const SPACE_BYTES: usize = 4 << 10;

/// Hands each line that is not blank to `each`, in order.
///
/// # Errors
/// The store's, or those of `each`.
pub(crate) fn lines(
    input: &mut Input<'_>,
    settings: &ReadSettings,
    each: &mut dyn FnMut(Framed<'_>) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut index = 0;
    loop {
        skip_space(input)?;
        if input.window().is_empty() {
            return Ok(());
        }
        let offset = input.offset();
        match line_length(input, reach_of(settings, SPACE_BYTES))? {
            Some(length) => {
                let raw = input.window()[..length].trim_ascii_end();
                let length_trimmed = raw.len() as u64;
                let is_long = length_trimmed > settings.record_bytes_max;
                let fault = is_long.then(|| too_long(length_trimmed, settings));
                each(Framed { index, offset, raw, length: length_trimmed, fault })?;
                input.consume(length);
            }
            None => {
                let (raw, length) = skip_long(input, reach_of(settings, SPACE_BYTES), settings)?;
                let fault = Some(too_long(length, settings));
                each(Framed { index, offset, raw: &raw, length, fault })?;
            }
        }
        index += 1;
    }
}

/// Moves on to the next byte that is no white space.
fn skip_space(input: &mut Input<'_>) -> Result<(), Error> {
    loop {
        let window = input.window();
        let space = window.len() - window.trim_ascii_start().len();
        let is_through = space < window.len();
        input.consume(space);
        if is_through || input.is_last() {
            return Ok(());
        }
        input.grow()?;
    }
}

/// How long the line at the window's begin is, without its end; `None` where that is not within reach.
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
