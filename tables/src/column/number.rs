//! Reads JSON numbers without changing them.

/// The whole number of a JSON number's text, such as `7`, `7.0` or `7e2`; `None` if it is not whole or does not fit
/// into 64 bits.
pub(crate) fn whole(text: &str) -> Option<i64> {
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

/// The double nearest to a JSON number's text. `None` if the difference would not be small: the number exceeds all
/// doubles, or would become 0, or its whole part is written out and is not the double's.
pub fn double(text: &str) -> Option<f64> {
    let number: f64 = text.parse().ok()?;
    let is_zero = !text.split(['e', 'E']).next().unwrap_or(text).bytes().any(|byte| matches!(byte, b'1'..=b'9'));
    let kept = if text.contains(['e', 'E']) || number.abs() < EXACT_MAX {
        true
    } else {
        let whole = text.split('.').next().unwrap_or(text);
        format!("{:.0}", number.trunc()) == whole
    };
    (number.is_finite() && (number != 0.0 || is_zero) && kept).then_some(number)
}

/// Up to here every whole number is a double: 2 to the power of 53.
const EXACT_MAX: f64 = 9_007_199_254_740_992.0;
