//! Judge: validates a record's value against its stream's JSON Schema, and reports what is wrong with it in our own
//! words.
//!
//! The `jsonschema` crate decides. Knows values and schemas, and nothing about columns, formats or stores.

mod part;
mod refused;

use std::sync::LazyLock;

use jsonschema::{
    PatternOptions, Registry, ValidationError, Validator,
    error::{TypeKind, ValidationErrorKind},
};
use lake::{
    dead_letter::{ErrorCode, Fault, Reason, pointer_step},
    schema::Document,
};
use serde_json::{Value, json};

pub(super) use part::Parts;

/// A compiled JSON Schema.
#[derive(Debug)]
pub struct Judge {
    validator: Validator,
}

/// All published meta-schemas: a schema may refer to any of them.
static META_SCHEMAS: LazyLock<Registry<'static>> = LazyLock::new(|| {
    // The library adds them all for a schema that is written in the terms of one of their parts.
    let asks_for_them = json!({"$schema": "https://json-schema.org/draft/2020-12/meta/core"});
    let registry = Registry::new().add("json-schema:///sluice/meta-schemas", asks_for_them);
    registry.and_then(|registry| registry.prepare()).expect("a constant that a test covers")
});

/// How large a refused pattern may become when it is compiled once more, to find out whether its size is the reason.
const PATTERN_BYTES_TRIED: usize = 1 << 30;

impl Judge {
    /// Compiles a schema: draft 4 to 2020-12, with `format` asserted. Patterns run in linear time.
    ///
    /// # Errors
    /// A message for the user: a reference to a schema that is not in the document, a pattern that needs backtracking, or why it is
    /// not a valid JSON Schema.
    pub fn compile(schema: &Value) -> Result<Self, String> {
        let document = Document::of(schema);
        // The judge reads an unusual URI in its own way.
        if let Some((place, reference, _)) = document.outward_references().iter().find(|(.., uri)| uri.is_some()) {
            return Err(lake::schema::missing_reference(place, reference));
        }
        let named = with_named_resources(schema, &document);
        Self::build(named.as_ref().unwrap_or(schema), &META_SCHEMAS, None)
    }

    /// Compiles a schema that may refer to what is in the registry. `uri` is what its own references count from, if it has no id.
    fn build(schema: &Value, registry: &Registry<'_>, uri: Option<&str>) -> Result<Self, String> {
        let build = |patterns: PatternOptions<jsonschema::Regex>| {
            let options = jsonschema::options()
                .should_validate_formats(true)
                .with_pattern_options(patterns)
                .with_registry(registry);
            let options = if let Some(uri) = uri { options.with_base_uri(uri) } else { options };
            options.build(schema)
        };
        let validator = build(PatternOptions::regex()).map_err(|error| {
            let is_too_large = || match build(PatternOptions::regex().size_limit(PATTERN_BYTES_TRIED)) {
                Ok(_) => true,
                Err(other) => other.instance_path() != error.instance_path(),
            };
            refused::in_words(&error, is_too_large)
        })?;
        Ok(Self { validator })
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
        let mut faults = Faults::default();
        for error in self.validator.iter_errors(record) {
            faults.add(&error);
        }
        let Some(mut fault) = faults.chosen else { return Ok(()) };
        if faults.count > 1 {
            fault.message.push_str(&format!(" (and {} more)", faults.count - 1));
        }
        Err(fault)
    }
}

/// The schema with references that name the resource they lead into, if some lead there by a pointer through another one.
fn with_named_resources(schema: &Value, document: &Document<'_>) -> Option<Value> {
    // The library takes a named resource for another way there, and that counts for dynamic references.
    let crossing = if document.is_dynamic() { Vec::new() } else { document.crossing_references() };
    if crossing.is_empty() {
        return None;
    }
    let mut schema = schema.clone();
    for (place, reference) in crossing {
        if let Some(text) = schema.pointer_mut(&place) {
            *text = Value::String(reference);
        }
    }
    Some(schema)
}

/// The faults of a record: how many, and the one to report.
#[derive(Default)]
struct Faults {
    count: usize,
    chosen: Option<Fault>,
}

impl Faults {
    fn add(&mut self, error: &ValidationError<'_>) {
        if let Some(errors) = of_only_alternative(error) {
            errors.iter().for_each(|error| self.add(error));
            return;
        }
        self.count += 1;
        let only_extra = self.chosen.as_ref().is_none_or(|fault| fault.reason == Reason::ExtraFields);
        if self.chosen.is_none() || (only_extra && !is_extra_field(error.kind())) {
            self.chosen = Some(fault(error.kind(), error.instance(), error.instance_path().as_str()));
        }
    }
}

/// The errors of the only alternative that a value could have fitted: where all others want it to be null.
fn of_only_alternative<'e, 'v>(error: &'e ValidationError<'v>) -> Option<&'e [ValidationError<'v>]> {
    use ValidationErrorKind as Kind;
    let (Kind::AnyOf { context } | Kind::OneOfNotValid { context }) = error.kind() else { return None };
    let wants_null = |errors: &&Vec<ValidationError<'_>>| {
        let [only] = errors.as_slice() else { return false };
        let is_about_it = only.instance_path().as_str() == error.instance_path().as_str();
        is_about_it
            && match only.kind() {
                Kind::Type { kind: TypeKind::Single(one) } => one.to_string() == "null",
                Kind::Enum { options } => **options == json!([null]),
                _ => false,
            }
    };
    let mut others = context.iter().filter(|errors| !wants_null(errors));
    let only = others.next().filter(|errors| !errors.is_empty())?;
    others.next().is_none().then_some(only.as_slice())
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
                TypeKind::Single(one) => one.to_string(),
                TypeKind::Multiple(several) => {
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
