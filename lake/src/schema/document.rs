//! A schema document: its resources, and where each reference in it leads.
//!
//! Follows the specification: a reference counts from the nearest `$id`, keywords mean what the resource's own `$schema` says, and
//! a fragment is a percent-encoded JSON Pointer (RFC 6901) or an anchor. Invariant: a place is only returned where that is certain.

use std::collections::HashMap;

use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};

use super::{
    draft::{Draft, Holds, is_meta_schema},
    uri,
};

/// A schema document, with an index of its resources.
pub struct Document<'a> {
    root: Subschema<'a>,
    resources: Vec<Resource<'a>>,
    /// Resources by their URIs; `None` if two have the same.
    by_uri: HashMap<String, Option<usize>>,
    /// Resources by the addresses of their roots.
    by_address: HashMap<usize, usize>,
    /// Anchors; `None` if two places have the same.
    anchors: HashMap<(usize, &'a str), Option<Subschema<'a>>>,
    /// Every schema in it, with its place.
    pub(super) schemas: Vec<(Subschema<'a>, String)>,
    unknown_drafts: Vec<(String, &'a str)>,
    is_dynamic: bool,
}

struct Resource<'a> {
    /// Its URI, unless that is unusual.
    uri: Option<String>,
    root: &'a Value,
    draft: Draft,
}

/// A schema in a document.
#[derive(Clone, Debug)]
pub struct Subschema<'a> {
    /// The schema itself.
    pub value: &'a Value,
    /// The draft that says what its keywords mean.
    pub draft: Draft,
    /// The resource that it is in; `None` if that is not certain.
    resource: Option<usize>,
    /// Its place in the resource, as a JSON Pointer.
    pointer: String,
    /// Whether a `$schema` without an id is on the way from the resource to it: then a pointer may find it in another draft.
    is_switched: bool,
}

impl<'a> Subschema<'a> {
    /// Its keywords, unless it is `true` or `false`.
    pub fn keywords(&self) -> Option<&'a Map<String, Value>> {
        self.value.as_object()
    }

    /// A keyword's value.
    pub fn keyword(&self, name: &str) -> Option<&'a Value> {
        self.value.get(name)
    }

    /// The place in memory: two schemas of one document have different ones.
    pub fn address(&self) -> usize {
        std::ptr::from_ref(self.value) as usize
    }
}

impl<'a> Document<'a> {
    /// Indexes a document. Never fails: a reference that can't be understood leads nowhere.
    pub fn of(value: &'a Value) -> Self {
        Self::at(value, uri::ROOT, Draft::default())
    }

    /// Indexes a document that was found at a URI, and that is of this draft unless it says otherwise.
    pub(super) fn at(value: &'a Value, found_at: &str, draft: Draft) -> Self {
        let draft = draft.within(value).unwrap_or(draft);
        let root = Subschema { value, draft, resource: Some(0), pointer: String::new(), is_switched: false };
        let named = value.as_object().and_then(|schema| draft.id_of(schema)).map(|id| id.trim_end_matches('#'));
        let uri = match named {
            Some(id) if !id.is_empty() && !id.starts_with('#') => uri::resolve(found_at, id),
            _ => Some(found_at.to_owned()),
        };
        let mut document = Self {
            root: root.clone(),
            resources: Vec::new(),
            by_uri: HashMap::new(),
            by_address: HashMap::new(),
            anchors: HashMap::new(),
            schemas: Vec::new(),
            unknown_drafts: Vec::new(),
            is_dynamic: is_dynamic(value),
        };
        document.add_resource(uri, &root);
        document.visit(&root, "");
        document
    }

    /// The document as a whole.
    pub fn root(&self) -> Subschema<'a> {
        self.root.clone()
    }

    /// The absolute URI of the document; `None` if it is an unusual one.
    pub fn uri(&self) -> Option<&str> {
        self.resources.first()?.uri.as_deref()
    }

    /// The absolute URIs of its resources.
    pub(super) fn uris(&self) -> impl Iterator<Item = &str> {
        self.resources.iter().filter_map(|resource| resource.uri.as_deref())
    }

    /// Whether a reference may lead to different places, by the way that a validator took to it.
    pub fn is_dynamic(&self) -> bool {
        self.is_dynamic
    }

    /// The schema that a schema contains under these names and indexes.
    pub fn child(&self, parent: &Subschema<'a>, steps: &[&str]) -> Option<Subschema<'a>> {
        let mut value = parent.value;
        let mut pointer = parent.pointer.clone();
        for step in steps {
            value = step_into(value, step)?;
            push(&mut pointer, step);
        }
        Some(self.enter(parent, value, pointer))
    }

    /// Where a schema's reference leads; `None` if that is not certain, or not in the document.
    pub fn resolve(&self, from: &Subschema<'a>, reference: &str) -> Option<Subschema<'a>> {
        if reference.is_empty() {
            return None;
        }
        let (uri, fragment) = reference.split_once('#').unwrap_or((reference, ""));
        let resource = match uri {
            "" => from.resource?,
            uri => (*self.by_uri.get(&self.absolute(from, uri)?)?)?,
        };
        let Resource { root, draft, .. } = self.resources.get(resource)?;
        let root = Subschema {
            value: root,
            draft: *draft,
            resource: Some(resource),
            pointer: String::new(),
            is_switched: false,
        };
        match fragment {
            "" => Some(root),
            pointer if pointer.starts_with('/') => {
                let pointer = percent_decode_str(pointer).decode_utf8().ok()?;
                self.follow(root, &pointer)
            }
            anchor if !anchor.contains(['%', '#']) => self.anchors.get(&(resource, anchor))?.clone(),
            _ => None,
        }
    }

    /// A reference that leads to the schema from anywhere in the document; `None` if none certainly does.
    pub fn reference_to(&self, schema: &Subschema<'a>) -> Option<String> {
        let uri = self.resources.get(schema.resource?)?.uri.as_ref()?;
        if schema.is_switched || self.by_uri.get(uri) != Some(&schema.resource) {
            return None;
        }
        let unescaped = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~$/".contains(&byte);
        let mut reference = format!("{uri}#");
        for byte in schema.pointer.bytes() {
            if unescaped(byte) {
                reference.push(char::from(byte));
            } else {
                reference.push_str(&format!("%{byte:02X}"));
            }
        }
        Some(reference)
    }

    /// Each `$schema` that names no published draft, and its place in the document.
    pub fn unknown_drafts(&self) -> &[(String, &'a str)] {
        &self.unknown_drafts
    }

    /// The references to other documents, but not to meta-schemas: the place in this one, the reference as it is written, and its
    /// absolute URI if that is certain.
    pub fn outward_references(&self) -> Vec<(&str, &'a str, Option<String>)> {
        let mut outward = Vec::new();
        for (from, place) in &self.schemas {
            let Some(reference) = from.keyword("$ref").and_then(Value::as_str) else { continue };
            let uri = reference.split('#').next().unwrap_or_default();
            if uri.is_empty() {
                continue;
            }
            let absolute = self.absolute(from, uri);
            let is_known = absolute.as_ref().is_some_and(|uri| self.by_uri.contains_key(uri) || is_meta_schema(uri));
            // An unusual URI may be spelled the same in an id.
            let is_spelled = absolute.is_none() && self.resources.iter().any(|other| id_text(other) == Some(uri));
            if !is_known && !is_spelled {
                outward.push((place.as_str(), reference, absolute));
            }
        }
        outward
    }

    /// The references by pointers that cross into another resource, each with its place in the document and with the reference that
    /// names that resource. Both mean the same, but the specification lets validators refuse or misread the former.
    pub fn crossing_references(&self) -> Vec<(String, String)> {
        let named = |from: &Subschema<'a>| {
            let reference = from.keyword("$ref")?.as_str()?;
            let target = self.resolve(from, reference)?;
            let start = self.resolve(from, reference.split('#').next().filter(|uri| !uri.is_empty()).unwrap_or("#"))?;
            (start.resource != target.resource).then(|| self.reference_to(&target))?
        };
        let crossing = self.schemas.iter().filter_map(|(from, place)| Some((format!("{place}/$ref"), named(from)?)));
        crossing.collect()
    }

    fn absolute(&self, from: &Subschema<'a>, uri: &str) -> Option<String> {
        let base = from.resource.and_then(|resource| self.resources[resource].uri.as_deref());
        // An absolute URI needs no base.
        uri::resolve(base.unwrap_or_default(), uri)
    }

    fn add_resource(&mut self, uri: Option<String>, root: &Subschema<'a>) -> usize {
        let number = self.resources.len();
        if let Some(uri) = &uri {
            self.by_uri.entry(uri.clone()).and_modify(|known| *known = None).or_insert(Some(number));
        }
        self.by_address.insert(root.address(), number);
        self.resources.push(Resource { uri, root: root.value, draft: root.draft });
        number
    }

    /// Indexes a schema and all that its draft says are schemas within it. `place` is where it is in the document.
    fn visit(&mut self, schema: &Subschema<'a>, place: &str) {
        let Some(keywords) = schema.keywords() else { return };
        if let Some(named) = schema.keyword("$schema").and_then(Value::as_str)
            && Draft::named(named).is_none()
        {
            self.unknown_drafts.push((place.to_owned(), named));
        }
        self.schemas.push((schema.clone(), place.to_owned()));
        if let Some(resource) = schema.resource {
            for anchor in schema.draft.anchors_of(keywords) {
                let known = self.anchors.entry((resource, anchor));
                known.and_modify(|known| *known = None).or_insert_with(|| Some(schema.clone()));
            }
        }
        for (keyword, value) in keywords {
            let Some(holds) = schema.draft.holds(keyword) else { continue };
            match (holds, value) {
                (Holds::One, value) => self.visit_child(schema, value, &[keyword], place),
                (Holds::OneOrList | Holds::List, Value::Array(schemas)) => {
                    for (index, value) in schemas.iter().enumerate() {
                        self.visit_child(schema, value, &[keyword, &index.to_string()], place);
                    }
                }
                (Holds::OneOrList, value) => self.visit_child(schema, value, &[keyword], place),
                (Holds::Named, Value::Object(schemas)) => {
                    for (name, value) in schemas {
                        self.visit_child(schema, value, &[keyword, name], place);
                    }
                }
                _ => {}
            }
        }
    }

    fn visit_child(&mut self, parent: &Subschema<'a>, value: &'a Value, steps: &[&str], place: &str) {
        let (mut place, mut pointer) = (place.to_owned(), parent.pointer.clone());
        for step in steps {
            push(&mut place, step);
            push(&mut pointer, step);
        }
        let draft = parent.draft.within(value).unwrap_or(parent.draft);
        if let Some(id) = own_id(draft, value) {
            let base = parent.resource.and_then(|resource| self.resources[resource].uri.as_deref());
            let uri = uri::resolve(base.unwrap_or_default(), id);
            let root = Subschema { value, draft, resource: None, pointer: String::new(), is_switched: false };
            self.add_resource(uri, &root);
        }
        let child = self.enter(parent, value, pointer);
        self.visit(&child, &place);
    }

    /// A schema within another one: a resource of its own, or a part of its parent's.
    fn enter(&self, parent: &Subschema<'a>, value: &'a Value, pointer: String) -> Subschema<'a> {
        let (draft, is_known) = match parent.draft.within(value) {
            Ok(draft) => (draft, true),
            Err(_) => (parent.draft, false),
        };
        let address = std::ptr::from_ref(value) as usize;
        if own_id(draft, value).is_none() {
            let is_switched = parent.is_switched || value.get("$schema").is_some();
            return Subschema { value, draft, resource: parent.resource.filter(|_| is_known), pointer, is_switched };
        }
        let resource = self.by_address.get(&address).copied().filter(|_| is_known);
        Subschema { value, draft, resource, pointer: String::new(), is_switched: false }
    }

    /// Follows a decoded pointer from a resource's root, through keywords that contain schemas where there are such.
    fn follow(&self, root: Subschema<'a>, pointer: &str) -> Option<Subschema<'a>> {
        enum At<'a> {
            Schema(Subschema<'a>),
            Within(Subschema<'a>),
            Elsewhere(Subschema<'a>),
        }
        let mut value = root.value;
        let start = root.resource;
        let mut at = At::Schema(root);
        let mut inner = String::new();
        for step in pointer.split('/').skip(1) {
            let step = unescape(step)?;
            value = step_into(value, &step)?;
            at = match at {
                At::Schema(schema) => {
                    inner = schema.pointer.clone();
                    push(&mut inner, &step);
                    match (schema.draft.holds(&step), value) {
                        (Some(Holds::One), _) => At::Schema(self.enter(&schema, value, inner.clone())),
                        (Some(Holds::OneOrList), Value::Object(_) | Value::Bool(_)) => {
                            At::Schema(self.enter(&schema, value, inner.clone()))
                        }
                        (Some(_), _) => At::Within(schema),
                        (None, _) => At::Elsewhere(schema),
                    }
                }
                At::Within(schema) => {
                    push(&mut inner, &step);
                    At::Schema(self.enter(&schema, value, inner.clone()))
                }
                At::Elsewhere(schema) => {
                    push(&mut inner, &step);
                    At::Elsewhere(schema)
                }
            };
            // Validators differ in what a name or a dialect means where no schema is expected, or without one another.
            let names = |keyword: &str| value.get(keyword).is_some_and(Value::is_string);
            let is_doubtful = match &at {
                At::Schema(schema) => names("$schema") && own_id(schema.draft, value).is_none(),
                At::Within(_) => false,
                At::Elsewhere(_) => ["$id", "id", "$schema"].into_iter().any(names),
            };
            if is_doubtful {
                return None;
            }
        }
        match at {
            At::Schema(schema) if schema.resource == start => Some(schema),
            At::Schema(schema) => self.reference_to(&schema).is_some().then_some(schema),
            At::Within(_) => None,
            At::Elsewhere(parent) => {
                let is_schema = value.is_object() || value.is_boolean();
                is_schema.then_some(Subschema { value, pointer: inner, ..parent })
            }
        }
    }
}

/// What makes a schema a resource of its own.
fn own_id(draft: Draft, value: &Value) -> Option<&str> {
    let id = draft.id_of(value.as_object()?)?.trim_end_matches('#');
    (!id.is_empty() && !id.starts_with('#')).then_some(id)
}

fn id_text<'a>(resource: &Resource<'a>) -> Option<&'a str> {
    own_id(resource.draft, resource.root)
}

/// Whether there is a reference whose target depends on the way to it.
fn is_dynamic(value: &Value) -> bool {
    match value {
        Value::Object(fields) => fields.iter().any(|(key, value)| match key.as_str() {
            "$dynamicRef" | "$recursiveRef" => value.is_string(),
            _ => is_dynamic(value),
        }),
        Value::Array(values) => values.iter().any(is_dynamic),
        _ => false,
    }
}

/// The part of a value that a step of a pointer leads to.
fn step_into<'a>(value: &'a Value, step: &str) -> Option<&'a Value> {
    match value {
        Value::Object(fields) => fields.get(step),
        Value::Array(values) => {
            let is_index = step == "0" || step.starts_with(|first: char| matches!(first, '1'..='9'));
            values.get(step.parse::<usize>().ok().filter(|_| is_index)?)
        }
        _ => None,
    }
}

/// A step of a pointer as it is meant; `None` for an escape that RFC 6901 does not know.
fn unescape(step: &str) -> Option<String> {
    let is_valid = step.split('~').skip(1).all(|rest| rest.starts_with(['0', '1']));
    is_valid.then(|| step.replace("~1", "/").replace("~0", "~"))
}

fn push(pointer: &mut String, step: &str) {
    pointer.push('/');
    pointer.push_str(&step.replace('~', "~0").replace('/', "~1"));
}
