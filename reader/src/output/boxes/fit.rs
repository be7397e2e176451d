//! Fits a table to a screen: long values are shortened first, then columns in the middle are left out.
//!
//! Pure. Invariant: the first column is always shown.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Stands for what is left out.
pub(super) const LEFT_OUT: &str = "…";
/// The smallest width that a column is shortened to.
const NARROWEST: usize = 12;
/// The extra width of a column: two spaces and a line.
const AROUND: usize = 3;

/// The columns to show and their widths; one `None` stands for all columns left out.
pub(super) fn fit(widths: &[usize], width: Option<usize>) -> Vec<(Option<usize>, usize)> {
    let all = |cap: usize| widths.iter().enumerate().map(move |(column, width)| (Some(column), (*width).min(cap)));
    let total = |columns: &[(Option<usize>, usize)]| columns.iter().map(|(_, width)| width + AROUND).sum::<usize>() + 1;
    let Some(width) = width else { return all(usize::MAX).collect() };
    let widest = widths.iter().copied().max().unwrap_or(0);
    let fitting = (NARROWEST..=widest.max(NARROWEST)).rev().map(|cap| all(cap).collect::<Vec<_>>());
    if let Some(columns) = fitting.into_iter().find(|columns| total(columns) <= width) {
        return columns;
    }
    let narrow: Vec<_> = all(NARROWEST).collect();
    // Columns are taken from both ends towards the middle, the left end first.
    let (mut left, mut right) = (1, narrow.len());
    let chosen = |left: usize, right: usize| [&narrow[..left], &[(None, 1)], &narrow[right..]].concat();
    loop {
        let takes_left = left <= narrow.len() - right;
        let (more_left, more_right) = if takes_left { (left + 1, right) } else { (left, right - 1) };
        if more_left >= more_right || total(&chosen(more_left, more_right)) > width {
            return chosen(left, right);
        }
        (left, right) = (more_left, more_right);
    }
}

/// The text, cut to `width` with a `…` at the end if it is wider.
pub(super) fn shortened(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut left = width.saturating_sub(LEFT_OUT.width());
    let kept = text.chars().take_while(|c| {
        let needed = c.width().unwrap_or(0);
        let fits = needed <= left;
        left = left.saturating_sub(needed);
        fits
    });
    let mut short: String = kept.collect();
    short.push_str(LEFT_OUT);
    short
}
