//! Reads JSON numbers without changing them.

/// The whole number that a JSON number's text stands for, such as `7`, `7.0` or `7e2`; `None` where it is not whole or
/// does not fit 64 bits.
pub(super) fn whole(text: &str) -> Option<i64> {
    if let Ok(number) = text.parse() {
        return Some(number);
    }
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let (negative, mantissa) = match mantissa.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", mantissa),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    let digits = digits.trim_start_matches('0');
    let significant = digits.trim_end_matches('0');
    if significant.is_empty() {
        return Some(0);
    }
    let exponent: i64 = exponent.parse().ok()?;
    let dropped = (digits.len() - significant.len()) as i64;
    // The value is `significant` times ten to the power of `zeros`.
    let zeros = exponent.checked_sub(fraction.len() as i64)?.checked_add(dropped)?;
    let zeros = usize::try_from(zeros).ok().filter(|zeros| *zeros < 20)?;
    format!("{negative}{significant}{}", "0".repeat(zeros)).parse().ok()
}

/// The double nearest to a JSON number's text; `None` where it is beyond all doubles, or a whole number written out
/// that no double equals.
pub(super) fn double(text: &str) -> Option<f64> {
    let number: f64 = text.parse().ok()?;
    let written_out = !text.contains(['.', 'e', 'E']);
    let exact = !written_out || number.abs() < 9_007_199_254_740_992.0 || format!("{number:.0}") == text;
    (number.is_finite() && exact).then_some(number)
}
