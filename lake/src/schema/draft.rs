//! The drafts of JSON Schema: their names, and where their keywords contain further schemas.
//!
//! Knows keywords by name only.

use serde_json::{Map, Value};

/// A published draft.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Draft {
    /// Draft 4.
    Draft4,
    /// Draft 6.
    Draft6,
    /// Draft 7.
    Draft7,
    /// Draft 2019-09.
    Draft201909,
    /// Draft 2020-12, that of a schema without `$schema`.
    #[default]
    Draft202012,
}

/// What a keyword's value contains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Holds {
    /// One schema.
    One,
    /// A list of schemas.
    List,
    /// One schema, or a list of them.
    OneOrList,
    /// Schemas by name.
    Named,
}

/// Keywords that describe a value, or the document, and do not restrict the value.
const ANNOTATIONS: &[&str] = &[
    "$comment",
    "$schema",
    "$defs",
    "definitions",
    "$id",
    "id",
    "$anchor",
    "$dynamicAnchor",
    "title",
    "description",
    "default",
    "examples",
    "deprecated",
    "readOnly",
    "writeOnly",
];

/// Whether a keyword describes a value, or the document, and never restricts the value.
pub fn is_annotation(keyword: &str) -> bool {
    ANNOTATIONS.contains(&keyword)
}

impl Draft {
    const ALL: [Self; 5] = [Self::Draft4, Self::Draft6, Self::Draft7, Self::Draft201909, Self::Draft202012];

    /// The meta-schema's URI: what `$schema` says.
    pub fn uri(self) -> &'static str {
        match self {
            Self::Draft4 => "http://json-schema.org/draft-04/schema#",
            Self::Draft6 => "http://json-schema.org/draft-06/schema#",
            Self::Draft7 => "http://json-schema.org/draft-07/schema#",
            Self::Draft201909 => "https://json-schema.org/draft/2019-09/schema",
            Self::Draft202012 => "https://json-schema.org/draft/2020-12/schema",
        }
    }

    /// The draft that a `$schema` names; `None` if it is not a published one.
    pub fn named(uri: &str) -> Option<Self> {
        let bare = |uri: &str| {
            let uri = uri.trim_end_matches('#');
            uri.strip_prefix("https://").or_else(|| uri.strip_prefix("http://")).map(str::to_owned)
        };
        let name = bare(uri)?;
        if name == "json-schema.org/schema" {
            return Some(Self::default());
        }
        Self::ALL.into_iter().find(|draft| bare(draft.uri()).is_some_and(|known| known == name))
    }

    /// The draft of a schema within one of this draft; the text of its `$schema` if that is not a published draft.
    pub(super) fn within(self, schema: &Value) -> Result<Self, &str> {
        match schema.get("$schema").and_then(Value::as_str) {
            None => Ok(self),
            Some(named) => Self::named(named).ok_or(named),
        }
    }

    /// Whether keywords beside `$ref` count.
    pub fn counts_beside_reference(self) -> bool {
        self >= Self::Draft201909
    }

    /// The keyword that names a resource.
    pub(super) fn id_keyword(self) -> &'static str {
        if self == Self::Draft4 { "id" } else { "$id" }
    }

    /// The keyword of definitions.
    pub(super) fn definitions(self) -> &'static str {
        if self >= Self::Draft201909 { "$defs" } else { "definitions" }
    }

    /// What names the schema: the text of its id, unless the draft ignores it.
    pub(super) fn id_of(self, schema: &Map<String, Value>) -> Option<&str> {
        if !self.counts_beside_reference() && schema.contains_key("$ref") {
            return None;
        }
        schema.get(self.id_keyword())?.as_str()
    }

    /// The names of a schema within its resource.
    pub(super) fn anchors_of(self, schema: &Map<String, Value>) -> Vec<&str> {
        let text = |keyword: &str| schema.get(keyword).and_then(Value::as_str);
        match self {
            Self::Draft4 | Self::Draft6 | Self::Draft7 => {
                self.id_of(schema).and_then(|id| id.strip_prefix('#')).into_iter().collect()
            }
            Self::Draft201909 => text("$anchor").into_iter().collect(),
            Self::Draft202012 => [text("$anchor"), text("$dynamicAnchor")].into_iter().flatten().collect(),
        }
    }

    /// What a keyword contains, if it contains schemas.
    pub(super) fn holds(self, keyword: &str) -> Option<Holds> {
        let since = |first: Self, holds| (self >= first).then_some(holds);
        let until = |last: Self, holds| (self <= last).then_some(holds);
        match keyword {
            "additionalProperties" | "not" => Some(Holds::One),
            "allOf" | "anyOf" | "oneOf" => Some(Holds::List),
            "properties" | "patternProperties" | "definitions" => Some(Holds::Named),
            "items" if self == Self::Draft202012 => Some(Holds::One),
            "items" => Some(Holds::OneOrList),
            "additionalItems" => until(Self::Draft201909, Holds::One),
            "dependencies" => until(Self::Draft7, Holds::Named),
            "contains" | "propertyNames" => since(Self::Draft6, Holds::One),
            "if" | "then" | "else" => since(Self::Draft7, Holds::One),
            "unevaluatedItems" | "unevaluatedProperties" | "contentSchema" => since(Self::Draft201909, Holds::One),
            "$defs" | "dependentSchemas" => since(Self::Draft201909, Holds::Named),
            "prefixItems" => since(Self::Draft202012, Holds::List),
            _ => None,
        }
    }
}

/// The URIs of the meta-schemas that programs know, without fragments.
pub(super) fn is_meta_schema(uri: &str) -> bool {
    const VOCABULARIES: [(&str, &[&str]); 2] = [
        (
            "https://json-schema.org/draft/2019-09/meta/",
            &["applicator", "content", "core", "format", "meta-data", "validation"],
        ),
        (
            "https://json-schema.org/draft/2020-12/meta/",
            &[
                "applicator",
                "content",
                "core",
                "format-annotation",
                "format-assertion",
                "meta-data",
                "unevaluated",
                "validation",
            ],
        ),
    ];
    let is_vocabulary =
        |(base, names): &(&str, &[&str])| uri.strip_prefix(base).is_some_and(|name| names.contains(&name));
    Draft::ALL.iter().any(|draft| draft.uri().trim_end_matches('#') == uri) || VOCABULARIES.iter().any(is_vocabulary)
}
