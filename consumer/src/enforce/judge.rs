//! Judge: validates a record's value against its stream's JSON Schema, and reports what is wrong with it in our own
//! words.
//!
//! The `jsonschema` crate decides. Knows values and schemas, and nothing about columns, formats or stores.

use jsonschema::{PatternOptions, Validator, error::ValidationErrorKind};
use lake::dead_letter::{ErrorCode, Fault, Reason, pointer_step};
use serde_json::Value;

/// A compiled JSON Schema.
#[derive(Debug)]
pub struct Judge {
    validator: Validator,
}

impl Judge {
    /// Compiles a schema: draft 4 to 2020-12, with `format` asserted. Patterns run in linear time.
    ///
    /// # Errors
    /// A message for the user: a remote `$ref`, a pattern that needs backtracking, or why it is not a valid JSON
    /// Schema.
    pub fn compile(schema: &Value) -> Result<Self, String> {
        if let Some(reference) = remote_reference(schema) {
            return Err(format!(
                "refers to {reference:?}; remote schemas are not fetched: copy that one into \"$defs\" and refer to it as \
                 \"#/$defs/…\""
            ));
        }
        jsonschema::options()
            .should_validate_formats(true)
            .with_pattern_options(PatternOptions::regex())
            .build(schema)
            .map(|validator| Self { validator })
            .map_err(|error| format!("is not a JSON Schema at {:?}: {error}", error.instance_path().to_string()))
    }

    /// Whether a value passes.
    pub fn accepts(&self, value: &Value) -> bool {
        self.validator.is_valid(value)
    }

    /// Judges a record.
    ///
    /// # Errors
    /// The record's fault. Of several, the first that is not about an extra field: a record whose only faults are extra
    /// fields can often be saved by widening the schema, so these have their own reason.
    pub fn enforce(&self, record: &Value) -> Result<(), Fault> {
        if self.accepts(record) { Ok(()) } else { self.enforce_doubtful(record) }
    }

    /// Judges a record that is probably invalid: like [`Judge::enforce`], but does not check first whether it passes.
    ///
    /// # Errors
    /// As [`Judge::enforce`].
    pub fn enforce_doubtful(&self, record: &Value) -> Result<(), Fault> {
        let mut faults = 0;
        let mut chosen: Option<Fault> = None;
        for error in self.validator.iter_errors(record) {
            faults += 1;
            let only_extra = chosen.as_ref().is_none_or(|fault| fault.reason == Reason::ExtraFields);
            if chosen.is_none() || (only_extra && !is_extra_field(error.kind())) {
                chosen = Some(fault(error.kind(), error.instance(), error.instance_path().as_str()));
            }
        }
        let Some(mut fault) = chosen else { return Ok(()) };
        if faults > 1 {
            fault.message.push_str(&format!(" (and {} more)", faults - 1));
        }
        Err(fault)
    }
}

/// The first `$ref` that leaves the document.
fn remote_reference(schema: &Value) -> Option<&str> {
    match schema {
        Value::Object(fields) => fields.iter().find_map(|(key, value)| match (key.as_str(), value) {
            ("$ref" | "$dynamicRef", Value::String(target)) if !target.starts_with('#') => {
                // A relative reference may name an `$id` within the document; the judge resolves it or refuses it.
                target.contains("://").then_some(target.as_str())
            }
            // Data rather than schemas.
            ("enum" | "const" | "default" | "examples", _) => None,
            (_, value) => remote_reference(value),
        }),
        Value::Array(values) => values.iter().find_map(remote_reference),
        _ => None,
    }
}

fn is_extra_field(kind: &ValidationErrorKind) -> bool {
    use ValidationErrorKind as Kind;
    matches!(kind, Kind::AdditionalProperties { .. } | Kind::UnevaluatedProperties { .. })
}

fn invalid(code: ErrorCode, message: impl AsRef<str>) -> Fault {
    Fault::new(Reason::InvalidSchema, code, message)
}

/// The fault for one of the judge's errors.
fn fault(kind: &ValidationErrorKind, found: &Value, path: &str) -> Fault {
    use ValidationErrorKind as Kind;
    let is = describe(found);
    match kind {
        Kind::AdditionalProperties { unexpected } | Kind::UnevaluatedProperties { unexpected } => {
            let names = unexpected.iter().map(|name| format!("{name:?}")).collect::<Vec<_>>().join(", ");
            let message = format!("the schema does not allow {names}");
            let first = unexpected.first().map_or("", String::as_str);
            let path = format!("{path}{}", pointer_step(first));
            Fault::new(Reason::ExtraFields, ErrorCode::ExtraField, message).at(path)
        }
        Kind::Required { property } => {
            let name = property.as_str().unwrap_or_default();
            let path = format!("{path}{}", pointer_step(name));
            invalid(ErrorCode::MissingField, format!("the required field {name:?} is missing")).at(path)
        }
        Kind::Type { kind } => {
            let expected = match kind {
                jsonschema::error::TypeKind::Single(one) => one.to_string(),
                jsonschema::error::TypeKind::Multiple(several) => {
                    several.iter().map(|one| one.to_string()).collect::<Vec<_>>().join(" or ")
                }
            };
            invalid(ErrorCode::WrongType, format!("expected {expected}, got {is}")).at(path)
        }
        Kind::Format { format } => invalid(ErrorCode::BadFormat, format!("{is} is not a valid {format}")).at(path),
        Kind::Enum { options } => {
            invalid(ErrorCode::NotInEnum, format!("{is} is not one of {}", shorten(&options.to_string()))).at(path)
        }
        Kind::Constant { expected_value } => {
            invalid(ErrorCode::NotInEnum, format!("{is} is not {}", shorten(&expected_value.to_string()))).at(path)
        }
        Kind::Pattern { pattern } => {
            invalid(ErrorCode::BadPattern, format!("{is} does not match {}", shorten(pattern))).at(path)
        }
        other => rule_fault(other, &is).at(path),
    }
}

/// The faults of bounds, lengths, and everything else.
fn rule_fault(kind: &ValidationErrorKind, is: &str) -> Fault {
    use ValidationErrorKind as Kind;
    let range =
        |relation: &str, limit: &Value| invalid(ErrorCode::OutOfRange, format!("{is} is not {relation} {limit}"));
    let length = |relation: &str, limit: u64, of: &str| {
        invalid(ErrorCode::BadLength, format!("{is} does not have {relation} {limit} {of}"))
    };
    match kind {
        Kind::Minimum { limit } => range("at least", limit),
        Kind::Maximum { limit } => range("at most", limit),
        Kind::ExclusiveMinimum { limit } => range("more than", limit),
        Kind::ExclusiveMaximum { limit } => range("less than", limit),
        Kind::MultipleOf { multiple_of } => range("a multiple of", multiple_of),
        Kind::MinLength { limit } => length("at least", *limit, "characters"),
        Kind::MaxLength { limit } => length("at most", *limit, "characters"),
        Kind::MinItems { limit } => length("at least", *limit, "elements"),
        Kind::MaxItems { limit } => length("at most", *limit, "elements"),
        Kind::MinProperties { limit } => length("at least", *limit, "fields"),
        Kind::MaxProperties { limit } => length("at most", *limit, "fields"),
        Kind::AdditionalItems { limit } => length("at most", *limit as u64, "elements"),
        other => invalid(ErrorCode::BadValue, format!("{is} breaks the rule {:?} of the schema", other.keyword())),
    }
}

/// A short description of a value: a short value itself, a long one by its kind.
fn describe(value: &Value) -> String {
    match value {
        Value::Object(fields) => format!("an object of {} fields", fields.len()),
        Value::Array(elements) => format!("an array of {} elements", elements.len()),
        scalar => shorten(&scalar.to_string()),
    }
}

fn shorten(text: &str) -> String {
    const CHARS_MAX: usize = 80;
    match text.char_indices().nth(CHARS_MAX) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}
