//! Bundles a schema with the files that it refers to, as one compound document (JSON Schema 2020-12, 9.3).
//!
//! A file is embedded under the keyword of definitions and keeps its own `$id`, so that references go on meaning the same. Knows
//! no network. Invariant: equal files give an equal document, whatever order the folder lists them in; without references to
//! files, a schema stays as it is.

use std::{
    collections::{BTreeSet, HashMap},
    path::{Path, PathBuf},
};

use serde_json::{Map, Value};

use super::{Document, Draft, parse, uri};

/// The schema files of a folder.
#[derive(Debug, Default)]
pub struct Files(Vec<File>);

#[derive(Debug)]
struct File {
    /// Its path within the folder, with `/` between names.
    name: String,
    schema: Value,
}

impl Files {
    /// Reads every `.json` file below `folder`; empty if the folder does not exist.
    ///
    /// # Errors
    /// What is wrong with each file, in words.
    pub fn read(folder: &Path) -> Result<Self, Vec<(PathBuf, String)>> {
        let (mut files, mut wrong) = (Vec::new(), Vec::new());
        if folder.is_dir() {
            for entry in walkdir::WalkDir::new(folder).follow_links(true).sort_by_file_name() {
                let path = match entry {
                    Ok(entry) if entry.file_type().is_file() => entry.into_path(),
                    Ok(_) => continue,
                    Err(error) => {
                        wrong.push((folder.to_owned(), format!("cannot be listed: {error}")));
                        continue;
                    }
                };
                if path.extension().is_none_or(|extension| extension != "json") {
                    continue;
                }
                match read(folder, &path) {
                    Ok(file) => files.push(file),
                    Err(what) => wrong.push((path, what)),
                }
            }
        }
        files.sort_by(|one, other| one.name.cmp(&other.name));
        if wrong.is_empty() { Ok(Self(files)) } else { Err(wrong) }
    }
}

fn read(folder: &Path, path: &Path) -> Result<File, String> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("cannot be read: {error}"))?;
    let schema = parse(&text)?;
    if !schema.is_object() && !schema.is_boolean() {
        return Err("is not a JSON Schema, which is an object".to_owned());
    }
    let within = path.strip_prefix(folder).unwrap_or(path);
    let names: Option<Vec<&str>> = within.iter().map(|name| name.to_str()).collect();
    let name = names.ok_or("has a name that is not UTF-8")?.join("/");
    Ok(File { name, schema })
}

/// A file that may be embedded.
struct Candidate<'f> {
    file: &'f File,
    /// What its references count from, and what it is called in the bundle.
    uri: String,
    draft: Draft,
}

/// The schema, with the files that it refers to embedded.
///
/// # Errors
/// Each reference to a schema that is neither in the document nor among the files, with its place, in words.
pub fn bundle(schema: Value, files: &Files) -> Result<Value, Vec<String>> {
    let document = Document::of(&schema);
    let base = document.uri().unwrap_or(uri::ROOT).to_owned();
    let draft = document.root().draft;
    let candidates: Vec<Candidate<'_>> = files.0.iter().filter_map(|file| candidate(file, &base, draft)).collect();
    let known = index(&candidates, &base);
    let own: Vec<String> = document.uris().map(str::to_owned).collect();

    let mut missing = Vec::new();
    let mut used = BTreeSet::new();
    let root_patches = patches(&document, "", &known, &own, &candidates, &mut used, &mut missing);
    let mut embedded: HashMap<usize, Value> = HashMap::new();
    // Embedding one file may need others.
    while let Some(next) = used.iter().copied().find(|at| !embedded.contains_key(at)) {
        let Candidate { file, uri, draft } = &candidates[next];
        let document = Document::at(&file.schema, uri, *draft);
        let patches = patches(&document, &file.name, &known, &own, &candidates, &mut used, &mut missing);
        embedded.insert(next, embeddable(patched(file.schema.clone(), &patches), uri, *draft));
    }
    drop(document);
    if !missing.is_empty() {
        return Err(missing);
    }
    let mut schema = patched(schema, &root_patches);
    if let Some(fields) = schema.as_object_mut().filter(|_| !used.is_empty()) {
        let definitions = fields.entry(draft.definitions()).or_insert_with(|| Value::Object(Map::new()));
        if let Some(definitions) = definitions.as_object_mut() {
            for at in used {
                let mut name = candidates[at].file.name.clone();
                while definitions.contains_key(&name) {
                    name.insert_str(0, "file:");
                }
                definitions.insert(name, embedded.remove(&at).unwrap_or_default());
            }
        }
    }
    Ok(schema)
}

fn candidate<'f>(file: &'f File, base: &str, enclosing: Draft) -> Option<Candidate<'f>> {
    let draft = enclosing.within(&file.schema).unwrap_or(enclosing);
    let is_of_host = file.name.split_once('/').is_some_and(|(first, _)| first.contains(['.', ':']));
    let of_host = format!("https://{}", file.name);
    let retrieved = uri::resolve(base, if is_of_host { &of_host } else { &file.name });
    let document = Document::at(&file.schema, retrieved.as_deref().unwrap_or(uri::ROOT), draft);
    let uri = document.uri()?.to_owned();
    // Without a place of its own, only an id names it.
    (retrieved.is_some() || uri != uri::ROOT).then_some(Candidate { file, uri, draft })
}

/// The files by everything that may name them: their ids, then their places beside the schema, then hosts as folders.
fn index(candidates: &[Candidate<'_>], base: &str) -> HashMap<String, usize> {
    let mut known = HashMap::new();
    for (at, Candidate { file, uri, draft }) in candidates.iter().enumerate() {
        for uri in Document::at(&file.schema, uri, *draft).uris() {
            known.entry(uri.to_owned()).or_insert(at);
        }
    }
    for (at, Candidate { file, .. }) in candidates.iter().enumerate() {
        if let Some(uri) = uri::resolve(base, &file.name) {
            known.entry(uri).or_insert(at);
        }
        for scheme in ["https", "http"] {
            known.entry(format!("{scheme}://{}", file.name)).or_insert(at);
        }
    }
    known
}

/// The references to files that must be spelled otherwise in the bundle: their places, and the new texts. Notes the files used, and
/// what is missing. `own` are the resources of the schema itself.
fn patches(
    document: &Document<'_>,
    file: &str,
    known: &HashMap<String, usize>,
    own: &[String],
    candidates: &[Candidate<'_>],
    used: &mut BTreeSet<usize>,
    missing: &mut Vec<String>,
) -> Vec<(String, String)> {
    let mut patches = Vec::new();
    let mut told = BTreeSet::new();
    for (place, reference, absolute) in document.outward_references() {
        // The judge reads an unusual URI in its own way.
        let Some(absolute) = absolute else { continue };
        if own.contains(&absolute) {
            continue;
        }
        let Some(at) = known.get(&absolute).copied() else {
            if !told.insert(absolute) {
                continue;
            }
            let of_file = if file.is_empty() { String::new() } else { format!(" (in the folder's {file:?})") };
            missing.push(missing_reference(place, reference) + &of_file);
            continue;
        };
        used.insert(at);
        let Candidate { file, uri, draft } = &candidates[at];
        let is_embedded = Document::at(&file.schema, uri, *draft).uris().any(|uri| uri == absolute);
        if !is_embedded {
            let fragment = reference.split_once('#').map_or("", |(_, fragment)| fragment);
            patches.push((format!("{place}/$ref"), format!("{uri}#{fragment}")));
        }
    }
    patches
}

/// What to say of a reference to a schema that is not there.
pub fn missing_reference(place: &str, reference: &str) -> String {
    format!(
        "refers to {reference:?} at {place:?}, which is not in the document. Nothing is fetched: put that schema into a file in the \
         folder streams/<stream>.schemas/, or with its \"$id\" into \"$defs\""
    )
}

fn patched(mut schema: Value, patches: &[(String, String)]) -> Value {
    for (place, text) in patches {
        if let Some(reference) = schema.pointer_mut(place) {
            *reference = Value::String(text.clone());
        }
    }
    schema
}

/// A file's schema as a resource of a larger document: it names itself, and its draft.
fn embeddable(schema: Value, uri: &str, draft: Draft) -> Value {
    let mut fields = Map::new();
    fields.insert("$schema".to_owned(), Value::String(draft.uri().to_owned()));
    fields.insert(draft.id_keyword().to_owned(), Value::String(uri.to_owned()));
    match schema {
        Value::Object(own) => {
            // Up to draft 7, a reference hides what stands beside it, the id too.
            let hides = !draft.counts_beside_reference() && own.contains_key("$ref");
            for (keyword, value) in own {
                match keyword.as_str() {
                    "$schema" => {}
                    keyword if keyword == draft.id_keyword() => {}
                    "$ref" if hides => {
                        let reference = Map::from_iter([("$ref".to_owned(), value)]);
                        fields.insert("allOf".to_owned(), Value::Array(vec![Value::Object(reference)]));
                    }
                    "definitions" | "$defs" => {
                        fields.insert(keyword, value);
                    }
                    _ if hides => {}
                    _ => {
                        fields.insert(keyword, value);
                    }
                }
            }
        }
        any => {
            fields.insert("allOf".to_owned(), Value::Array(vec![any]));
        }
    }
    Value::Object(fields)
}
