//! Judges of a schema's parts, for values that the compiled rules leave to the judge.
//!
//! A part is judged as it is within the whole document: what it refers to, and the draft it is written in, are the same.

use std::{
    cell::{OnceCell, RefCell},
    collections::HashMap,
    sync::Arc,
};

use jsonschema::Registry;
use lake::schema::{Document, Subschema};
use serde_json::{Value, json};

use super::{Judge, META_SCHEMAS, with_named_resources};

/// The parts of one document.
pub(in crate::enforce) struct Parts<'d, 'a> {
    document: &'d Document<'a>,
    /// The document, for parts that refer to others; `None` if the library does not read it.
    registry: OnceCell<Option<Registry<'static>>>,
    /// Judges of parts that refer to others, by the references to these parts.
    judges: RefCell<HashMap<String, Option<Arc<Judge>>>>,
}

impl<'d, 'a> Parts<'d, 'a> {
    pub(in crate::enforce) fn of(document: &'d Document<'a>) -> Self {
        Self { document, registry: OnceCell::new(), judges: RefCell::default() }
    }

    /// The judge of a part. `None` if it can't be judged without the rest of the document.
    pub(in crate::enforce) fn judge(&self, part: &Subschema<'a>) -> Option<Arc<Judge>> {
        if refers(part.value) {
            return self.within_document(part);
        }
        let mut schema = part.value.clone();
        if let Some(keywords) = schema.as_object_mut() {
            keywords.insert("$schema".to_owned(), json!(part.draft.uri()));
        }
        Judge::build(&schema, &META_SCHEMAS, None).ok().map(Arc::new)
    }

    fn within_document(&self, part: &Subschema<'a>) -> Option<Arc<Judge>> {
        // Such a reference leads elsewhere if the way to it begins elsewhere.
        if self.document.is_dynamic() {
            return None;
        }
        let reference = self.document.reference_to(part)?;
        if let Some(known) = self.judges.borrow().get(&reference) {
            return known.clone();
        }
        let registry = self.registry.get_or_init(|| self.registry()).as_ref()?;
        let schema = json!({"$schema": part.draft.uri(), "$ref": reference});
        let judge = Judge::build(&schema, registry, Some("json-schema:///sluice/part")).ok().map(Arc::new);
        self.judges.borrow_mut().insert(reference, judge.clone());
        judge
    }

    fn registry(&self) -> Option<Registry<'static>> {
        let root = self.document.root().value;
        let schema = with_named_resources(root, self.document).unwrap_or_else(|| root.clone());
        META_SCHEMAS.add(self.document.uri()?, schema).ok()?.prepare().ok()
    }
}

/// Whether a schema's meaning depends on the document around it, or on the names within it.
fn refers(schema: &Value) -> bool {
    const NAMES: [&str; 8] =
        ["$ref", "$dynamicRef", "$recursiveRef", "$id", "id", "$anchor", "$dynamicAnchor", "$recursiveAnchor"];
    match schema {
        Value::Object(keywords) => keywords.iter().any(|(key, value)| NAMES.contains(&key.as_str()) || refers(value)),
        Value::Array(schemas) => schemas.iter().any(refers),
        _ => false,
    }
}
